"""Who plays in a run, what the run is for, and whom `--from` means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from raygan.config import Config
from raygan.controller.bucket_copies import shown, typed
from raygan.controller.checkpoint import Checkpoint
from raygan.controller.checkpoint_index import listed
from raygan.controller.lines import NOTES, read_json
from raygan.errors import ConfigError, did_you_mean
from raygan.metrics.ranking import better, headline
from raygan.service.runs.logs import Newest
from raygan.strategies.roles import MIXTURE, Roles, role_of, roles_told

FITTED = "fitted"
"""The mixture with the shares of mixture.json."""


class Cast:
    """Of one run folder, as it is at each question: members join and leave while it goes on."""

    def __init__(
        self,
        path: Path,
        info: Callable[[], Mapping[str, Any]],
        config: Callable[[], Config],
        scores: Callable[[], dict[str, dict[str, Any]]],
    ) -> None:
        self.path = path
        self._info, self._config, self._scores = info, config, scores
        self._distances = Newest(
            path,
            b'"own/distance"',
            lambda row: row.get("own/distance") if row["kind"] == "train" else None,
        )

    @property
    def players(self) -> list[str]:
        """All players' names, as they were last."""
        if roster := self._info().get("roster"):
            return list(roster)
        # It has not begun, or was written before there was a roster.
        from raygan.strategies.base import strategy_of

        return strategy_of(self._config()).players(self._config())

    @property
    def pairs(self) -> list[str]:
        """The local pairs' names."""
        roles = self.roles
        return [p for p in self.players if role_of(p, roles).pair]

    @property
    def roles(self) -> Roles:
        """What each player is, as the strategy said when the run began."""
        try:
            if told := roles_told(self._info()):
                return told
        except (AttributeError, TypeError) as error:
            raise ConfigError(
                f"run {shown(self.path)!r}: roles in run.json are not what raygan writes ({error})."
            ) from error
        # It has not begun, or was written before roles were kept. Asking the strategy imports
        # torch, which `status` and the live page do without.
        from raygan.strategies.base import strategy_of

        return strategy_of(self._config()).roles(self._config())

    @property
    def main_player(self) -> str:
        """What the run is for: the global generator, PMGAN's mixture (each of its generators has a
        share), or the best local.
        """
        roles = self.roles
        if main := [p for p, role in roles.items() if role.main]:
            return main[0]
        shared = any(role.judges for role in roles.values())
        return MIXTURE if shared and len(self.pairs) > 1 else self.best

    @property
    def best(self) -> str:
        """The single generator that `gam2` marked at the newest checkpoint; else of a population
        the one nearest to held-out data, without labels; else the best headline score (high
        quality, score, or what there is).
        """
        if marked := self._marked():
            return marked
        if ranked := {p: far for p, far in self.distances().items() if p in self.players}:
            # By name where two are equal: the same answer each time.
            return min(ranked, key=lambda p: (ranked[p], p))
        scores = {p: s for p, s in self._scores().items() if p != MIXTURE}
        metric = headline(next(iter(scores.values()))) if scores else None
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
        if self._marked():
            return "by GAM-II"
        return "by distance to held-out data, without labels" if self.distances() else ""

    def _marked(self) -> str:
        """Whom `gam2` marked; "" where nobody is, or the mark is of before, which is said."""
        if not (self.path / "best.json").exists():
            return ""
        found = read_json(self.path, "best.json", player=str)
        player = str(found["player"])
        why = outdated(self.path, found)
        if player not in self.players:
            why = f"{player}, which has left"
        if why:
            NOTES.warning(
                "%s: best.json is of %s; it does not count. Again: raygan evaluate %s --metrics"
                " gam2",
                self.path.name, why, typed(self.path),
            )  # fmt: skip
        return "" if why else player

    def distances(self) -> dict[str, float]:
        """A population: each member's last distance to held-out data (`strategy.rank_by`); empty of
        other runs.
        """
        from raygan.strategies.base import strategy_of

        # Asked first: where nothing ranks, all of a long log would be read for nothing.
        if not strategy_of(self._config()).ranks:
            return {}
        return {p: float(far) for p, far in self._distances.by_player().items()}

    def named(self, which: str) -> list[str]:
        """Whose generators `which` means. Raises ConfigError."""
        players = self.players
        if which in (MIXTURE, FITTED):
            if with_g := [p for p in self.pairs if role_of(p, self.roles).scored]:
                return with_g
            raise ConfigError(
                f"--from {which}: no pair of {self.path.name} has a generator. Use --from"
                f" {self.main_player}."
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

    def shares(self, which: str) -> dict[str, float] | None:
        """What each generator counts in a mixture: fitted, or its part's training samples; None:
        all alike. Raises ConfigError.
        """
        if which == FITTED:
            return self._fitted()
        parts = (self._info().get("data") or {}).get("parts") or {}
        if which != MIXTURE or not set(self.pairs) <= set(parts):
            return None
        return {p: float(parts[p]["train"]) for p in self.pairs}

    def _fitted(self) -> dict[str, float]:
        if not (self.path / "mixture.json").exists():
            raise ConfigError(
                "--from fitted: no shares were fitted yet. First `raygan evaluate"
                f" {typed(self.path)} --metrics mixture`."
            )
        found = read_json(self.path, "mixture.json", weights=dict)
        weights: dict[str, float] = found["weights"]
        why = outdated(self.path, found)
        # Members may have joined or left since; and the file lies in a folder that anybody may have
        # written.
        if not set(self.pairs) <= set(weights) or not all(
            isinstance(w, int | float) for w in weights.values()
        ):
            why = "other pairs"
        if why:
            raise ConfigError(
                f"run {shown(self.path)!r}: mixture.json is of {why}. Again: raygan evaluate"
                f" {typed(self.path)} --metrics mixture"
            )
        return weights


def mark_of(checkpoint: Checkpoint) -> dict[str, Any]:
    """For a file that tells of a checkpoint's generators: of which one."""
    folder = checkpoint.entry.folder if checkpoint.entry else ""
    return {"step": checkpoint.step, "checkpoint": folder}


def outdated(path: Path, found: Mapping[str, Any]) -> str:
    """Of which checkpoint such a file is, where that is not the newest; "" where it is, and of an
    older release, which did not write it: there it counts, as it did.
    """
    entries, _ = listed(path) if "checkpoint" in found else ([], [])
    if not entries or entries[-1].folder == found["checkpoint"]:
        return ""
    return f"step {found.get('step')}, and the newest checkpoint of step {entries[-1].step}"
