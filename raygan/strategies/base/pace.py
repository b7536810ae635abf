"""Who waits for whom, and what happens to the others when one comes, goes or falls behind."""

from __future__ import annotations

from collections.abc import Mapping

from raygan.config import Component, Config
from raygan.strategies.base.plan import Plan


class Pace(Component):
    """What a strategy says of its players' steps beside each other. Asked by the controller, above
    all where players train at their own pace (async).
    """

    @property
    def elastic(self) -> bool:
        """May members join and leave while the run goes on?"""
        return True

    def follows(self, player: str) -> bool:
        """Are its steps the slowest one's, so that nobody can be ahead of it?"""
        return False

    def waits_within(self, player: str) -> bool:
        """async: does it wait for all others of these within its rounds? Then these keep within
        `max_ahead` of each other by that, and nobody holds one of them for another.
        """
        return False

    def answers(self, config: Config) -> list[str]:
        """async: players for whose answer others wait within a round; a run that is to stop has
        these go on until nobody does.
        """
        return []

    def readers(self, config: Config, player: str) -> int:
        """The most players that wait at once for what this one publishes (Board.peek)."""
        return 1

    def comes_back_alone(self, player: str) -> bool:
        """async: may this player go on from its own part of a checkpoint while the others are
        further? Not where it holds what another one had then.
        """
        return self.elastic

    def lag_bound(self, config: Config) -> int | None:
        """Steps that the main player's copies of the others may be behind, on the mean; None: not
        told.
        """
        return None

    def stop_targets(self, done: Mapping[str, int], plan: Plan) -> dict[str, int]:
        """A consistent cut near `done`: where each player should stop so that a checkpoint can be
        taken.
        """
        return dict(done)
