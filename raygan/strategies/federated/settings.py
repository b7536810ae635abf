"""Settings of federated training, apart from its strategy: the players know these, the strategy knows
the players.
"""

from __future__ import annotations

from pydantic import Field

from raygan.gan.weights import Precision
from raygan.strategies.base import StrategyComponent
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
