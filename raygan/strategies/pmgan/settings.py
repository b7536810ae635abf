"""PMGAN's settings, apart from its strategy: the players know these, the strategy knows the
players.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from raygan.config import Config
from raygan.gan.balance import Balance
from raygan.gan.weights import Precision
from raygan.strategies.base import StrategyComponent


class PmganSettings(StrategyComponent):
    """Settings of the judge and of the balance; the generators' loss is the run's (reverse_kl is
    the paper's).
    """

    feedback: Literal["weights", "gradients"] = Field(
        "weights",
        description=(
            "What generators get: D's and C's weights, or d loss / d samples of their slot."
        ),
    )
    judge_update: Literal["all_fresh", "any_fresh"] = Field(
        "all_fresh",
        description=(
            "async: the judge steps when all slots are new (the paper's C), or when one is."
        ),
    )
    balance: Balance = Field(
        "bounded",
        description=(
            "beta: bounded, paper (eq. 4 literally), constant (MGAN), learned (a multiplier that"
            " holds each generator's overlap at balance_target), off."
        ),
    )
    balance_scale: Literal["K", "1"] = Field(
        "K", description="Sum of beta: K e^lambda, or e^lambda."
    )
    balance_target: float = Field(
        0.05, ge=0, lt=1, description="Overlap with others that balance learned lets be."
    )
    balance_lr: float = Field(0.05, gt=0, le=1, description="Rate of balance learned.")
    diversity: float = Field(
        0.0, ge=-20, le=20, description="lambda: larger = the generators keep further apart."
    )
    decay: float = Field(0.0, ge=0, description="alpha: beta shrinks by exp(-alpha step).")
    generator_batch: Literal["full", "share"] = Field(
        "full",
        description=(
            "A generator's own step on batch_size samples (the paper), or on its share of the"
            " judge's batch (MGAN)."
        ),
    )
    publish: Precision = Field(
        "float32",
        description=(
            "Of the weights and samples that are published; the two short ones have half the bytes."
        ),
    )
    statistics: Literal["own", "mixture"] = Field(
        "own",
        description=(
            "Batch norm in D and C while the judge trains: of each generator's samples alone, or of"
            " all together."
        ),
    )
    joint: bool = Field(
        False,
        description=(
            "D and C are one (K+1)-way network, as in MAD-GAN: its classes are the generators, and"
            " real."
        ),
    )
    classes: int | None = Field(
        None, gt=0, description="Outputs of C; more than num_pairs leaves room for joiners."
    )
    max_lag: int = Field(
        20,
        ge=0,
        description=(
            "async: steps that a generator may be ahead of the judge's updates; with all_fresh,"
            " less than max_ahead."
        ),
    )

    def num_classes(self, config: Config) -> int:
        """Outputs of C."""
        return self.classes or config.num_pairs
