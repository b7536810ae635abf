"""PMGAN's slots: what is in one, and what the judge and its generators compute from one alike.

A slot is kept on its generator's shelf, gen-03/slot: `controller.worker.Shelves`, and between
processes `actors.publications`.
"""

from __future__ import annotations

import math
import time
import zlib

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raygan.errors import RayganError
from raygan.gan import steps as S
from raygan.gan.later import numbers
from raygan.gan.random_streams import Streams
from raygan.gan.types import Loss
from raygan.gan.weights import Publication, Words

LOOK_S = 0.1
"""Seconds of one wait for something fresh; between two, changes of the members are seen."""


def slot_of(generator: str) -> str:
    """The shelf of a generator's slot."""
    return f"{generator}/slot"


def write_slot(generator: str, version: int, samples: Words, loss: float) -> Publication:
    """One immutable object: samples (N, *shape), G's loss, the time, and a checksum over the
    samples.
    """
    checksum = crc(samples)
    # float64 holds a version and the 32 bits of a CRC exactly
    facts = np.array([version, checksum, loss, time.time()], np.float64)  # noqa: TID251  shown only
    return Publication(slot_of(generator), version, {"samples": samples, "facts": facts})


def share_of(batch_size: int, generators: int) -> int:
    """Samples of each generator in the judge's batch.

    >>> share_of(64, 5)
    13
    """
    return -(-batch_size // max(1, generators))


def crc(samples: Words) -> int:
    """Over the bytes."""
    return zlib.crc32(np.ascontiguousarray(samples).reshape(-1).view(np.uint8).data)


def check_slot(slot: Publication) -> None:
    """Raises RayganError for a slot that is not one generator's one write."""
    version, checksum = slot.arrays["facts"][:2]
    if int(version) != slot.version or int(checksum) != crc(slot.arrays["samples"]):
        raise RayganError(
            f"{slot.player}: a torn slot (version {slot.version}). Report this as a defect."
        )


def noise_of(streams: Streams, step: int) -> torch.Generator:
    """A generator's, of what D sees of its samples of one step, whoever asks D: the generator, or
    the judge for it.
    """
    return streams.at("seen", step)


def overlap(logits: Tensor, labels: Tensor, active: Tensor) -> Tensor:
    """CE of C's logits (N, classes), a scalar; `active` (classes,) bool: only these classes take
    part in the softmax.
    """
    return F.cross_entropy(logits.masked_fill(~active, -math.inf), labels)


def generator_loss(
    loss: Loss,
    d: nn.Module,
    c: nn.Module,
    x: Tensor,
    seen: Tensor,
    index: int,
    weight: float,
    active: Tensor,
) -> tuple[Tensor, list[float]]:
    """g_loss(D(seen)) + beta_k CE(C(x), k), a graph; and as numbers it, the first term and the
    second one's CE. D's and C's buffers do not move. seen: x under the noise that D was trained
    with; C knows samples as they are.
    """
    # D and C are the judge's: what a generator asks them must not move their running averages
    logits = S.unmoved(d, seen)
    adversarial = loss.g_loss(logits)
    labels = torch.full((len(x),), index, device=x.device)
    own = S.unmoved(c, x)
    crossing = overlap(own, labels, active)
    total = adversarial + weight * crossing
    return total, numbers([total, adversarial, crossing])
