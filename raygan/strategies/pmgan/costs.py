"""What PMGAN sends: a slot and an answer, a generator and step."""

from __future__ import annotations

import math

from raygan.config import Config
from raygan.gan.weights import num_words, word_bytes
from raygan.strategies.base import Setup, megabytes
from raygan.strategies.pmgan.settings import PmganSettings
from raygan.strategies.pmgan.slots import share_of
from raygan.strategies.roles import JUDGE


def slot_samples(pmgan: PmganSettings, config: Config) -> int:
    """Samples in a slot: what the judge looks at, or the generator's whole batch where it answers
    with a gradient for each.
    """
    if pmgan.feedback == "gradients" and pmgan.generator_batch == "full":
        return config.batch_size
    shared = pmgan.generator_batch == "share"
    return share_of(config.batch_size, pmgan.num_classes(config) if shared else config.num_pairs)


def slot_bytes(pmgan: PmganSettings, setup: Setup) -> int:
    """Of a generator's samples in its slot."""
    numbers = slot_samples(pmgan, setup.config) * math.prod(setup.data.shape)
    return numbers * word_bytes(pmgan.publish)


def answer_bytes(pmgan: PmganSettings, setup: Setup) -> int:
    """To a generator: D and C, or a gradient for each of its samples."""
    config, shape = setup.config, setup.data.shape
    if pmgan.feedback == "gradients":
        return slot_samples(pmgan, config) * math.prod(shape) * 4
    d = num_words(pmgan.discriminator(config, JUDGE, shape))
    c = num_words(setup.classifier(JUDGE, pmgan.num_classes(config) + pmgan.joint))
    return (d + c) * word_bytes(pmgan.publish)


def bytes_a_step(pmgan: PmganSettings, setup: Setup) -> float:
    """A slot and an answer a generator."""
    return setup.config.num_pairs * (slot_bytes(pmgan, setup) + answer_bytes(pmgan, setup))


def traffic(pmgan: PmganSettings, setup: Setup) -> list[str]:
    """Both ways: a slot to the judge, an answer back."""
    slot, answer = (megabytes(f(pmgan, setup)) for f in (slot_bytes, answer_bytes))
    classes = pmgan.num_classes(setup.config)
    return [
        f"a slot         {slot} a generator and step, of which one is kept",
        f"an answer      {answer} a generator and step ({pmgan.feedback}), {classes} classes",
    ]
