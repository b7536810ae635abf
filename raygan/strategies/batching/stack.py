"""One network of each of several pairs as ONE batched model; each pair's tensors stay its own, as
slices.

    pair n's tensors  =  slice n of stacked ones, (pairs, *shape): whatever reads or writes a pair sees them as ever
    Linear            ->  one batched matrix product                  a kernel for all pairs instead of one for each,
    Conv, BatchNorm   ->  grouped by pair                             which is most of a small network's time
    Adam              ->  one fused update of the stacked tensors

A pair's loss depends on its own slices alone, so the gradient of the sum of the losses is every
pair's own gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.adam import adam

from raygan.config import BATCHED_BELOW
from raygan.gan import steps as S
from raygan.gan.types import NOW, At, Loss
from raygan.gan.weights import Vector, num_words
from raygan.losses.base import Held, LossComponent, gradient_squares
from raygan.networks.base import Logits, has_batch_norm
from raygan.networks.mlp import Fourier, features
from raygan.own.names import label

POINTWISE = (nn.LeakyReLU, nn.ReLU, nn.Tanh)
LAYERS: dict[type[nn.Module], dict[str, object]] = {
    nn.Linear: {},
    nn.Conv2d: {"dilation": (1, 1), "groups": 1, "padding_mode": "zeros"},
    nn.ConvTranspose2d: {"dilation": (1, 1), "groups": 1, "output_padding": (0, 0)},
    nn.BatchNorm2d: {"affine": True, "track_running_stats": True},
    nn.GroupNorm: {"affine": True},
    nn.Flatten: {"start_dim": 1, "end_dim": -1},
    nn.Unflatten: {"dim": 1},
    Logits: {},
    Fourier: {},
    **{kind: {} for kind in POINTWISE},
}
"""What can be batched, exactly these, with these settings: a subclass computes as it likes.

mlp and dcgan are made of them.
"""


def pays(d: nn.Module) -> bool:
    """Is a batched model faster, as far as the networks tell? Grouped convolutions are not, on a
    CPU.
    """
    convolves = any(isinstance(m, nn.Conv2d) for m in d.modules())
    return next(d.parameters()).device.type != "cpu" or (
        not convolves and num_words(d) < BATCHED_BELOW
    )


def to_batch(batched: bool | None, d: nn.Module) -> bool:
    """`resources.batched`, for pairs with discriminators like this one."""
    return pays(d) if batched is None else batched


def strange(network: nn.Module) -> str | None:
    """What of a network cannot be batched, in words; None where there is nothing."""
    if type(network) is not nn.Sequential:
        return f"layers of kind {type(network).__name__} are not batched"
    tensors = list(network.named_parameters(remove_duplicate=False))
    if len(set(network)) < len(network) or len({id(p) for _, p in tensors}) < len(tensors):
        return "layers that come twice are not batched"
    for name, layer in network.named_children():
        if why := _strange_layer(name, layer):
            return why
    return "hooks are not batched" if hooked(network) else None


def _strange_layer(name: str, layer: nn.Module) -> str | None:
    wanted = LAYERS.get(type(layer))
    if wanted is None:
        return f"layers of kind {type(layer).__name__} are not batched"
    for key, value in wanted.items():
        if getattr(layer, key) != value:
            return f"{type(layer).__name__} with {key} {getattr(layer, key)} is not batched"
    if isinstance(getattr(layer, "padding", None), str) or getattr(layer, "momentum", 0.0) is None:
        return f"{type(layer).__name__} as layer {name} has it is not batched"
    if hooked(layer) or any(hooked(p) for p in layer.parameters()) or "forward" in vars(layer):
        return "hooks are not batched"
    if not layer.training or not all(p.requires_grad for p in layer.parameters()):
        return "layers that do not train are not batched"
    return None


def hooked(thing: nn.Module | nn.Parameter) -> bool:
    """Does anything listen to a layer's forward, or to a gradient?"""
    if isinstance(thing, nn.Parameter):
        return bool(thing._backward_hooks or thing._post_accumulate_grad_hooks)
    return any(value for key, value in vars(thing).items() if key.endswith("_hooks"))


