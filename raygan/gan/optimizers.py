"""torch's own optimizers, without what comes along with their first update; and their moments as
one vector, as a publication and a swap carry them.

torch imports its compiler there: 1.3 s and 70 MB in each process (benchmarks/LOG.md, "Packs"), for
nothing, since nobody compiles here; and each step opens a record of the profiler. The arithmetic is
torch's, bit for bit.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from raygan.gan.weights import as_words, from_words

for _name in ("add_param_group", "state_dict", "load_state_dict", "zero_grad"):
    _bare = inspect.unwrap(getattr(Optimizer, _name))
    _bare.__dynamo_disable = _bare  # what torch keeps there once it has imported its compiler


def _bare_step(kind: type[Optimizer]) -> Any:
    step = torch.no_grad()(inspect.unwrap(kind.step))
    step.hooked = True  # no record of the profiler around it
    return step


class Adam(torch.optim.Adam):
    """`torch.optim.Adam`."""

    step = _bare_step(torch.optim.Adam)


class RMSprop(torch.optim.RMSprop):
    """`torch.optim.RMSprop`."""

    step = _bare_step(torch.optim.RMSprop)


def make_optimizer(
    kind: str, parameters: Iterable[nn.Parameter], lr: float, beta1: float, beta2: float
) -> torch.optim.Optimizer:
    """Adam (fused: same bits, fewer kernels) or RMSProp."""
    if kind == "adam":
        return Adam(parameters, lr=lr, betas=(beta1, beta2), fused=True)
    return RMSprop(parameters, lr=lr)


def zero_grad(optimizer: torch.optim.Optimizer) -> None:
    """Forget the gradients."""
    for p in optimizer.param_groups[0]["params"]:
        p.grad = None


def flatten_optimizer(optimizer: torch.optim.Optimizer) -> npt.NDArray[np.float32]:
    """An optimizer's tensors as one frozen vector (`as_words`); zeros before its first step."""
    return as_words(_tensors(optimizer))


def unflatten_optimizer(optimizer: torch.optim.Optimizer, flat: npt.NDArray[np.float32]) -> None:
    """Give `optimizer` the state of another one over networks of the same shapes, from
    `flatten_optimizer`.
    """
    from_words(_tensors(optimizer), flat)


def _tensors(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """All of them, by parameter."""
    materialise(optimizer)
    parameters = optimizer.param_groups[0]["params"]
    return [tensor for p in parameters for _, tensor in _slots(optimizer, p)]


def materialise(optimizer: torch.optim.Optimizer) -> None:
    """Make the tensors that an optimizer makes at its first step, all zero: as good as none."""
    # an optimizer that has made a step has them; making them anew would lose its moments
    if optimizer.state:
        return
    parameters = optimizer.param_groups[0]["params"]
    before = [(p.detach().clone(), p.grad) for p in parameters]
    for p in parameters:
        # a step with gradients of zero makes them as torch does, in its order and of its types
        p.grad = torch.zeros_like(p)
    optimizer.step()
    with torch.no_grad():
        for p, (old, grad) in zip(parameters, before, strict=True):
            p.copy_(old)
            p.grad = grad
            for _, tensor in _slots(optimizer, p):
                tensor.zero_()


def forget(optimizer: torch.optim.Optimizer) -> None:
    """Make an optimizer as good as new, in place."""
    with torch.no_grad():
        # in place: a batched model holds these very tensors as slices
        for slots in optimizer.state.values():
            for tensor in slots.values():
                tensor.zero_()


def _slots(optimizer: torch.optim.Optimizer, parameter: nn.Parameter) -> list[tuple[str, Tensor]]:
    """A parameter's tensors by name: the order in which they were made differs after a restore."""
    slots = optimizer.state[parameter]
    return [(k, slots[k]) for k in sorted(slots) if isinstance(slots[k], Tensor)]
