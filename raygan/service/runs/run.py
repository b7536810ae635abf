"""A run on disk, for Python and for every verb that reads: no Ray, and no data set needed to
sample.

run = Run.load("runs/latest")
run.metrics.query("player == 'pair-03'").plot(x="step", y="loss_d")
x = run.generator("mixture").sample(1024, seed=0)

    Run ── logs   what it tells: metrics, events, swaps
        ── cast   who plays: players, pairs, roles, their scores, the best, whom --from means

Whoever only looks needs no torch: networks are built in `generators.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from raygan.config import Config
from raygan.controller.bucket_copies import keep
from raygan.controller.files import say
from raygan.controller.jsonl import NOTES, read_info
from raygan.controller.run_folder import find_run
from raygan.service.runs.cast import Cast
from raygan.service.runs.code import load_config, use_code
from raygan.service.runs.digest import Digest
from raygan.service.runs.logs import Logs
from raygan.service.runs.summary import Summary
from raygan.strategies.roles import Roles

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from raygan.controller.checkpoint import Checkpoint
    from raygan.service.runs.generators import Generators

T = TypeVar("T")
Rows = list[dict[str, Any]]
Scores = dict[str, dict[str, Any]]


class Shorthand(property, Generic[T]):
    """What a part of a run has, under the run's own name, as one types it in a notebook:
    `run.pairs` for `run.cast.pairs`, with the part's docstring.
    """

    def __init__(self, part: str, member: Any) -> None:
        name = getattr(member, "fget", member).__name__
        super().__init__(attrgetter(f"{part}.{name}"))
        self.__doc__ = member.__doc__

    if TYPE_CHECKING:
        # mypy sees the member's own type; at run time it is looked up in Cast
        def __get__(  # type: ignore[override]
            self, run: object, owner: type | None = None
        ) -> T: ...


class Run:
    """A run that lies on disk, read when it is asked."""

    players: Shorthand[list[str]] = Shorthand("cast", Cast.players)
    pairs: Shorthand[list[str]] = Shorthand("cast", Cast.pairs)
    roles: Shorthand[Roles] = Shorthand("cast", Cast.roles)
    main_player: Shorthand[str] = Shorthand("cast", Cast.main_player)
    best: Shorthand[str] = Shorthand("cast", Cast.best)
    scores: Shorthand[Callable[..., Scores]] = Shorthand("cast", Cast.scores)

    metrics: Shorthand[pd.DataFrame] = Shorthand("logs", Logs.metrics)
    training: Shorthand[pd.DataFrame] = Shorthand("logs", Logs.training)
    scored: Shorthand[pd.DataFrame] = Shorthand("logs", Logs.scored)
    pulls: Shorthand[pd.DataFrame] = Shorthand("logs", Logs.pulls)
    swaps: Shorthand[pd.DataFrame] = Shorthand("logs", Logs.swaps)
    slots: Shorthand[pd.DataFrame] = Shorthand("logs", Logs.slots)
    rows: Shorthand[Rows] = Shorthand("logs", Logs.rows)
    events: Shorthand[Rows] = Shorthand("logs", Logs.events)
    summary: Shorthand[Summary] = Shorthand("logs", Logs.summary)
    digest: Shorthand[Digest] = Shorthand("logs", Logs.digest)

    def __init__(
        self, path: Path, known: Mapping[str, Any] | None = None, pin: Checkpoint | None = None
    ) -> None:
        """known: what run.json says, or would if there were room for it. pin: the checkpoint that
        its networks are of; None: the newest at each question.
        """
        self.path = path
        self.name = path.name
        """The folder's name."""
        self._known = dict(known or {})
        self.logs = Logs(path)
        """What it tells: metrics, events, swaps."""
        self.cast = Cast(path, lambda: self.info, lambda: self.config, self.logs.last_scores)
        """Who plays: players, pairs, roles, scores, the best, whom `--from` means."""
        self._pin = pin

    @classmethod
    def load(cls, path: str | Path, *, trust_code: bool = False) -> Run:
        """The run in this folder; raises ConfigError when there is none. `trust_code`: its own
        parts may run as they lie in it.
        """
        run = cls(find_run(path).resolve())
        if trust_code:
            run.use_code(trusted=True)
        return run

    def use_code(self, trusted: bool = False) -> Run:
        """Itself, with all its own parts at hand. Raises ConfigError where nobody has said that
        they may run.
        """
        use_code(self.path, self.config, trusted)
        return self

    @property
    def info(self) -> dict[str, Any]:
        """run.json. Raises ConfigError for one that is damaged."""
        # Read anew each time, as the config is: a run that goes on writes it every few seconds.
        return {**read_info(self.path), **self._known}

    @property
    def config(self) -> Config:
        """The resolved config. Raises ConfigError for one that is damaged."""
        return load_config(self.path)

    def pinned(self, what: str = "sampled") -> Run:
        """Itself, as of its newest checkpoint: all networks are of that one, whatever is committed
        from here on. what: done with it, for the error. Raises CheckpointError.
        """
        return Run(self.path, self._known, self.checkpoint(what))

    def checkpoint(self, what: str = "sampled") -> Checkpoint:
        """The newest that can be used, or the one that this is pinned to. Raises
        CheckpointError.
        """
        from raygan.service.runs.generators import newest

        return self._pin or newest(self.path, what)

    def generator(self, which: str = "best") -> Generators:
        """The checkpoint's generator: "global", "best", "mixture", "fitted", or "pair:3". Raises
        ConfigError.
        """
        # Here, not at the top: it imports torch, and who looks at a run needs none.
        from raygan.service.runs.generators import load_generators

        names, shares = self.cast.named(which), self.cast.shares(which)
        return load_generators(self.checkpoint(), self.config, self.info, names, shares)

    def discriminators(self, players: Iterable[str]) -> dict[str, torch.nn.Module]:
        """These players' discriminators in the checkpoint, in eval mode. Raises CheckpointError."""
        from raygan.service.runs.generators import load_discriminators

        return load_discriminators(self.checkpoint("judged"), self.config, self.info, players)

    def store(self, name: str, found: Mapping[str, Any]) -> None:
        """Keep a result beside the run. Where the folder can only be read that is said, and nothing
        more: the result stands.
        """
        try:
            keep(self.path, name, (json.dumps(found, indent=1) + "\n").encode())
        except OSError as error:
            NOTES.warning("%s is not stored in the run (%s)", name, say(error))

    def _repr_html_(self) -> str:
        """In a notebook: how it stands, and its scores."""
        from raygan.service.scores.score_table import run_html

        return run_html(self.name, self.info, self.scores(), self.roles)
