"""One network of each of several pairs as ONE batched model; each pair's tensors stay its own, as
slices.

    pair n's tensors  =  slice n of stacked ones, (pairs, *shape): whatever reads or writes a pair
                         sees them as ever
    Linear            ->  one batched matrix product         a kernel for all pairs instead of one
    Conv, BatchNorm   ->  grouped by pair (layers.py)        for each, which is most of a small
    Adam              ->  one fused update of the stacked    network's time
                          tensors
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from raygan.gan.optimizers import materialise
from raygan.gan.weights import Vector
from raygan.strategies.batching.layers import forward

LANES = 16
"""A slice is a multiple of so many numbers, so that a number's place in the vector registers, on
which the rounding of its update hangs, is the same in each slice.
"""


class Stack:
    """One network of each pair, and its Adam where it has one, as stacked tensors (pairs, numbers);
    theirs are views of them.
    """

    def __init__(
        self, networks: Sequence[nn.Module], optimizers: Sequence[torch.optim.Optimizer] = ()
    ) -> None:
        self.networks, self.optimizers = networks, optimizers
        self.size = len(networks)
        self.rows = [list(n.parameters()) for n in networks]
        self.shapes = [p.shape for p in self.rows[0]]
        for optimizer in optimizers:
            materialise(optimizer)
        self.parameters = gather(self.rows)
        self.moments = {
            key: gather(
                [
                    [o.state[p][key] for p in row]
                    for o, row in zip(optimizers, self.rows, strict=True)
                ]
            )
            for key in (("exp_avg", "exp_avg_sq") if optimizers else ())
        }
        self.updates = counts_of(optimizers, self.rows)
        """Adam's own count of its updates, (pairs, parameters)."""
        self.buffers = [
            torch.stack([b.detach() for b in same])
            for same in zip(*(n.buffers() for n in networks), strict=True)
        ]
        self._bind()
        self.leaves = [
            t[:, : shape.numel()].view(self.size, *shape).requires_grad_()
            for t, shape in zip(self.parameters, self.shapes, strict=True)
        ]
        """The parameters, (pairs, *shape), as the batched model sees them."""
        self.grads = [torch.zeros_like(t) for t in self.parameters]
        self.names = [n for n, _ in networks[0].named_parameters()]
        self.buffers_by_name = dict(
            zip((n for n, _ in networks[0].named_buffers()), self.buffers, strict=True)
        )

    def _bind(self) -> None:
        """Make each network's tensors, and its optimizer's, slices of the stacked ones."""
        for i, (network, row) in enumerate(zip(self.networks, self.rows, strict=True)):
            # .data: the parameters stay the objects that optimizers, hooks and users hold
            for p, mine in zip(row, self._views(self.parameters, i), strict=True):
                p.data = mine
            for j, p in enumerate(row if self.optimizers else []):
                self.optimizers[i].state[p]["step"] = self.updates[i, j]
            for key, moments in self.moments.items():
                for p, mine in zip(row, self._views(moments, i), strict=True):
                    self.optimizers[i].state[p][key] = mine
            for buffer, stacked in zip(network.buffers(), self.buffers, strict=True):
                buffer.data = stacked[i]

    def flat(self) -> list[Vector]:
        """`weights.flatten` of each network without buffers."""
        used = [
            t[:, : shape.numel()] for t, shape in zip(self.parameters, self.shapes, strict=True)
        ]
        whole: Vector = torch.cat(used, 1).cpu().numpy()
        whole.flags.writeable = False
        return list(whole)

    def _views(self, stacked: Sequence[Tensor], pair: int) -> list[Tensor]:
        """A pair's own tensors."""
        return [
            t[pair, : shape.numel()].view(shape)
            for t, shape in zip(stacked, self.shapes, strict=True)
        ]

    @property
    def tensors(self) -> list[Tensor]:
        """All that is stacked here, and changes."""
        return [
            *self.parameters,
            *(t for moments in self.moments.values() for t in moments),
            self.updates,
            *self.buffers,
        ]

    @property
    def bound(self) -> bool:
        """Are the pairs' tensors still views of these? An optimizer's are not after a restore, a
        buffer is not where a forward() has put another in its place.
        """
        for i, row in enumerate(self.rows):
            for j, p in enumerate(row):
                # by address: a restore or a move to a device gives a tensor another one
                if p.data_ptr() != self.parameters[j][i].data_ptr():
                    return False
                for key, moments in self.moments.items():
                    held = self.optimizers[i].state.get(p, {}).get(key)
                    if held is None or held.data_ptr() != moments[j][i].data_ptr():
                        return False
        return all(
            buffer.data_ptr() == stacked[i].data_ptr()
            for i, network in enumerate(self.networks)
            for buffer, stacked in zip(network.buffers(), self.buffers, strict=True)
        )

    def __call__(self, x: Tensor, frozen: bool = False) -> Tensor:
        """Every network on its own batch: (pairs, N, *shape) -> (pairs, N, ...), in training mode.

        frozen: no gradient reaches the parameters; G's step does not pay for D's.
        """
        leaves = [t.detach() for t in self.leaves] if frozen else self.leaves
        tensors = {**dict(zip(self.names, leaves, strict=True)), **self.buffers_by_name}
        return forward(self.networks[0], x, self.size, tensors)

    @torch.no_grad()
    def unmoved(self, x: Tensor) -> Tensor:
        """The same without a gradient; batch norm's running averages do not move."""
        kept = [b.clone() for b in self.buffers]
        out = self(x, frozen=True)
        for buffer, before in zip(self.buffers, kept, strict=True):
            buffer.copy_(before)
        return out

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for leaf in self.leaves:
            leaf.grad = None

    def hand_out(self) -> None:
        """Each network's own gradients."""
        for i, row in enumerate(self.rows):
            for p, mine in zip(row, self._views(self.grads, i), strict=True):
                p.grad = mine

    def even(self) -> Tensor:
        """Has each network had as many updates? (); else, after a skipped step or beside an
        optimizer that came fresh, Adam's corrections of its first moments, one number a call, are
        of one network only.
        """
        return (self.updates == self.updates[:1, :1]).all()

    @torch.no_grad()
    def apply(self, good: Sequence[bool], clip: float | None, even: bool) -> None:
        """updateParameters of the pairs whose loss is finite: clip each one's gradient norm, then
        Adam. even: `Stack.even`, which was asked with the losses.
        """
        for j, (leaf, kept) in enumerate(zip(self.leaves, self.grads, strict=True)):
            grad = cast(Tensor, leaf.grad).reshape(self.size, -1)
            # a slice that fills its lanes needs no copy
            if grad.shape == kept.shape:
                self.grads[j] = grad
            else:
                kept[:, : grad.shape[1]] = grad
        if clip is not None:
            norms = torch.stack([g.square().sum(1) for g in self.grads]).sum(0).sqrt()
            for grad in self.grads:
                # as clip_grad_norm_ does it, of each pair by itself
                grad *= (clip / (norms + 1e-6)).clamp(max=1.0).unsqueeze(1)
        groups = [o.param_groups[0] for o in self.optimizers]
        if all(good) and even and len({(g["lr"], g["betas"]) for g in groups}) == 1:
            self._adam(None, self.updates[0, 0].clone(), groups[0])
            self.updates += 1
            return
        # each its own: a slice by itself is updated with the rounding that it has among the others
        for i in [i for i, fine in enumerate(good) if fine]:
            self._adam(i, self.updates[i, 0].clone(), groups[i])
            self.updates[i] += 1

    def _adam(self, which: int | None, count: Tensor, group: dict[str, Any]) -> None:
        """Of one pair, or of all."""
        p, g, m, v = (
            ts if which is None else [t[which] for t in ts]
            for ts in (
                self.parameters,
                self.grads,
                self.moments["exp_avg"],
                self.moments["exp_avg_sq"],
            )
        )
        (beta1, beta2), counts = group["betas"], [count.clone() for _ in p]
        adam(
            p, g, m, v, [], counts, fused=True, amsgrad=False, beta1=beta1, beta2=beta2,
            lr=group["lr"], weight_decay=0.0, eps=group["eps"], maximize=False,
        )  # fmt: skip


def gather(rows: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """[[a pair's tensors]] -> for each place in the network (pairs, numbers), zeros at the end of
    each slice.
    """
    out = []
    for same in zip(*rows, strict=True):
        count = same[0].numel()
        whole = torch.zeros(len(same), -(-count // LANES) * LANES, device=same[0].device)
        # the rest stays 0, and so do its gradient, its moments and its steps
        whole[:, :count] = torch.stack([t.detach().reshape(-1) for t in same])
        out.append(whole)
    return out


def counts_of(
    optimizers: Sequence[torch.optim.Optimizer], rows: Sequence[Sequence[Tensor]]
) -> Tensor:
    """The updates that each Adam has made of each parameter, (pairs, parameters); (pairs, 0) where
    there are none.
    """
    held = zip(optimizers, rows, strict=False)
    counts = [torch.stack([o.state[p]["step"] for p in row]) for o, row in held]
    return torch.stack(counts) if counts else torch.zeros(len(rows), 0)
