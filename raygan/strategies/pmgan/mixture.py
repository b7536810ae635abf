"""What the judge looks at in one update: a batch of the mixture of all generators."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raygan.gan import steps as S
from raygan.gan.balance import Values
from raygan.gan.weights import Publication, whole
from raygan.strategies.pmgan.networks import OwnStatistics
from raygan.strategies.pmgan.slots import share_of
from raygan.strategies.roles import number_of


@dataclass(frozen=True)
class Mixture:
    """As many generated samples as real ones, in equal shares (Fig. 1)."""

    batches: Mapping[str, Tensor]
    """generator -> its samples (share, *shape)."""
    fake: Tensor
    """All of them, (N, *shape)."""
    labels: Tensor
    """The class of each sample, (N,)."""
    active: Tensor
    """(classes,) bool: the others are kept out of the softmax, so that nobody can be taken for one
    who is not there.
    """

    @classmethod
    def of(
        cls, slots: Mapping[str, Publication], batch_size: int, classes: int, device: torch.device
    ) -> Mixture:
        """Beside so many real samples. classes: of C; more than there are generators, where others
        may come.
        """
        share = share_of(batch_size, len(slots))
        taken = {g: whole(slot.arrays["samples"][:share]) for g, slot in slots.items()}
        batches = {g: torch.from_numpy(x).to(device) for g, x in taken.items()}
        labels = [number_of(g) for g, x in batches.items() for _ in range(len(x))]
        active = torch.zeros(classes, dtype=torch.bool, device=device)
        active[[number_of(g) for g in batches]] = True
        fake = torch.cat(list(batches.values()))
        return cls(batches, fake, torch.tensor(labels, device=device), active)

    @property
    def indices(self) -> list[int]:
        """The generators' classes."""
        return [number_of(g) for g in self.batches]

    @property
    def sizes(self) -> list[int]:
        """Samples of each."""
        return [len(x) for x in self.batches.values()]

    def by_generator(self, network: nn.Module) -> nn.Module:
        """The network as each generator will use it: on its own samples' statistics alone."""
        return OwnStatistics(network, self.sizes)

    def values(
        self, d: nn.Module, c: nn.Module, real: Tensor, fake: Tensor
    ) -> tuple[Values, Values]:
        """J_k^D and J_k^C of each generator, (K,) each; no buffer moves. real, fake: both under the
        noise that D is trained with, which else would tell them apart.
        """
        with torch.no_grad():
            on_real = -F.softplus(-S.unmoved(d, real)).mean()
            on_fake = -F.softplus(S.unmoved(d, fake))
            log_p = S.unmoved(c, self.fake).masked_fill(~self.active, -math.inf).log_softmax(1)
        means = [v.mean() for v in on_fake.split(self.sizes)]
        parts = zip(self.indices, log_p.split(self.sizes), strict=True)
        own = [v[:, i].mean() for i, v in parts]
        of_real, *found = torch.stack([on_real, *means, *own]).tolist()  # one question, one wait
        return np.array([of_real + v for v in found[: len(means)]]), np.array(found[len(means) :])
