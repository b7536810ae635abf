"""What a run does when something breaks (decision 21)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from raygan.config.section import Section

Action = Literal["restart", "without", "stop"]


class FailuresConfig(Section):
    """What to do when something breaks: restart from the journal's head, go on without the player,
    or stop (resumable).
    """

    death: Action = Field("restart", description="A player's process is gone.")
    oom: Action = Field("restart", description="The node killed a player for memory.")
    hang: Action = Field("restart", description="A player made no progress within the lease.")
    node: Action = Field("restart", description="A player's machine is gone.")
    preempted: Action = Field(
        "restart", description="A player's machine was taken away with notice."
    )
    head: Literal["restart", "stop"] = Field(
        "restart",
        description=(
            "A process of the Ray that the run has started for itself is gone: start another Ray."
        ),
    )
    non_finite: Literal["without", "stop"] = Field(
        "without",
        description="NaN or infinity that rolling back did not cure: retire the pair, or stop.",
    )
    budget: int = Field(3, ge=0, description="Failures of one kind that a run survives.")
    preemptions: int | None = Field(
        None,
        ge=0,
        description=(
            "Times that machines are taken away with notice, of their own; None: any number."
        ),
    )
    evaluator: int = Field(
        3,
        ge=0,
        description=(
            "Deaths of the evaluator in a row after which the run goes on without scores (exit 4)."
        ),
    )
    rollbacks: int = Field(
        2,
        ge=0,
        description=(
            "Times that a round with NaN is repeated from its beginning with other random numbers."
        ),
    )
    lease_s: float = Field(
        60.0, gt=0, description="Seconds within which a busy player must get a step further."
    )
