"""How a pair trains: rates, optimizer, noise, averages, and where they go during a run."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field

from raygan.components import Spec
from raygan.config.section import Section


class ScheduleConfig(Section):
    """Where settings of a pair go in the course of a run (R3GAN moves all of these); what is left
    out stays as it is.
    """

    shape: Literal["cosine", "linear"] = Field(
        "cosine", description="Of the way from the start to the end value."
    )
    steps: int | None = Field(
        None,
        gt=0,
        description=(
            "Steps that it takes; end values stay after them, and where a run is made longer. None:"
            " the run's `steps` as it was begun."
        ),
    )
    lr: float | None = Field(
        None, ge=0, description="Both rates at its end, as a share of lr_g and lr_d."
    )
    beta1: float | None = Field(None, ge=0, lt=1, description="Adam's first beta at its end.")
    beta2: float | None = Field(None, ge=0, lt=1, description="Adam's second beta at its end.")
    gamma: float | None = Field(
        None, ge=0, description="The penalties' weights at its end, as a share of the loss's."
    )
    ema: float | None = Field(
        None, gt=0, lt=1, description="Decay of G's moving average at its end."
    )

    def at(self, name: str, start: float, step: int, total: int) -> float:
        """The value of a setting at a step of a run of `total` steps: start + (end - start) w, w =
        (1 - cos(pi t)) / 2 or t.

        >>> [ScheduleConfig(lr=0.5, steps=n).at("lr", 1.0, 50, 100) for n in (None, 10)]
        [0.75, 0.5]
        """
        end: float | None = getattr(self, name)
        if end is None:
            return start
        # After its end a value stays: a run that was made longer goes on at the end's rate.
        t = min(1.0, step / (self.steps or total))
        return start + (end - start) * (
            (1 - math.cos(math.pi * t)) / 2 if self.shape == "cosine" else t
        )


SCHEDULED = ("lr", "beta1", "beta2", "gamma", "ema")


class PairConfig(Section):
    """How one pair (and the global pair) trains."""

    lr_g: float = Field(2e-4, gt=0, description="Learning rate of G.")
    lr_d: float = Field(2e-4, gt=0, description="Learning rate of D.")
    optimizer: Literal["adam", "rmsprop"] = Field("adam", description="Of both networks.")
    beta1: float = Field(0.5, ge=0, lt=1, description="Adam's first beta.")
    beta2: float = Field(0.999, ge=0, lt=1, description="Adam's second beta.")
    lr_decay: Literal["constant", "linear"] = Field(
        "constant",
        description=(
            "linear: short for schedule.lr 0 in a straight line, where schedule.lr is not given; a"
            " run that is made longer stays at 0."
        ),
    )
    schedule: ScheduleConfig = ScheduleConfig()
    clip_grad_d: float | None = Field(
        None, gt=0, description="Largest global gradient norm of D (GAP's authors: 7)."
    )
    clip_grad_g: float | None = Field(None, gt=0, description="Largest global gradient norm of G.")
    input_noise: float = Field(
        0.0, ge=0, description="Std of the Gaussian noise on D's inputs at step 0."
    )
    input_noise_steps: int = Field(
        1000, gt=0, description="Steps until that noise has fallen linearly to 0."
    )
    ema: float = Field(
        0.0, ge=0, lt=1, description="Decay of the moving average of G's weights; 0 = none."
    )
    prior: Literal["gaussian", "uniform"] = Field(
        "gaussian", description="Of z: N(0, 1) or U(-1, 1)."
    )
    data_order: Literal["own", "shared"] = Field(
        "own", description="shared: the same batches as all other such pairs."
    )
    feature_matching: float = Field(
        0.0,
        ge=0,
        description=(
            "Weight of matching D's last hidden features, added to G's loss (training pitfalls)."
        ),
    )
    max_bad_steps: int = Field(
        20,
        gt=0,
        description="Consecutive skipped steps (NaN or infinite loss) after which the run stops.",
    )

    @property
    def rates(self) -> ScheduleConfig:
        """Where both rates go: what `schedule` says, else what `lr_decay` is short for."""
        if self.lr_decay == "constant" or self.schedule.lr is not None:
            return self.schedule
        return self.schedule.model_copy(update={"shape": "linear", "lr": 0.0})

    @property
    def moving(self) -> list[str]:
        """Settings that a schedule moves."""
        return [name for name in SCHEDULED if getattr(self.rates, name) is not None]

    @property
    def optimizer_words(self) -> int:
        """Numbers that the optimizer keeps for each weight."""
        return {"adam": 2, "rmsprop": 1}[self.optimizer]


class PairGroup(Section):
    """Some pairs that differ from the run's; what is left out is the run's."""

    count: int = Field(1, gt=0, description="Pairs of this kind.")
    network: Spec | None = Field(None, description="Their networks.")
    loss: Spec | None = Field(None, description="Their loss.")
    pair: dict[str, Any] = Field(
        {}, description="Settings of `pair` that differ: rates, prior, noise, data order."
    )
