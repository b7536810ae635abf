"""What SGAN sends: publications of the locals, tasks of the deputies and their answers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from raygan.gan.pair import Sharing
from raygan.gan.trainer import Parts
from raygan.gan.weights import num_words
from raygan.strategies.base import Setup, megabytes
from raygan.strategies.roles import GLOBAL

if TYPE_CHECKING:
    from raygan.strategies.sgan.settings import SganSettings


def sharing_of(settings: SganSettings, parts: Parts) -> Sharing:
    """What each local publishes, and how often."""
    batches = settings.messenger_lifetime * settings.global_d_steps
    as_samples = batches * parts.batch_size * math.prod(parts.data.shape)
    # G_n itself says no more to D0 than the batches that it would draw from it: whichever is fewer
    # bytes
    samples = settings.share_generators == "samples" or (
        settings.share_generators == "auto" and as_samples < num_words(parts.generator)
    )
    return Sharing(
        every=settings.messenger_lifetime,
        samples=batches if samples else 0,
        # "fresh" and "persist" need nothing of the local's optimizer: two thirds of the bytes less
        optimizer=settings.messenger_optimizer == "clone",
        precision=settings.publish,
    )


def deputy_bytes(parts: Parts) -> tuple[int, int]:
    """A step's to a deputy, and back: G0, D0 and G0's batch; gradients by the batch and by D0's
    weights.
    """
    d = num_words(parts.discriminator)
    batch = parts.batch_size * math.prod(parts.data.shape)
    return 4 * (num_words(parts.generator) + d + batch), 4 * (batch + d)


def bytes_a_step(settings: SganSettings, setup: Setup) -> float:
    """What the global pair pulls from each local, and what its deputies get and answer."""
    parts = setup.parts(GLOBAL)
    sharing = sharing_of(settings, parts)
    pulled = setup.config.num_pairs * sharing.nbytes(parts) / sharing.every
    return pulled + (settings.messenger_shards - 1) * sum(deputy_bytes(parts))


def traffic(settings: SganSettings, setup: Setup) -> list[str]:
    """A pull's, what locals and the object store hold of them, the deputies'."""
    config, parts = setup.config, setup.parts(GLOBAL)
    sharing, rounds = sharing_of(settings, parts), config.round_steps
    store_mb, deputies = config.resources.object_store_mb, settings.messenger_shards - 1
    pull = sharing.nbytes(parts)
    # a local that is `max_lead` ahead keeps all that the global pair has not used, and goes on with
    # its round
    held = config.num_pairs * pull * math.ceil((settings.max_lead + rounds) / sharing.every)
    in_store = config.num_pairs * pull * math.ceil(rounds / sharing.every)
    lines = [
        (
            f"a pull         {megabytes(pull)} a local every {sharing.every} steps: D, and G as"
            f" {'samples' if sharing.samples else 'weights'}"
        ),
        f"held by locals at most {megabytes(held)} (max_lead {settings.max_lead})",
        (f"object store   about {megabytes(in_store)} a round of {rounds} steps, of {store_mb} MB"),
    ]
    if deputies:
        there, back = (megabytes(b) for b in deputy_bytes(parts))
        lines.append(
            f"deputies       {deputies}: {there} to each, {back} back, at each of its steps"
        )
    if in_store > 0.7 * store_mb * 2**20:
        lines.append(
            "               more than 70 % of the store: lower round_steps or raise"
            " messenger_lifetime"
        )
    return lines
