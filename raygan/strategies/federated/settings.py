"""Settings of federated training, apart from its strategy: the players know these,
the strategy knows the players.
"""

from __future__ import annotations

from typing import cast

from pydantic import Field

from raygan.config import Config
from raygan.errors import ConfigError
from raygan.gan.weights import Precision
from raygan.losses.base import LossComponent
from raygan.networks.base import NetworkComponent
from raygan.strategies.base import Plan, StrategyComponent
from raygan.strategies.federated.combining import Combine


class FederatedSettings(StrategyComponent):
    """Of G0, and of the sites' discriminators."""

    combine: Combine = Field(
        "odds",
        description=(
            "odds: G0 learns from log sum pi_n exp(logit_n), as from a D that has seen all data"
            " (UA-GAN); sum: from the weighted sum of its losses (MD-GAN)."
        ),
    )
    swap_every: int = Field(
        0,
        ge=0,
        description="Steps between two swaps of discriminators among sites (MD-GAN); 0: none.",
    )
    publish: Precision = Field(
        "float32", description="Of G0's samples and the sites' gradients on their way."
    )
    trust: float = Field(
        0.1,
        ge=0,
        lt=1,
        description=(
            "Least agreement of a site's gradients with its own logits, on the mean of the last"
            " steps, below which it is left out; 0: no look."
        ),
    )

    @property
    def swaps(self) -> bool:
        """Discriminators, among sites."""
        return self.swap_every > 0

    def check(self, config: Config) -> None:
        """In turn, by logits that mean something."""
        if config.pace == "async":
            raise ConfigError(
                f"tempo = async: strategy {self.name} goes by turns, samples out and answers back."
                " Use --tempo lockstep."
            )
        for player in self.players(config):
            own = config.of(player)
            loss = cast(LossComponent, own.component("loss"))
            network = cast(NetworkComponent, own.component("network"))
            if network.judges > 1:
                raise ConfigError(
                    f"network.judges = {network.judges}: a site of strategy {self.name} answers"
                    " with one logit a sample. Set it to 1, with loss non_saturating."
                )
            if loss.needs_real:
                raise ConfigError(
                    f"loss {loss.name}: it pairs each generated sample with a real one, and the"
                    f" centre of strategy {self.name} has none. Use non_saturating or dragan."
                )
            if self.combine == "odds" and not loss.density_ratio:
                raise ConfigError(
                    f"loss {loss.name}: its logits are no log density ratios, so that"
                    f" strategy.{self.name}.combine = 'odds' has nothing to add up. Use"
                    " non_saturating, dragan or reverse_kl."
                )

    def notes(self, plan: Plan) -> list[tuple[str, str]]:
        """A sum over unlike data."""
        if self.combine == "odds" or plan.unlike is None:
            return []
        return [("W111 sum-over-unlike-data",
                 f"combine = sum, and each site has other data (data.partition = {plan.unlike}): "
                 "what is right for one is wrong for all others. Use combine odds")]  # fmt: skip

    def shortened(self, steps: int) -> FederatedSettings:
        """Five swaps, where there are any."""
        return self.model_copy(update={"swap_every": min(self.swap_every, max(1, steps // 5))})
