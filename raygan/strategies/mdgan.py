"""MD-GAN: one generator, a discriminator beside each worker's data, which workers swap among each
other now and then (Hardy, Le Merrer, Sericola, 2019): federated training on summed losses,
a baseline.
"""

from __future__ import annotations

from pydantic import Field

from raygan.strategies.federated.combining import Combine
from raygan.strategies.federated.strategy import Federated


class Mdgan(Federated):
    """Workers' discriminators are summed, and swapped."""

    combine: Combine = Field("sum", description="Of the losses; odds: no MD-GAN any more.")
    swap_every: int = Field(100, ge=0, description="Steps between two swaps; 0: none (MD-GAN's E).")
