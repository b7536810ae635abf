"""`--track trackio`: a database on this machine, beside the runs unless TRACKIO_DIR says where."""

from __future__ import annotations

import importlib
import io
import os
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, PrivateAttr

from raygan.trackers.base import Tracked, TrackerComponent, plain_name


class Trackio(TrackerComponent):
    """A run of Trackio; `TRACKIO_DIR=runs/trackio trackio show` shows all.

    TRACKIO_SPACE_ID sends it.
    """

    project: str = Field("raygan", description="Project of the runs.")
    needs: ClassVar[tuple[str, ...]] = ("trackio",)
    extra: ClassVar[str] = "trackio"
    _run: Any = PrivateAttr(None)

    def begin(self, run: Tracked) -> str:
        """By a name that no other run has: it knows a run again by its name."""
        # it takes its folder from the environment when it is imported, once a process
        os.environ.setdefault("TRACKIO_DIR", str(run.folder.absolute().parent / "trackio"))
        trackio = importlib.import_module("trackio")
        for module in ("trackio", "trackio.run", "trackio.utils"):
            # it prints where our table is, or JSON lines; nobody else's print is touched
            importlib.import_module(module).__dict__["print"] = lambda *words, **how: None
        config = {key.lstrip("_"): value for key, value in run.config.items()}
        name = run.known or f"{run.name}-{run.id}"
        self._run = trackio.init(
            self.project, name=name, group=run.tags.get("sweep"),
            config={**config, "tags": dict(run.tags)}, resume="allow", embed=False,
            auto_log_gpu=False, auto_log_cpu=False,
        )  # fmt: skip
        return name

    def scalars(self, step: int, player: str, values: Mapping[str, float]) -> None:
        """PLAYER/NAME."""
        self._run.log({f"{player}/{plain_name(k)}": v for k, v in values.items()}, step=step)

    def picture(self, step: int, player: str, png: bytes) -> None:
        """PLAYER/samples."""
        image = importlib.import_module("PIL.Image").open(io.BytesIO(png))
        made = importlib.import_module("trackio").Image(image)
        self._run.log({f"{player}/samples": made}, step=step)

    def flush(self) -> None:
        """Written now: it has no call for that but `finish`, and would keep half a second of rows
        in a process that may be killed.
        """
        with self._run._client_lock:
            self._run._flush_queues_inline()

    def end(self, status: str) -> None:
        """Waits until it is written."""
        self._run.finish()
