"""D and C as the judge and the generators see them: under whose statistics, and as one network."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class OwnStatistics(nn.Module):
    """A network with batch norm on several generators' samples in one tensor: each one's are
    normalised by themselves, and real samples in parts of the same sizes. Otherwise D learns on the
    mixture's statistics what a generator, which has only its own samples, then asks it under
    others.
    """

    def __init__(self, network: nn.Module, sizes: list[int]) -> None:
        super().__init__()
        self.network = network
        self.sizes = sizes

    def forward(self, x: Tensor) -> Tensor:
        """(N, *shape) to (N, ...)."""
        # generators' samples by their sizes; of other lengths, as real samples are, in equal parts
        parts = list(x.split(self.sizes if len(x) == sum(self.sizes) else self.sizes[0]))
        if len(parts) > 1 and len(parts[-1]) == 1:  # a rest of one has no statistics
            parts[-2:] = [torch.cat(parts[-2:])]
        return torch.cat([self.network(part) for part in parts])


class RealOrNot(nn.Module):
    """D of a (K+1)-way network, the last class being "real": logit p / (1 - p) of it, (N,)."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        """l_real - log sum_k exp l_k; d_loss and CE(C) of this pair add up to the cross-entropy
        over K+1 classes.
        """
        logits: Tensor = self.body(x)
        return logits[:, -1] - logits[:, :-1].logsumexp(1)


class WhichOne(nn.Module):
    """C of a (K+1)-way network: the generators' logits, (N, K)."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        """All but the last."""
        logits: Tensor = self.body(x)
        return logits[:, :-1]
