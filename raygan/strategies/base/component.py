"""A strategy: one paper.

decide(ready, progress, plan) -> [Train("pair-00", 50), Swap(...), ...]
    a pure function of the history: no cluster

`build` and `decide` are what a strategy has to say itself; all else has an answer that suits pairs
which never hear of each other, by theme: `Members`, `Pace`, `Processes`, `Costs`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from raygan.config import Config, Spec
from raygan.errors import ConfigError
from raygan.gan.pair import Sharing
from raygan.gan.types import Player
from raygan.own.names import label
from raygan.strategies.base.costs import Costs
from raygan.strategies.base.members import Members
from raygan.strategies.base.pace import Pace
from raygan.strategies.base.plan import Plan, Progress
from raygan.strategies.base.processes import Processes
from raygan.strategies.base.setup import Setup
from raygan.strategies.base.unread import without_effect
from raygan.strategies.orders import Order


class StrategyComponent(Members, Pace, Processes, Costs):
    """One paper: who plays, and what to do when players are ready."""

    @abstractmethod
    def build(self, name: str, setup: Setup, sharing: Sharing | None = None) -> Player:
        """Make a player, in the process that will host it; `sharing`: what a local publishes for a
        global pair.
        """

    @abstractmethod
    def decide(self, ready: Sequence[str], progress: Progress, plan: Plan) -> Sequence[Order]:
        """Orders for the players in `ready`, given what has happened."""

    def check(self, config: Config) -> None:
        """Raises ConfigError where this strategy and the rest of the config are at odds."""

    def check_setup(self, setup: Setup) -> None:
        """Raises ConfigError where the networks that the config builds contradict this strategy;
        before anything starts.
        """

    unread: ClassVar[Mapping[str, str]] = {}
    """Settings of `pair` that none of its players has a use for, and why."""

    def check_new(self, config: Config) -> None:
        """Raises ConfigError for what a run that is to be made may not ask for, as a setting that
        would change nothing; one that was made with it is still read, and gone on with.
        """
        seen = (config.of(player) for player in self.players(config))
        # once each: thousands of players may see one and the same config
        for own in {id(one): one for one in seen}.values():
            for name, value, why in without_effect(own, self.unread):
                raise ConfigError(
                    f"pair.{name} = {value!r}: changes nothing with strategy {label(self.name)}:"
                    f" {why}. Leave it out."
                )

    def notes(self, plan: Plan) -> list[tuple[str, str]]:
        """Named warnings about a run that works but does not do what one would expect: (name,
        text).
        """
        return []

    def pinned(self, spec: Spec, config: Config) -> Spec:
        """The strategy's settings with what must not follow the number of members, once that
        changes.
        """
        return spec

    @property
    def swaps(self) -> bool:
        """Does it ever order a Swap? Then there is a matchmaker."""
        return False

    @property
    def ranks(self) -> bool:
        """Do its members tell their distance to held-out data (`own/distance`)?"""
        return False

    @property
    def isolated(self) -> bool:
        """Do its pairs never hear of each other? A control group for those that do."""
        return False

    def apart(self, config: Config) -> str | None:
        """A player that learns from the others without a trace in them; None where there is none.
        `raygan verify` tries it.
        """
        return None

    def shortened(self, steps: int) -> StrategyComponent:
        """Itself with everything that it does from time to time done within so few steps, for
        `raygan verify`.
        """
        return self
