"""Between a device and the host: many tensors as one copy, since the host waits for each.

Tensors of the host cost what they did: each is copied by itself, once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


def here(tensor: Tensor) -> bool:
    """Is it on the host?"""
    return tensor.device.type == "cpu"


def up(tensor: Tensor, device: torch.device) -> Tensor:
    """There, from the host, which does not wait where the device fetches by itself."""
    if device.type in ("cuda", "xpu") and here(tensor):
        # torch keeps this memory until the copy is through
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def readable(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
    """Where the host can read them: themselves, if that is where they are."""
    return tensors if all(map(here, tensors)) else on_host(tensors)


def on_host(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Copies on the host, each with memory of its own, of tensors of any types and shapes."""
    away = [i for i, t in enumerate(tensors) if not here(t)]
    out = [t.detach().clone() if here(t) else t.detach() for t in tensors]
    if away:
        # as bytes, since one cat takes one type: counters, masks and halves travel with the floats
        pieces = [as_bytes(out[i]) for i in away]
        whole = torch.cat(pieces).cpu()
        for i, raw in zip(away, whole.split([len(p) for p in pieces]), strict=True):
            like = tensors[i]
            # a clone, since a piece may begin at any byte, and a view needs its type's alignment
            out[i] = raw.clone().view(like.dtype).view(like.shape)
    return out


def state_on_host(state: Mapping[str, object]) -> dict[str, object]:
    """The same with copies of its tensors on the host."""
    names = [name for name, value in state.items() if isinstance(value, Tensor)]
    copies = on_host([value for value in state.values() if isinstance(value, Tensor)])
    return {**state, **dict(zip(names, copies, strict=True))}


def put(tensors: Sequence[Tensor], raw: Sequence[Tensor]) -> None:
    """Fill tensors of one device with bytes of the host (bytes,), at least as many: one copy."""
    whole = torch.cat(list(raw)).to(tensors[0].device)
    with torch.no_grad():
        for tensor, piece in zip(tensors, whole.split([len(r) for r in raw]), strict=True):
            held = piece[: tensor.numel() * tensor.element_size()].clone()
            tensor.copy_(held.view(tensor.dtype).view(tensor.shape))


def as_bytes(tensor: Tensor) -> Tensor:
    """A tensor's numbers as bytes (bytes,), in the order in which they lie."""
    return tensor.contiguous().reshape(-1).view(torch.uint8)
