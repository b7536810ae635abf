"""Checks of a metric."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import torch

from raygan.metrics.own import measured
from raygan.testing.needs import need, part_of


def check_metric(metric: Any, shape: tuple[int, ...] = (2,)) -> None:
    """Numbers, finite, the same for the same samples; samples (N, *shape) are left as they are."""
    part = part_of("metric", metric)
    random = torch.Generator().manual_seed(0)
    samples, held_out = (torch.randn(64, *shape, generator=random) for _ in range(2))
    before = samples.clone(), held_out.clone()
    with contextlib.suppress(Exception):  # what it raises is told below
        part.measure(samples, held_out)
    need(torch.equal(samples, before[0]) and torch.equal(held_out, before[1]), part,
          "changes the samples that it is given", "Work on a copy.")  # fmt: skip
    (first, failed), (again, _) = (measured([part], samples, held_out) for _ in range(2))
    need(not failed, part, "; ".join(failed.values()), "Return a number, or {name: number}.")
    for name, value in first.items():
        need(math.isfinite(value), part, f"{name} is {value} on samples from N(0, 1)",
              "Give a finite number.")  # fmt: skip
        need(value == again[name], part, f"{name} is {value}, then {again[name]} for the same",
              "Draw from nothing but a seed of its own.")  # fmt: skip
