"""What a round reports of its steps, and one look at the networks."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from raygan.gan import steps as S
from raygan.gan.bad_steps import WAIT
from raygan.gan.later import Value, number, read
from raygan.gan.types import Loss, Report


class Meter:
    """Means of what was added, and one look at the networks."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.counts: dict[str, int] = {}
        self.rows: list[dict[str, Value]] = []
        """What was added and nobody has looked at yet."""
        self.asked: dict[str, Tensor] = {}
        """Numbers of the one look, where they lie: the host waits for all of them at once."""
        self.given: dict[str, Value] = {}
        """Of a number: the loss without which it says nothing."""

    def add(self, **values: Value) -> None:
        """Count finite values in."""
        if not any(isinstance(value, Tensor) for value in values.values()):
            self._count(values, {})
            return
        self.rows.append(values)
        # each number there holds a piece of the device's memory
        if len(self.rows) > WAIT:
            self._settle(read(value for row in self.rows for value in row.values()))

    def _settle(self, found: Mapping[int, float]) -> None:
        for row in self.rows:
            self._count(row, found)
        self.rows = []

    def _count(self, values: Mapping[str, Value], found: Mapping[int, float]) -> None:
        # a skipped step is told by `bad_steps`; in a mean its NaN would hide all the others
        for key, value in values.items():
            if math.isfinite(one := number(value, found)):
                self.sums[key] = self.sums.get(key, 0.0) + one
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

    def gradients(self, losses: Mapping[str, Value] | None = None, **networks: nn.Module) -> None:
        """First-layer gradient sizes (training pitfalls: the first thing to look at); `losses`:
        each one's, since a step that was skipped has none.
        """
        for key, network in networks.items():
            # the layer that is furthest from the loss: there a gradient vanishes first
            first = next(network.parameters())
            if first.grad is not None:
                self.asked[key] = first.grad.norm()
        self.given |= losses or {}

    def values(self) -> list[Value]:
        """All that is to be read for `means`."""
        losses = [value for row in self.rows for value in row.values()]
        return [*losses, *self.asked.values(), *self.given.values()]

    def means(self, found: Mapping[int, float]) -> Report:
        """The report; found: `later.read` of its values."""
        self._settle(found)
        means = {k: s / self.counts[k] for k, s in self.sums.items()}
        skipped = {k for k, v in self.given.items() if not math.isfinite(number(v, found))}
        return {**means, **{k: found[id(t)] for k, t in self.asked.items() if k not in skipped}}


def judged(d: nn.Module, *batches: Tensor) -> list[Tensor]:
    """D's logits on each batch, without a gradient and without moving its buffers."""
    with torch.no_grad():
        return [S.unmoved(d, x) for x in batches]
