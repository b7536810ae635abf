"""A run on disk, for Python and for every verb that reads: no Ray, and no data set needed to
sample.

run = Run.load("runs/latest")
run.metrics.query("player == 'pair-03'").plot(x="step", y="loss_d")
x = run.generator("mixture").sample(1024, seed=0)

Whoever only looks needs no torch: networks are built in `generators.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raygan.config import Config
from raygan.controller.copies import storage_of
from raygan.controller.files import say, write_within
from raygan.controller.history import read_journal
from raygan.controller.lines import NOTES, JsonLines, Lines, read_info, read_json, told_by_a_run
from raygan.controller.run_folder import find_run
from raygan.errors import ConfigError, did_you_mean
from raygan.metrics.ranking import better, headline
from raygan.service.runs.code import load_config, use_code
from raygan.service.runs.digest import Digest
from raygan.service.runs.summary import Summary
from raygan.strategies.roles import MIXTURE, Roles, role_of, roles_told

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from raygan.service.runs.generators import Generators


FITTED = "fitted"
"""The mixture with the shares of mixture.json."""


class Run:
    """Reads a run folder."""

    def __init__(self, path: Path, known: Mapping[str, Any] | None = None) -> None:
        """known: what run.json says, or would if there were room for it."""
        self.path = path
        self._known = dict(known or {})
        self._metrics = JsonLines(path / "metrics.jsonl", told_by_a_run)
        self._events = JsonLines(path / "events.jsonl", told_by_a_run)
        self._scores = Lines(path / "metrics.jsonl", told_by_a_run, containing=b'"score"')
        self._scored: dict[str, dict[str, Any]] = {}
        self._ranks = Lines(path / "metrics.jsonl", told_by_a_run, containing=b'"own/distance"')
        self._ranked: dict[str, float] = {}
        self._summary, self._digest = Summary(path), Digest(path)

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
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def info(self) -> dict[str, Any]:
        """run.json. Raises ConfigError for one that is damaged."""
        return {**read_info(self.path), **self._known}

    @property
    def config(self) -> Config:
        """The resolved config. Raises ConfigError for one that is damaged."""
        return load_config(self.path)

    @property
    def summary(self) -> Summary:
        """What the logs come to, as they are now."""
        return (self._digest if self._digest.begun else self._summary).refresh()

    @property
    def digest(self) -> Digest:
        """The same, and what is to be drawn of them: all lines are read, once."""
        return self._digest.refresh()

    @property
    def rows(self) -> list[dict[str, Any]]:
        """metrics.jsonl."""
        return self._metrics.read()

    @property
    def metrics(self) -> pd.DataFrame:
        """metrics.jsonl as a DataFrame: training reports (kind "train") and scores (kind "score")."""
        import pandas as pd

        return pd.DataFrame(self.rows)

    @property
    def training(self) -> pd.DataFrame:
        """The training reports alone, a row a player and report; no column of scores."""
        return self._of("train")

    @property
    def scored(self) -> pd.DataFrame:
        """The scores alone, a row a generator and evaluation."""
        return self._of("score")

    def _of(self, kind: str) -> pd.DataFrame:
        import pandas as pd

        return pd.DataFrame([
            {k: v for k, v in row.items() if k != "kind"} for row in self.rows if row["kind"] == kind
        ])  # fmt: skip

    def _repr_html_(self) -> str:
        """In a notebook: how it stands, and its scores."""
        from raygan.service.scores.evaluate import run_html

        return run_html(self)

    @property
    def events(self) -> list[dict[str, Any]]:
        """events.jsonl."""
        return self._events.read()

    @property
    def pulls(self) -> pd.DataFrame:
        """Every round's pull of the supervisor, with its lag."""
        import pandas as pd

        return pd.DataFrame([e for e in self.events if e["kind"] == "pull"])

    @property
    def swaps(self) -> pd.DataFrame:
        """Every swap that the journal has, a row a network that moved: step, player, from,
        identity, fingerprint, bytes.
        """
        import pandas as pd

        swaps = read_journal(storage_of(self.path)).of("swap")
        return pd.DataFrame(
            [{"step": s["step"], "time": s["time"], **m} for s in swaps for m in s["moves"]]
        )

    @property
    def slots(self) -> pd.DataFrame:
        """PMGAN: beta of each generator and how far apart the slots' versions were, a row a round
        of the judge.
        """
        import pandas as pd

        return pd.DataFrame([
            {"step": e["step"], "time": e["time"], "spread": e["spread"], **e["beta"]}
            for e in self.events if e["kind"] == "slot"
        ])  # fmt: skip

    def scores(self) -> dict[str, dict[str, Any]]:
        """Each player's (and the mixture's) last scores."""
        if self._scores.restarted():
            self._scored = {}
        self._scored |= {
            row["player"]: row for row in self._scores.fresh() if row["kind"] == "score"
        }
        return dict(self._scored)

    def distances(self) -> dict[str, float]:
        """A population: each member's last distance to held-out data (`strategy.rank_by`); empty of
        other runs.
        """
        from raygan.strategies.base import strategy_of

        if not strategy_of(self.config).ranks:
            return {}  # all of a long log would be read for nothing
        if self._ranks.restarted():
            self._ranked = {}
        self._ranked |= {
            row["player"]: float(row["own/distance"])
            for row in self._ranks.fresh()
            if row["kind"] == "train" and row.get("own/distance") is not None
        }
        return dict(self._ranked)

    @property
    def players(self) -> list[str]:
        """All players' names, as they were last."""
        if roster := self.info.get("roster"):
            return list(roster)
        from raygan.strategies.base import (
            strategy_of,
        )  # it has not begun, or was written before there was a roster

        return strategy_of(self.config).players(self.config)

    @property
    def pairs(self) -> list[str]:
        """The local pairs' names."""
        roles = self.roles
        return [p for p in self.players if role_of(p, roles).pair]

    @property
    def roles(self) -> Roles:
        """What each player is, as the strategy said when the run began."""
        try:
            if told := roles_told(self.info):
                return told
        except (AttributeError, TypeError) as error:
            raise ConfigError(
                f"run {str(self.path)!r}: roles in run.json are not what raygan writes ({error})."
            ) from error
        from raygan.strategies.base import (
            strategy_of,
        )  # it has not begun, or was written before roles were kept

        return strategy_of(self.config).roles(self.config)

    @property
    def main_player(self) -> str:
        """What the run is for: the global generator, PMGAN's mixture (each of its generators has a
        share), or the best local.
        """
        roles = self.roles
        if main := [p for p, role in roles.items() if role.main]:
            return main[0]
        return (
            MIXTURE
            if any(role.judges for role in roles.values()) and len(self.pairs) > 1
            else self.best
        )

    @property
    def best(self) -> str:
        """The single generator that `gam2` marked; else of a population the one nearest to held-out
        data, without labels; else the best headline score (high quality, score, or what there is).
        """
        if (self.path / "best.json").exists():
            return str(read_json(self.path, "best.json", player=str)["player"])
        if ranked := {p: far for p, far in self.distances().items() if p in self.players}:
            return min(ranked, key=lambda p: (ranked[p], p))
        scores = {p: s for p, s in self.scores().items() if p != MIXTURE}
        if not scores:
            return self.pairs[0]
        metric = headline(next(iter(scores.values())))
        if metric is None:
            return self.pairs[0]
        top = next(iter(scores))
        for player, row in scores.items():
            if better(metric, float(row[metric]), float(scores[top][metric])):
                top = player
        return top

    @property
    def best_by(self) -> str:
        """How `best` was found; "" by the headline score."""
        if (self.path / "best.json").exists():
            return "by GAM-II"
        return "by distance to held-out data, without labels" if self.distances() else ""

    def generator(self, which: str = "best") -> Generators:
        """The newest checkpoint's generator: "global", "best", "mixture", "fitted", or "pair:3".
        Raises ConfigError.
        """
        from raygan.service.runs.generators import load_generators

        return load_generators(self, which)

    def discriminators(self, players: Iterable[str]) -> dict[str, torch.nn.Module]:
        """These players' discriminators in the newest checkpoint, in eval mode. Raises
        CheckpointError.
        """
        from raygan.service.runs.generators import load_discriminators

        return load_discriminators(self, players)

    def weights(self, which: str) -> dict[str, float] | None:
        """What each generator counts in a mixture: fitted, or its part's training samples; None:
        all alike. Raises ConfigError.
        """
        if which == FITTED:
            return self.fitted_shares()
        parts = (self.info.get("data") or {}).get("parts") or {}
        if which != MIXTURE or not set(self.pairs) <= set(parts):
            return None
        return {p: float(parts[p]["train"]) for p in self.pairs}

    def fitted_shares(self) -> dict[str, float]:
        """Shares of the mixture that was fitted. Raises ConfigError when none was."""
        if not (self.path / "mixture.json").exists():
            raise ConfigError(
                f"--from fitted: no shares were fitted yet. First `raygan evaluate {self.path}"
                " --metrics mixture`."
            )
        weights: dict[str, float] = read_json(self.path, "mixture.json", weights=dict)["weights"]
        if not set(self.pairs) <= set(weights) or not all(
            isinstance(w, int | float) for w in weights.values()
        ):
            raise ConfigError(
                f"run {str(self.path)!r}: mixture.json is of other pairs. Again: raygan evaluate"
                f" {self.path} --metrics mixture"
            )
        return weights

    def store(self, name: str, found: Mapping[str, Any]) -> None:
        """Keep a result beside the run. Where the folder can only be read that is said, and nothing
        more: the result stands.
        """
        try:
            write_within(self.path, name, (json.dumps(found, indent=1) + "\n").encode())
        except OSError as error:
            NOTES.warning("%s is not stored in the run (%s)", name, say(error))

    def names(self, which: str) -> list[str]:
        """Whose generators `which` means. Raises ConfigError."""
        players = self.players
        if which in (MIXTURE, FITTED):
            if with_g := [p for p in self.pairs if role_of(p, self.roles).scored]:
                return with_g
            raise ConfigError(
                f"--from {which}: no pair of {self.name} has a generator. Use --from {self.main_player}."
            )
        if which == "best":
            return [self.best]
        kind, _, index = which.partition(":")
        numbered = kind == "pair" and index.isdigit() and int(index) < len(self.pairs)
        name = self.pairs[int(index)] if numbered else which
        if kind == "pair" and index.isdigit() and not numbered:
            raise ConfigError(
                f"--from {which!r}: the run has pair:0 to pair:{len(self.pairs) - 1}."
            )
        if name not in players or not role_of(name, self.roles).scored:
            raise ConfigError(
                f"--from {which!r}: {did_you_mean(which, ['best', MIXTURE, FITTED, *players])}"
            )
        return [name]
