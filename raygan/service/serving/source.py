"""What is served: a run's generator, an export, or a model of the Hub; a run's newest checkpoint
takes the place of the last one while requests go on.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from pathlib import Path

import torch

from raygan.controller.checkpoint_index import listed
from raygan.controller.run_folder import find_run
from raygan.errors import CheckpointError, ConfigError
from raygan.paths import in_bucket
from raygan.service.runs.generators import Drawn, Generators
from raygan.service.runs.run import Run
from raygan.service.scores.loading import SCHEME, load
from raygan.service.scores.rejection import generators_of


@dataclass(frozen=True)
class Source:
    """Plain facts, so that a replica elsewhere can open it. Raises what `load` raises."""

    path: str
    """A run folder, a run in a bucket, an exported folder, or hf://org/name."""
    which: str | None = None
    """As in `raygan sample --from`; None: what the run is for."""
    reject: bool = False
    trust_code: bool = False

    @property
    def is_run(self) -> bool:
        """Is it a run, whose checkpoint may move on?"""
        return not self.path.startswith(SCHEME) and (
            in_bucket(self.path) is not None or (Path(self.path) / "run.json").exists()
        )

    def folder(self) -> Path:
        """The run's; of one in a bucket its local side, brought up to date."""
        return find_run(self.path) if in_bucket(self.path) else Path(self.path)

    def open(self) -> Model:
        """Load the model; of a run, from its newest checkpoint."""
        if not self.is_run:
            made = load(self.path, self.which, trust_code=self.trust_code)
            if self.reject and not made.judges:
                raise ConfigError(
                    f"--reject: {self.path!r} has no discriminator to go by. Serve its run, or"
                    " export it with --reject."
                )
            return Model(made, self.which or "generator", "")
        run = Run.load(self.path, trust_code=self.trust_code).use_code().pinned("served")
        which, entry = self.which or run.main_player, run.checkpoint().entry
        made = generators_of(run, which, self.reject)
        return Model(made, which, entry.folder if entry else "")


@dataclass(frozen=True)
class Model:
    """One state of the source, ready to sample from."""

    generators: Generators
    which: str
    checkpoint: str
    """Its name in the run; "" for what does not move."""

    def latent(self, z: list[float]) -> Drawn:
        """The one sample that the first network makes of z (z_dim,). Raises ConfigError for another
        length.
        """
        name = next(iter(self.generators.networks))
        _, z_dim = self.generators.priors[name]
        if len(z) != z_dim:
            raise ConfigError(f"z: {len(z)} numbers, and {name} takes {z_dim}.")
        with torch.no_grad():
            made = self.generators.networks[name](torch.tensor([z]))
        return self.generators.drawn(made.numpy())


class Rolling:
    """A model that is changed for its next state between two requests, never within one."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.model = source.open()
        self.seen = self.model.checkpoint
        self.failed = ""
        """Why the newest state is not served, where it is not."""
        self.stays = ""
        """The same, for as long as no other checkpoint comes."""
        self.rolled = 0

    def look(self) -> None:
        """Take the newest checkpoint, if it is another one. The last is served while that loads,
        and goes on being served where it cannot be loaded.
        """
        try:
            entries, _ = listed(self.source.folder())
            if not entries:
                raise CheckpointError(f"{self.source.path!r} has no checkpoint any more.")
            if entries[-1].folder == self.seen:
                self.failed = self.stays
                return
            model = self.source.open()
        except Exception as error:  # whatever it is, the next look may be luckier
            self.failed = f"{type(error).__name__}: {error}"
            return
        self.seen = entries[-1].folder
        self.rolled += model.checkpoint != self.model.checkpoint
        self.model = model
        stays = f"checkpoint {self.seen} cannot be used; {model.checkpoint} is served"
        self.failed = self.stays = "" if model.checkpoint == self.seen else stays

    def look_for_ever(self, every_s: float) -> None:
        """In a thread of its own, as long as the process lives."""
        pause = threading.Event()

        def loop() -> None:
            while not pause.wait(every_s):
                self.look()

        if self.source.is_run:
            threading.Thread(target=loop, daemon=True, name="newest checkpoint").start()


def numbers(text: str) -> list[float]:
    """Of `z`. Raises ConfigError.

    >>> numbers("0.5,-1")
    [0.5, -1.0]
    """
    try:
        out = [float(word) for word in text.split(",")]
    except ValueError:
        raise ConfigError(f"z={text[:40]!r}: write numbers between commas.") from None
    if not all(math.isfinite(x) for x in out):
        raise ConfigError(f"z={text[:40]!r}: a number is not finite.")
    return out
