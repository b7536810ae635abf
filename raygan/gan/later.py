"""Losses that the host reads later.

On the host a loss is a number at once. Of a device it stays a tensor () there: to ask for it is to
wait until the device is through, and a step of a small network is over sooner than it is begun. So
the host asks once a round, for all of them (`read`), and an update by a loss that is not finite is
left out by the optimizer, without a question (`skips`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

Value = float | Tensor
"""A number, or a tensor () of a device that nobody has looked at."""


def read(values: Iterable[Value]) -> dict[int, float]:
    """The numbers, by the `id` of each tensor among the values, which the caller still holds: one
    wait for all of them.
    """
    waiting = {id(v): v for v in values if isinstance(v, Tensor)}
    if not waiting:
        return {}
    wide = any(t.dtype == torch.float64 for t in waiting.values())
    dtype = torch.float64 if wide else torch.float32
    stacked = torch.stack([t.detach().to(dtype) for t in waiting.values()])
    return dict(zip(waiting, stacked.tolist(), strict=True))


def number(value: Value, found: Mapping[int, float]) -> float:
    """Of a value that was among those that were read."""
    return found[id(value)] if isinstance(value, Tensor) else value


def numbers(values: Iterable[Value]) -> list[float]:
    """All of them, now."""
    values = list(values)
    found = read(values)
    return [number(value, found) for value in values]


def bad_or_last(values: Iterable[Value]) -> Value:
    """Of several updates in one step: one bad update marks it, also where a good one follows.

    >>> bad_or_last([0.5, float("nan"), 0.25]), bad_or_last([0.5, 0.25])
    (nan, 0.25)
    """
    last: Value = 0.0
    for value in values:
        if isinstance(last, Tensor):
            last = torch.where(last.isfinite(), value, last)
        else:
            last = value if math.isfinite(last) else last
    return last


def skips(optimizer: torch.optim.Optimizer, device: torch.device) -> bool:
    """Can it leave an update out by a number of the device? (torch's gradient scaler asks that of
    fused ones; those of MPS do not look at it.)
    """
    return device.type in ("cuda", "xpu") and bool(optimizer.param_groups[0].get("fused"))