def usual_penalty(loss: Loss) -> bool:
    """Is the loss's gradient penalty, if it has one, the sum over `held`?"""
    return getattr(type(loss), "penalty", None) is LossComponent.penalty


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
            S.materialise(optimizer)
        self.parameters = self._gather(self.rows)
        self.moments = {
            key: self._gather(
                [
                    [o.state[p][key] for p in row]
                    for o, row in zip(optimizers, self.rows, strict=True)
                ]
            )
            for key in (("exp_avg", "exp_avg_sq") if optimizers else ())
        }
        counts = [
            [o.state[p]["step"] for p in row] for o, row in zip(optimizers, self.rows, strict=False)
        ]
        self.updates = (
            torch.stack([torch.stack(row) for row in counts])
            if counts
            else torch.zeros(self.size, 0)
        )
        """Adam's own count of its updates, (pairs, parameters)."""
        buffers = [list(n.buffers()) for n in networks]
        self.buffers = [
            torch.stack([b.detach() for b in same]) for same in zip(*buffers, strict=True)
        ]
        for i, row in enumerate(self.rows):
            for p, mine in zip(row, self._views(self.parameters, i), strict=True):
                p.data = mine
            for j, p in enumerate(row if optimizers else []):
                optimizers[i].state[p]["step"] = self.updates[i, j]
            for key, moments in self.moments.items():
                for p, mine in zip(row, self._views(moments, i), strict=True):
                    optimizers[i].state[p][key] = mine
            for buffer, stacked in zip(buffers[i], self.buffers, strict=True):
                buffer.data = stacked[i]
        self.leaves = [
            t[:, : shape.numel()].view(self.size, *shape).requires_grad_()
            for t, shape in zip(self.parameters, self.shapes, strict=True)
        ]
        """The parameters, (pairs, *shape), as the batched model sees them."""
        self.grads = [torch.zeros_like(t) for t in self.parameters]
        self.index = {n: i for i, (n, _) in enumerate(networks[0].named_parameters())}
        self.buffer_index = {n: i for i, (n, _) in enumerate(networks[0].named_buffers())}

    def _gather(self, rows: Sequence[Sequence[Tensor]]) -> list[Tensor]:
        """[[a pair's tensors]] -> for each place in the network (pairs, numbers), zeros at the end
        of each slice.
        """
        out = []
        for same in zip(*rows, strict=True):
            count = same[0].numel()
            whole = torch.zeros(self.size, -(-count // LANES) * LANES, device=same[0].device)
            whole[:, :count] = torch.stack([t.detach().reshape(-1) for t in same])
            out.append(whole)
        return out

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
        """Are the pairs' tensors still views of these? An optimizer's are not after a restore."""
        for i, row in enumerate(self.rows):
            for j, p in enumerate(row):
                if p.data_ptr() != self.parameters[j][i].data_ptr():
                    return False
                for key, moments in self.moments.items():
                    held = self.optimizers[i].state.get(p, {}).get(key)
                    if held is None or held.data_ptr() != moments[j][i].data_ptr():
                        return False
        return True

    def __call__(self, x: Tensor, frozen: bool = False) -> Tensor:
        """Every network on its own batch: (pairs, N, *shape) -> (pairs, N, ...), in training mode.

        Images lie as (N, pairs * channels, H, W) between convolutions, which are grouped by pair.
        """
        tensors = [t.detach() for t in self.leaves] if frozen else self.leaves
        n, wide = self.size, False
        for name, layer in self.networks[0].named_children():

            def get(key: str, name: str = name) -> Tensor:
                return tensors[self.index[f"{name}.{key}"]]

            if isinstance(layer, POINTWISE):
                x = layer(x)
            elif isinstance(layer, nn.Linear):
                weight = get("weight").transpose(1, 2)
                x = (
                    torch.bmm(x, weight)
                    if layer.bias is None
                    else torch.baddbmm(get("bias").unsqueeze(1), x, weight)
                )
            elif isinstance(layer, Fourier):
                x = features(x, self.buffers[self.buffer_index[f"{name}.frequencies"]])
            elif isinstance(layer, nn.Unflatten):
                x = x.reshape(*x.shape[:2], *layer.unflattened_size)
            elif isinstance(layer, nn.Flatten):
                x = x.flatten(2)
            elif isinstance(layer, Logits):
                x = narrow(x, n) if wide else x
                x, wide = x.flatten(1) if layer.outputs == 1 else x.flatten(2), False
            else:
                if not wide:
                    x, wide = x.transpose(0, 1).flatten(1, 2), True
                x = self._grouped(name, layer, x, get)
        return narrow(x, n) if wide else x

    def _grouped(
        self, name: str, layer: nn.Module, x: Tensor, get: Callable[[str], Tensor]
    ) -> Tensor:
        n = self.size
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            assert isinstance(layer.padding, tuple), "dcgan pads by numbers"
            bias = get("bias").flatten() if layer.bias is not None else None
            weight = get("weight").flatten(0, 1)
            if isinstance(layer, nn.Conv2d):
                return F.conv2d(x, weight, bias, layer.stride, layer.padding, groups=n)
            return F.conv_transpose2d(x, weight, bias, layer.stride, layer.padding, groups=n)
        if isinstance(layer, nn.GroupNorm):
            return F.group_norm(
                x, n * layer.num_groups, get("weight").flatten(), get("bias").flatten(), layer.eps
            )
        assert isinstance(layer, nn.BatchNorm2d), f"{type(layer).__name__} is not in LAYERS"
        mean, var, seen = (
            self.buffers[self.buffer_index[f"{name}.{k}"]]
            for k in ("running_mean", "running_var", "num_batches_tracked")
        )
        seen += 1
        return F.batch_norm(
            x,
            mean.view(-1),
            var.view(-1),
            get("weight").flatten(),
            get("bias").flatten(),
            True,
            cast(float, layer.momentum),
            layer.eps,
        )

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

    @torch.no_grad()
    def apply(self, good: Sequence[bool], clip: float | None) -> None:
        """updateParameters of the pairs whose loss is finite: clip each one's gradient norm, then
        Adam.
        """
        for j, (leaf, kept) in enumerate(zip(self.leaves, self.grads, strict=True)):
            grad = cast(Tensor, leaf.grad).reshape(self.size, -1)
            if grad.shape == kept.shape:
                self.grads[j] = grad
            else:
                kept[:, : grad.shape[1]] = grad
        if clip is not None:
            norms = torch.stack([g.square().sum(1) for g in self.grads]).sum(0).sqrt()
            for grad in self.grads:
                grad *= (clip / (norms + 1e-6)).clamp(max=1.0).unsqueeze(1)
        groups = [o.param_groups[0] for o in self.optimizers]
        even = bool(
            (self.updates == self.updates[:1, :1]).all()
        )  # a skipped step, a fresh optimizer
        if all(good) and even and len({g["lr"] for g in groups}) == 1:
            self._adam(None, self.updates[0, 0].clone(), groups[0])
            self.updates += 1
            return
        for i in [i for i, fine in enumerate(good) if fine]:  # each its own, with the same rounding
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
            p, g, m, v, [], counts, fused=True, amsgrad=False, beta1=beta1, beta2=beta2, lr=group["lr"], weight_decay=0.0,
            eps=group["eps"], maximize=False,
        )  # fmt: skip


def narrow(x: Tensor, pairs: int) -> Tensor:
    """(N, pairs * C, ...) -> (pairs, N, C, ...)."""
    return x.view(x.shape[0], pairs, -1, *x.shape[2:]).transpose(0, 1)


def each(loss_of: Callable[..., Tensor], *logits: Tensor) -> Tensor:
    """Every pair's own loss, (pairs,), from logits (pairs, N, ...): at once where that leaves their
    rounding as it is.
    """
    if logits[0].shape[1] % (2 * LANES):  # loops over vector registers take two at a time
        return torch.stack([loss_of(*own) for own in zip(*logits, strict=True)])
    out: Tensor = torch.vmap(loss_of)(*logits)
    return out


def one_at_a_time(loss: Loss) -> str | None:
    """Why a loss cannot be computed for several pairs at once, in words; None where it can. It is
    tried on drawn numbers.
    """
    stream = torch.Generator().manual_seed(0)
    real, fake = (torch.randn(2, 2 * LANES, generator=stream) for _ in range(2))
    compared = [real] if loss.needs_real else []
    ways: dict[str, tuple[Callable[..., Any], Sequence[Tensor]]] = {
        "d_loss": (loss.d_loss, (real, fake)), "g_loss": (loss.g_loss, (fake, *compared)),
    }  # fmt: skip
    for name, (loss_of, logits) in ways.items():
        alone = torch.stack([loss_of(*own) for own in zip(*logits, strict=True)])
        if not _same(partial(torch.vmap(loss_of), *logits), alone):
            return (
                f"{name} of loss {_called(loss)} takes one batch at a time (.item(), `if` over a"
                " tensor, random numbers)"
            )
    if isinstance(loss, LossComponent) and type(loss).penalty_of is not LossComponent.penalty_of:
        norms = real.abs()
        if not _same(
            partial(loss.penalty_of, norms), torch.stack([loss.penalty_of(own) for own in norms])
        ):
            return (
                f"penalty_of of loss {_called(loss)} takes one batch at a time (a mean over all"
                " dimensions, .item())"
            )
    return None


def _same(at_once: Callable[[], Tensor], alone: Tensor) -> bool:
    try:
        found = at_once()
    except Exception:  # of any operation that a batched loss does not have
        return False
    return found.shape == alone.shape and torch.allclose(found, alone, rtol=1e-4, atol=1e-6)


def _called(loss: Loss) -> str:
    return label(loss.name) if isinstance(loss, LossComponent) else type(loss).__name__


def g_losses(loss: Loss, d: Stack, fake: Tensor, real: Callable[[], Tensor]) -> Tensor:
    """Every pair's own loss of G, (pairs,), on samples (pairs, N, *shape); real ones are asked for
    where the loss needs them.
    """
    compared = (
        [d.unmoved(real())] if loss.needs_real else []
    )  # first: it puts batch norm's averages back in place
    return each(loss.g_loss, d(fake, frozen=True), *compared)


def may_join(d: nn.Module, loss: Loss) -> bool:
    """May D see real and fake samples in one batch, which is faster? The same up to rounding; but
    not where batch norm looks at the whole batch, nor where the loss is linear: there a bias's
    gradient is exactly 0 where a unit is on for all samples, and Adam would turn what rounding
    leaves of it into steps. The same of the last bias where real and generated samples are
    compared.
    """
    return not (has_batch_norm(d) or loss.linear or loss.needs_real)


def d_steps(
    d: Stack,
    loss: Loss,
    real: Tensor,
    fake: Tensor,
    streams: Sequence[torch.Generator],
    clip: float | None,
    together: bool,
    at: Sequence[At],
) -> list[float]:
    """`gan.steps.d_step` of every D on its own batches (pairs, N, *shape); the losses. together:
    `may_join`.
    """
    d.zero_grad()
    losses = each(loss.d_loss, *S.logits_of(d, real, fake, together, dim=1))
    points = [held(loss, *each) for each in zip(real, fake, streams, at, strict=True)]
    values = backward(losses + penalties(d, points))
    d.apply(good := [math.isfinite(v) for v in values], clip)
    for network, fine in zip(d.networks, good, strict=True):
        if fine:
            loss.after_d_step(network)
    return values


def held(
    loss: Loss, real: Tensor, fake: Tensor, stream: torch.Generator, at: At = NOW
) -> list[Held]:
    """Of one batch (N, *shape)."""
    return cast(LossComponent, loss).held(real, fake, stream, at)


def penalties(d: Callable[[Tensor], Tensor], points: Sequence[list[Held]]) -> Tensor | float:
    """The gradient penalties of each of several batches, (pairs,), at its points; d: (pairs, N,
    *shape) to logits (pairs, N).
    """
    total: Tensor | float = 0.0
    for same in zip(*points, strict=True):
        if any(one.weight for one in same):
            squares = gradient_squares(d, torch.stack([one.points for one in same]), dims=2)
            weights = torch.tensor([one.weight for one in same], device=squares.device)
            total = total + same[0].cost(squares) * weights
    return total


def backward(losses: Tensor) -> list[float]:
    """Every pair's own gradient, from one backward pass over the losses (pairs,); the losses.

    One that is not finite spoils its own slices only.
    """
    losses.sum().backward()
    out: list[float] = losses.tolist()
    return out
