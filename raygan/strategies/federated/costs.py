"""What leaves a site, and what comes to it."""

from __future__ import annotations

import math

from raygan.gan.trainer import Parts
from raygan.gan.weights import word_bytes
from raygan.strategies.base import Setup, megabytes, parcel_bytes
from raygan.strategies.federated.settings import FederatedSettings
from raygan.strategies.roles import GLOBAL


def sent(settings: FederatedSettings, parts: Parts) -> tuple[int, int]:
    """Bytes of a step: to a site, and back."""
    numbers, word = parts.batch_size * math.prod(parts.data.shape), word_bytes(settings.publish)
    return (parts.loss.d_steps + 1) * numbers * word, numbers * word + 4 * parts.batch_size


def bytes_a_step(settings: FederatedSettings, setup: Setup) -> float:
    """Of all sites, and of the swaps among them."""
    parts = setup.parts(GLOBAL)
    # a D goes with its optimizer
    swapped = parcel_bytes(parts, "D", "all") / settings.swap_every if settings.swaps else 0.0
    return setup.config.num_pairs * (sum(sent(settings, parts)) + swapped)


def traffic(settings: FederatedSettings, setup: Setup) -> list[str]:
    """The same in words, a line each."""
    parts = setup.parts(GLOBAL)
    there, back = map(megabytes, sent(settings, parts))
    lines = [
        f"to a site      {there} a step: {parts.loss.d_steps + 1} batches of G0's samples",
        f"leaves a site  {back} a step: D's logits, and their gradients by G0's samples",
    ]
    if settings.swaps:
        swap = megabytes(parcel_bytes(parts, "D", "all"))
        lines.append(
            f"               {swap} every {settings.swap_every} steps: its D, to another site"
        )
    return lines
