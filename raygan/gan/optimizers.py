"""torch's own optimizers, without what comes along with their first update.

torch imports its compiler there: 1.3 s and 70 MB in each process (benchmarks/LOG.md, "Packs"), for
nothing, since nobody compiles here; and each step opens a record of the profiler. The arithmetic is
torch's, bit for bit.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch.optim import Optimizer

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
