"""`--track tensorboard`: event files in RUN/tensorboard; `tensorboard --logdir runs` shows all."""

from __future__ import annotations

import contextlib
import importlib
import json
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import PrivateAttr

from raygan.trackers.base import Tracked, TrackerComponent, plain_name


class TensorBoard(TrackerComponent):
    """Event files below the run folder."""

    needs: ClassVar[tuple[str, ...]] = ("tensorboard",)
    extra: ClassVar[str] = "tensorboard"
    _writer: Any = PrivateAttr(None)

    def begin(self, run: Tracked) -> str:
        """A file of events for each life of the run, all in one folder."""
        made = importlib.import_module("torch.utils.tensorboard")
        if self._writer is not None:
            # begun anew: its thread has ended of an error, of a full disk say
            with contextlib.suppress(Exception):
                self._writer.close()
            self._writer = None
        where = run.room("tensorboard")
        # purged: what a life that was killed has written, but not noted as told
        purged = run.step if run.known else None
        self._writer = made.SummaryWriter(str(where), purge_step=purged)
        text = "\n".join(f"    {k}: {json.dumps(v)}" for k, v in run.config.items())
        self._writer.add_text("config", text, run.step)
        self._writer.add_text("tags", json.dumps(dict(run.tags)), run.step)
        return "tensorboard"

    def scalars(self, step: int, player: str, values: Mapping[str, float]) -> None:
        """PLAYER/NAME."""
        for name, value in values.items():
            self._writer.add_scalar(f"{player}/{plain_name(name)}", value, step)

    def picture(self, step: int, player: str, png: bytes) -> None:
        """PLAYER/samples, as it is: not decoded and drawn anew."""
        kinds = importlib.import_module("tensorboard.compat.proto.summary_pb2")
        image = kinds.Summary.Image(encoded_image_string=png)
        value = kinds.Summary.Value(tag=f"{player}/samples", image=image)
        self._writer.file_writer.add_summary(kinds.Summary(value=[value]), step)

    def flush(self) -> None:
        """Events lie in the file."""
        self._writer.flush()

    def end(self, status: str) -> None:
        """The file is closed."""
        if self._writer is not None:
            self._writer.close()
