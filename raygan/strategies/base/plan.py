"""What a strategy decides by: how far all are, and where everybody stops for a moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from raygan.config import Config, Tempo
from raygan.strategies.partition import unlike


@dataclass(frozen=True)
class Progress:
    """What has happened so far, as far as decisions depend on it."""

    done: Mapping[str, int]
    """Steps of each player."""
    swapped: Mapping[str, int] = field(default_factory=dict)
    """Each player's own step at its last swap."""
    losses: Mapping[str, float] = field(default_factory=dict)
    """loss_d of each player, the mean over its steps since the last meeting (or its beginning)."""
    waited: Mapping[str, float] = field(default_factory=dict)
    """Seconds that each ready player has been ready (async only)."""
    own: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """What each player said of itself at its last round's end (its report's `own/NAME`), finite."""
    credit: Mapping[str, int] = field(default_factory=dict)
    """Steps that a joiner was behind at first; nobody waits for these (controller/max_ahead)."""


@dataclass(frozen=True)
class Plan:
    """How far, and where everybody stops for a moment."""

    steps: int
    tempo: Tempo
    round_steps: int
    evaluate_every: int
    checkpoint_every: int
    seed: int = 0
    epoch_steps: float = 0.0
    """Updates that an epoch takes: training samples / batch size."""
    max_ahead: int | None = None
    """async: steps that a player may be ahead of the slowest (controller/max_ahead); None: any."""
    unlike: str | None = None
    """What gives pairs unlike data (`data.partition`); None where it does not."""

    @classmethod
    def of(cls, config: Config, samples: int) -> Plan:
        """The plan of a config over a training set of so many samples."""
        return cls(
            config.steps,
            config.pace,
            config.round_steps,
            config.evaluation.every_steps,
            config.checkpoint.every_steps,
            config.seed,
            samples / config.batch_size,
            config.max_ahead,
            unlike(config),
        )

    def next_stop(self, step: int) -> int:
        """The first step after `step` at which a round ends.

        >>> Plan(1000, "lockstep", 50, 120, 500).next_stop(100)
        120
        """
        return min(
            self.steps,
            *(
                (step // n + 1) * n
                for n in (self.round_steps, self.evaluate_every, self.checkpoint_every)
            ),
        )

    def evaluates_at(self, step: int) -> bool:
        """Is every generator scored at this step?"""
        # the last step always: a run ends with scores, and with a checkpoint, of what it has become
        return step == self.steps or step % self.evaluate_every == 0

    def saves_at(self, step: int) -> bool:
        """Is this step written to disk?"""
        return step == self.steps or step % self.checkpoint_every == 0
