"""SGAN's settings, apart from its strategy: players know these, the strategy knows the players."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from raygan.config import Config, Spec, load_component
from raygan.errors import ConfigError
from raygan.gan.weights import Precision
from raygan.own.names import label
from raygan.strategies.base import StrategyComponent


class SganSettings(StrategyComponent):
    """Settings of the global pair; the defaults are Algorithm 1 as printed."""

    variant: Literal["full", "simplified", "early_global"] = Field(
        "full",
        description=(
            "simplified: no messengers; early_global: G0 also after each local update (App. A.2)."
        ),
    )
    messenger_steps: int | None = Field(
        None, gt=0, description="Updates of a messenger against G0; None = I_D."
    )
    messenger_lr_scale: float = Field(
        1.0, gt=0, description="A messenger's rate, in units of pair.lr_d."
    )
    messenger_optimizer: Literal["fresh", "clone", "persist"] = Field(
        "fresh",
        description=(
            "Its state: new at each copy, copied from the local's, or kept from copy to copy."
        ),
    )
    messenger_lifetime: int = Field(
        1, gt=0, description="Iterations until messengers are copied anew (R; paper: 1)."
    )
    combine: Literal["sum", "mean", "odds"] = Field(
        "sum",
        description=(
            "Gradients over the N opponents; clipping sees the mean. odds: strategy federated's."
        ),
    )
    global_d_steps: int = Field(1, gt=0, description="Updates of D0 an iteration (paper: one).")
    opponents: Literal["uniform", "payoff"] = Field(
        "uniform",
        description="payoff: opponents that the global pair loses against weigh more (section 6).",
    )
    payoff_temperature: float = Field(
        1.0, gt=0, description="Of the softmax over payoffs; large = uniform."
    )
    share_generators: Literal["auto", "samples", "weights"] = Field(
        "auto", description="How G_n reaches D0; auto = whichever is fewer bytes."
    )
    publish: Precision = Field(
        "float32",
        description=(
            "Of the weights and samples that locals publish; the two short ones have half the"
            " bytes."
        ),
    )
    over: Spec = Field(
        default={"name": "independent"},
        description=(
            "What the locals do among themselves: independent, gap, pmgan; `over.SETTING` sets its"
            " settings."
        ),
    )
    messenger_shards: int = Field(
        1,
        gt=0,
        description="Processes that share the messengers; the global pair's own is one of them.",
    )
    max_lead: int = Field(
        200, gt=0, description="lockstep: steps that a local may be ahead of the global pair."
    )
    max_lag: int = Field(
        100,
        ge=0,
        description=(
            "async: steps that a used copy may be behind the newest one published; its publisher"
            " may be messenger_lifetime - 1 further."
        ),
    )

    @property
    def inner(self) -> StrategyComponent:
        """The locals' own strategy."""
        inner = load_component("strategy", self.over)
        assert isinstance(inner, StrategyComponent), "strategies/ holds StrategyComponents only"
        return inner

    def check(self, config: Config) -> None:
        """A copy must not be older than the bound while it is in use; locals that can be learned
        from.
        """
        if self.over.get("name") == "sgan":
            raise ConfigError(
                "strategy.sgan.over = 'sgan': a global pair learns from locals. Use independent,"
                " gap or pmgan."
            )
        if not self.inner.publishes:
            raise ConfigError(
                f"strategy.sgan.over = {label(self.inner.name)!r}: its pairs publish nothing that a"
                " global pair could learn from. Use independent, gap or pmgan."
            )
        self.inner.check(config)
        if self.combine == "odds":
            raise ConfigError(
                "strategy.sgan.combine = 'odds': odds need messengers that stay with their data and"
                " are never copied anew. Use --strategy federated."
            )
        if self.messenger_shards > 1 and self.variant == "early_global":
            raise ConfigError(
                f"strategy.sgan.messenger_shards = {self.messenger_shards}: variant early_global"
                " goes from one messenger to the next. Set it to 1, or use --strategy.variant"
                " full."
            )
        if self.messenger_shards > config.num_pairs:
            raise ConfigError(
                f"strategy.sgan.messenger_shards = {self.messenger_shards}: there are"
                f" {config.num_pairs} pairs, a messenger each. Lower it."
            )
        if self.over.get("feedback") == "gradients":
            raise ConfigError(
                "strategy.sgan.over.feedback = 'gradients': its generators hold no discriminator"
                " that a messenger could copy. Use feedback weights."
            )
        if config.pace == "async" and self.messenger_lifetime > self.max_lag:
            instead = "lower messenger_lifetime" if self.max_lag else "use --max-ahead 0 (lockstep)"
            raise ConfigError(
                f"strategy.sgan.max_lag = {self.max_lag} is below messenger_lifetime ="
                f" {self.messenger_lifetime}. Raise max_lag or {instead}."
            )
