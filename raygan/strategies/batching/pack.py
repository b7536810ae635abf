"""Several pairs of one shape trained as ONE batched model; each stays a pair with its own streams,
optimizer and place in the journal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import copy

import torch
from torch import Tensor

from raygan.gan import steps as S
from raygan.gan.host_copies import up
from raygan.gan.later import read
from raygan.gan.meter import Meter, judged
from raygan.gan.pair import Pair
from raygan.gan.types import Board, Report
from raygan.gan.weights import Vector
from raygan.strategies.batching.alike import own
from raygan.strategies.batching.fits import may_join
from raygan.strategies.batching.losses import d_steps, g_losses, updated
from raygan.strategies.batching.stack import Stack


class Pack:
    """Trains its pairs step by step, all at once; `Pair.train` of each, with other kernels."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self.pairs = list(pairs)
        self.together = may_join(pairs[0].d, pairs[0].loss)
        self.bind()

    def bind(self) -> None:
        """Make the pairs' tensors slices of stacked ones."""
        self.g = Stack([p.g for p in self.pairs], [p.opt_g for p in self.pairs])
        self.d = Stack([p.d for p in self.pairs], [p.opt_d for p in self.pairs])
        self.average = (
            Stack([p.average for p in self.pairs]) if self.pairs[0].config.ema else self.g
        )

    def train(self, steps: int, board: Board) -> list[Report]:
        """`steps` steps of every pair; their reports. Raises NonFiniteError as a pair does."""
        if not self.bound:
            self.bind()
        meters = [Meter() for _ in self.pairs]
        for i in range(steps):
            losses = self.one_step(meters if i == steps - 1 else None)
            for meter, (loss_d, loss_g) in zip(meters, losses, strict=True):
                meter.add(loss_d=loss_d, loss_g=loss_g)
            self.publish(board)
        # of all pairs at once: on a device each question is a wait
        found = read([value for m in meters for value in m.values()])
        return [
            {**m.means(found), "bad_steps": float(p.bad_steps.total), **p.own()}
            for p, m in zip(self.pairs, meters, strict=True)
        ]

    def publish(self, board: Board) -> None:
        """What is due: at once where it is due of all, without buffers (a forward moves them), and
        all publish as plain pairs do.
        """
        due = [p for p in self.pairs if p.sharing.due(p.step)]
        odd = any(own(p, name) for p in due for name in ("publication", "shared_samples"))
        if odd or len(due) < len(self.pairs) or self.d.buffers or self.g.buffers:
            for pair in due:
                board.publish(pair.publication())
            return
        for pair, d, g in zip(self.pairs, self.d.flat(), self._shared(), strict=True):
            board.publish(pair.publication(d, g))

    def _shared(self) -> Sequence[Vector]:
        """Of every G its samples, or its weights."""
        first = self.pairs[0]
        if not (count := first.sharing.samples):
            return self.g.flat()
        streams = [p.streams.at("share", p.step) for p in self.pairs]
        z = torch.stack(
            [
                torch.cat([p.noise(s) for _ in range(count)])
                for p, s in zip(self.pairs, streams, strict=True)
            ]
        )
        with torch.no_grad():
            x = self.g(z)
        out: Vector = x.reshape(len(x), count, first.batch_size, *x.shape[2:]).cpu().numpy()
        out.flags.writeable = False
        return list(out)

    def one_step(self, probes: Sequence[Meter] | None = None) -> list[tuple[float, float]]:
        """I_D updates of each D, then one of each G: (loss_d, loss_g) of each pair."""
        pairs, first = self.pairs, self.pairs[0]
        for pair in pairs:
            pair.set_rates()
        # each pair's own streams, in the order in which it would draw by itself: the bits of a pair
        # do not depend on who is packed with it
        noise = [p.streams.at("noise", p.step) for p in pairs]
        extra = [p.streams.at("penalty", p.step) for p in pairs]
        data = [p.data_streams.at("data", p.step, "cpu") for p in pairs]
        blurred = first.config.input_noise > 0
        worst_d = [0.0] * len(pairs)
        for i in range(first.loss.d_steps):
            real = torch.stack(
                [p.data.batch(p.batch_size, s, p.device) for p, s in zip(pairs, data, strict=True)]
            )
            with torch.no_grad():
                fake = self.g(self._noise(noise))
            if blurred:
                real, fake = (
                    torch.stack([p.blur(x, s) for p, x, s in zip(pairs, batch, extra, strict=True)])
                    for batch in (real, fake)
                )
            at = [p.update_of_d(i, first.loss.d_steps) for p in pairs]
            values = d_steps(
                self.d, first.loss, real, fake, extra, first.config.clip_grad_d, self.together, at
            )
            worst_d = [
                v if math.isfinite(old) else old for v, old in zip(values, worst_d, strict=True)
            ]
        if probes is not None:
            self._look(probes, real, fake)
        z = self._noise(noise)
        self.g.zero_grad()
        fake = self.g(z)
        if blurred:
            # drawn for a tensor of zeros, as a pair by itself does it: the noise alone
            fake = fake + torch.stack(
                [p.blur(torch.zeros_like(f), s) for p, f, s in zip(pairs, fake, extra, strict=True)]
            )
        losses_g = updated(
            self.g, g_losses(first.loss, self.d, fake, lambda: real), first.config.clip_grad_g
        )
        if probes is not None:
            # the probes ask the pairs' own parameters for their gradients
            self.g.hand_out()
            self.d.hand_out()
            for pair, probe in zip(pairs, probes, strict=True):
                probe.gradients(grad_g=pair.g, grad_d=pair.d)
        if self.average is not self.g:
            follow(self.average, self.g, [p.scheduled.ema(p.step) for p in pairs])
            # in place: each pair's average holds slices of these
            for ours, theirs in zip(self.average.buffers, self.g.buffers, strict=True):
                ours.copy_(theirs)
        for pair, loss_d, loss_g in zip(pairs, worst_d, losses_g, strict=True):
            pair.step += 1
            pair.bad_steps.note(pair.step, loss_d=loss_d, loss_g=loss_g)
        return list(zip(worst_d, losses_g, strict=True))

    def _look(self, probes: Sequence[Meter], real: Tensor, fake: Tensor) -> None:
        """What `Pair.one_step` notes of D, of each pair's."""
        held = [
            up(
                p.data.held_out_batch(p.batch_size, p.data_streams.at("held-out", p.step, "cpu")),
                p.device,
            )
            for p in self.pairs
        ]
        if len({len(x) for x in held}) > 1:  # pairs with parts of their own
            self._look_alone(probes, real, held, fake)
            return
        # a look moves nothing (`steps.unmoved`)
        kept = [b.clone() for b in self.d.buffers]
        with torch.no_grad():
            seen = [self.d(x) for x in (real, torch.stack(held), fake)]
            for buffer, before in zip(self.d.buffers, kept, strict=True):
                buffer.copy_(before)
        for pair, probe, r, h, f in zip(self.pairs, probes, *seen, strict=True):
            probe.compare(pair.loss, r, h, f)

    def _look_alone(
        self, probes: Sequence[Meter], real: Tensor, held: Sequence[Tensor], fake: Tensor
    ) -> None:
        """The same, one pair after the other."""
        for i, (pair, probe) in enumerate(zip(self.pairs, probes, strict=True)):
            probe.compare(pair.loss, *judged(pair.d, real[i], held[i], fake[i]))

    def snapshot(self) -> Callable[[], None]:
        """A copy of all that training changes; a function that puts it back."""
        if not self.bound:
            self.bind()
        tensors = [
            t for stack in dict.fromkeys((self.g, self.d, self.average)) for t in stack.tensors
        ]
        copies = [t.clone() for t in tensors]
        counts = [(p, p.step, copy(p.bad_steps)) for p in self.pairs]

        def put_back() -> None:
            # in place: the pairs' tensors are slices of these
            for tensor, before in zip(tensors, copies, strict=True):
                tensor.copy_(before)
            for pair, step, bad_steps in counts:
                pair.step, pair.bad_steps = step, copy(bad_steps)

        return put_back

    def check(self) -> None:
        """`Pair.check` of each, at once where all is well."""
        floats = [t for stack in (self.g, self.d) for t in stack.tensors if t.is_floating_point()]
        # squares may overflow where all is finite: then each pair looks for itself
        if not torch.stack(torch._foreach_norm(floats)).isfinite().all():
            for pair in self.pairs:
                pair.check()

    @property
    def bound(self) -> bool:
        """Are the pairs' tensors slices of the stacked ones?"""
        return self.g.bound and self.d.bound and self.average.bound

    def _noise(self, streams: Sequence[torch.Generator]) -> Tensor:
        return torch.stack([p.noise(s) for p, s in zip(self.pairs, streams, strict=True)])


def follow(average: Stack, now: Stack, decays: Sequence[float]) -> None:
    """Each average a step after its G, by its pair's own decay."""
    if len(set(decays)) == 1:
        S.update_average(average.parameters, now.parameters, decays[0])
        return
    # pairs at unlike steps of a schedule: async, or one that has joined
    for i, decay in enumerate(decays):
        ours, theirs = ([t[i] for t in stack.parameters] for stack in (average, now))
        S.update_average(ours, theirs, decay)
