"""`--track wandb`: Weights & Biases; WANDB_MODE counts, and without an API key it is offline."""

from __future__ import annotations

import importlib
import io
import netrc
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlparse

from pydantic import Field, PrivateAttr

from raygan.trackers.base import Tracked, TrackerComponent, plain_name

FLUSH_S = 1.0
"""Its helper process keeps rows in memory for so long (else 15 s), and dies with the driver."""
BEGIN_S = 20.0
"""For its server to answer when a run begins (else 90 s); who calls tries again."""
GAP = 10_000
"""More steps of its own than a life that was killed can have taken since its last note."""


class WeightsAndBiases(TrackerComponent):
    """A run of W&B, in RUN/wandb; `wandb sync RUN/wandb/offline-run-*` sends an offline one."""

    project: str = Field("raygan", description="Project of the runs; WANDB_ENTITY says whose.")
    needs: ClassVar[tuple[str, ...]] = ("wandb",)
    extra: ClassVar[str] = "wandb"
    lag_s: ClassVar[float] = 3.0
    _run: Any = PrivateAttr(None)
    _step: int = PrivateAttr(0)
    _stepped: set[str] = PrivateAttr(default_factory=set)

    def begin(self, run: Tracked) -> str:
        """By the run's own id: a life that was killed before it could note that finds it again."""
        wandb = importlib.import_module("wandb")
        # refuses a link: W&B would write through it
        run.room("wandb")
        quiet = wandb.Settings(
            silent=True, console="off", disable_git=True, save_code=False,
            x_transaction_log_flush_interval=FLUSH_S, init_timeout=BEGIN_S,
        )  # fmt: skip
        tags = [f"{key}={value}"[:64] for key, value in run.tags.items()]
        anew = self._run is not None
        if anew:  # it takes nothing any more
            self._give_up()
        try:
            self._run = wandb.init(
                project=self.project, name=run.name, id=run.known or run.id, resume="allow",
                mode=mode(), dir=str(run.folder), group=run.tags.get("sweep"), tags=tags,
                settings=quiet,
            )  # fmt: skip
        except BaseException:
            # else its helper process says for ever that the run is in use
            self._give_up()
            raise
        # offline it cannot know how far its run is, and takes no step twice when it is sent
        first = max(run.calls, self._run.step, self._step)
        self._step = first + (GAP if run.known or anew else 0)
        self._stepped = set()
        self._run.config.update(dict(run.config), allow_val_change=True)
        return str(self._run.id)

    def _log(self, step: int, player: str, values: Mapping[str, Any]) -> None:
        # its own step never goes back, and players are at several: each has an axis of its own
        if player not in self._stepped:
            self._stepped.add(player)
            self._run.define_metric(f"{player}/step", hidden=True)
            self._run.define_metric(f"{player}/*", step_metric=f"{player}/step")
        named = {f"{player}/step": step, **{f"{player}/{k}": v for k, v in values.items()}}
        # else W&B waits for the next row of that step
        self._run.log(named, step=self._step, commit=True)
        self._step += 1

    def scalars(self, step: int, player: str, values: Mapping[str, float]) -> None:
        """PLAYER/NAME over PLAYER/step."""
        self._log(step, player, {plain_name(name): value for name, value in values.items()})

    def picture(self, step: int, player: str, png: bytes) -> None:
        """PLAYER/samples."""
        image, wandb = importlib.import_module("PIL.Image"), importlib.import_module("wandb")
        self._log(step, player, {"samples": wandb.Image(image.open(io.BytesIO(png)))})

    def artefact(self, path: Path) -> None:
        """Among the run's files: a copy, since `save` would link to it."""
        copy = shutil.copy(path, Path(self._run.dir) / path.name)
        self._run.save(str(copy), base_path=self._run.dir, policy="now")

    def end(self, status: str) -> None:
        """Sends what is left, where it is online."""
        if self._run is not None:
            self._run.finish(exit_code=0 if status in ("done", "degraded") else 1)
        self._give_up()

    def _give_up(self) -> None:
        """Its helper process ends now: at exit Ray may have ended it before."""
        wandb = importlib.import_module("wandb")
        if wandb.run in (None, self._run):
            wandb.teardown()
        self._run = None


def mode() -> str:
    """WANDB_MODE; without it online where there is an API key. It never asks for one."""
    # asked for here, since W&B without a key asks at the terminal, and waits
    if wanted := os.environ.get("WANDB_MODE"):
        return wanted
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        known = netrc.netrc(os.environ.get("NETRC")).authenticators(host)
    except (OSError, netrc.NetrcParseError):
        known = None
    return "online" if os.environ.get("WANDB_API_KEY") or known else "offline"
