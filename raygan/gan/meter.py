"""What a round reports of its steps, and one look at the networks."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from raygan.gan import steps as S
from raygan.gan.types import Loss, Report


class Meter:
    """Means of what was added, and one look at the networks."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.counts: dict[str, int] = {}
        self.asked: dict[str, Tensor] = {}
        """Numbers of the one look, where they lie: the host waits for all of them at once."""

    def add(self, **values: float) -> None:
        """Count finite values in."""
        # a skipped step is told by `bad_steps`; in a mean its NaN would hide all the others
        for key, value in values.items():
            if np.isfinite(value):
                self.sums[key] = self.sums.get(key, 0.0) + value
                self.counts[key] = self.counts.get(key, 0) + 1

    def look(self, loss: Loss, real: Tensor, fake: Tensor) -> None:
        """How D judges one batch of each kind, by its logits; how often it is right where its loss
        has a threshold.
        """
        self.asked |= {"d_real": real.mean(), "d_fake": fake.mean()}
        if (at := loss.threshold) is not None:
            right = (real > at).float().mean() + (fake <= at).float().mean()
            self.asked["d_accuracy"] = 0.5 * right

    def compare(self, loss: Loss, real: Tensor, held_out: Tensor, fake: Tensor) -> None:
        """`look`, and D's cost on a training and on a held-out batch, against the same fakes, by
        its logits (GAP, Fig. 6).
        """
        self.look(loss, real, fake)
        # a loss that compares pairs real with fake one by one, and a held-out part may be smaller
        n = min(len(held_out), len(fake)) if loss.needs_real else None
        held = loss.d_loss(held_out[:n], fake[:n])
        self.asked |= {"cost_train": loss.d_loss(real, fake), "cost_held_out": held}
        # where G has lost modes, held-out samples of these stand out from all fakes
        if held_out.ndim == 1:
            self.asked["d_missed"] = (held_out > fake.max()).float().mean()

    def gradients(self, **networks: nn.Module) -> None:
        """First-layer gradient sizes (training pitfalls: the first thing to look at)."""
        for key, network in networks.items():
            # the layer that is furthest from the loss: there a gradient vanishes first
            first = next(network.parameters())
            if first.grad is not None:
                self.asked[key] = first.grad.norm()

    def means(self) -> Report:
        """The report."""
        means = {k: s / self.counts[k] for k, s in self.sums.items()}
        if not self.asked:
            return means
        # one copy to the host for all of them: on a GPU each question is a wait
        numbers = torch.stack([t.detach().float() for t in self.asked.values()]).tolist()
        return {**means, **dict(zip(self.asked, numbers, strict=True))}


def judged(d: nn.Module, *batches: Tensor) -> list[Tensor]:
    """D's logits on each batch, without a gradient and without moving its buffers."""
    with torch.no_grad():
        return [S.unmoved(d, x) for x in batches]
