"""Who plays in a run, what the run is for, and whom `--from` means."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from raygan.config import Config
from raygan.controller.bucket_copies import shown, typed
from raygan.controller.checkpoint import Checkpoint
from raygan.controller.checkpoint_index import listed
from raygan.controller.jsonl import NOTES, read_json
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
        last_scores: Callable[[int | None], dict[str, dict[str, Any]]],
    ) -> None:
        """last_scores: of everybody who was ever scored, up to a step."""
        self.path = path
        self._info, self._config, self._last_scores = info, config, last_scores
        self._distances = Newest(
            path / "metrics.jsonl",
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
        """The names of the local pairs."""
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

    def scores(self, until: int | None = None) -> dict[str, dict[str, Any]]:
        """The last scores of each player (and of the mixture, while there is one), with their
        `step`; until: up to that one. Who has left is not among them: nobody can sample it any
        more.
        """
        roles, there = self.roles, {*self.players}
        kinds = [role_of(p, roles) for p in there]
        # A mixture of one is none, and its last scores are of those who have left.
        if sum(role.pair and role.scored for role in kinds) > 1:
            there.add(MIXTURE)
        return {p: row for p, row in self._last_scores(until).items() if p in there}

    @property
    def best(self) -> str:
        """The single generator that `gam2` marked at the newest checkpoint; else of a population
        the one nearest to held-out data, without labels; else the best headline score (high
        quality, score, or what there is).
        """
        if marked := self._marked():
            return marked
        if ranked := self.distances():
            # By name where two are equal: the same answer each time.
            return min(ranked, key=lambda p: (ranked[p], p))
        scores = {p: s for p, s in self.scores().items() if p != MIXTURE}
        metric = headline({name: None for row in scores.values() for name in row})
        # One that joined late, or whose metric failed, may have no such score yet.
        found = {p: float(s[metric]) for p, s in scores.items() if metric in s}
        top = next(iter(found), self.pairs[0])
        for player, value in found.items():
            if better(str(metric), value, found[top]):
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
        other runs. Who has left is not among them.
        """
        from raygan.strategies.base import strategy_of

        # Asked first: where nothing ranks, all of a long log would be read for nothing.
        if not strategy_of(self._config()).ranks:
            return {}
        there = set(self.players)
        return {p: float(far) for p, far in self._distances.by_player().items() if p in there}

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
        name, (kind, _, number) = which, which.partition(":")
        if kind == "pair" and number.isdecimal():
            # By the number in its name, which a member keeps when others leave; not by its place.
            ends = {p: p.rpartition("-")[2] for p in self.pairs}
            numbered = {int(end): p for p, end in ends.items() if end.isdecimal()}
            if int(number) not in numbered:
                raise ConfigError(f"--from {which!r}: the run has {spans(numbered)}.")
            name = numbered[int(number)]
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
            return fitted_shares(self.path, self.pairs)
        parts = (self._info().get("data") or {}).get("parts") or {}
        if which != MIXTURE or not set(self.pairs) <= set(parts):
            return None
        return {p: float(parts[p]["train"]) for p in self.pairs}


def spans(numbers: Iterable[int]) -> str:
    """Pairs by their numbers, as `--from` takes them.

    >>> spans([0, 1, 2, 5]), spans([3])
    ('pair:0 to pair:2, pair:5', 'pair:3')
    """
    ends: list[list[int]] = []
    for number in sorted(numbers):
        if ends and number == ends[-1][-1] + 1:
            ends[-1] = [ends[-1][0], number]
        else:
            ends.append([number])
    return ", ".join(" to ".join(f"pair:{n}" for n in span) for span in ends)


def fitted_shares(path: Path, pairs: Sequence[str]) -> dict[str, float]:
    """What mixture.json says of these pairs. Raises ConfigError."""
    if not (path / "mixture.json").exists():
        raise ConfigError(
            "--from fitted: no shares were fitted yet. First `raygan evaluate"
            f" {typed(path)} --metrics mixture`."
        )
    found = read_json(path, "mixture.json", weights=dict)
    weights: dict[str, float] = found["weights"]
    why = outdated(path, found)
    # Members may have joined or left since; and the file lies in a folder that anybody may have
    # written.
    if not set(pairs) <= set(weights) or not all(
        isinstance(w, int | float) for w in weights.values()
    ):
        why = "other pairs"
    if why:
        raise ConfigError(
            f"run {shown(path)!r}: mixture.json is of {why}. Again: raygan evaluate"
            f" {typed(path)} --metrics mixture"
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
