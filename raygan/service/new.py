"""`raygan new loss focal`: a file with a part that works, to be changed, and its test."""

from __future__ import annotations

import keyword
import sys
from pathlib import Path

from raygan.components import KINDS, names
from raygan.controller.files import write_within
from raygan.errors import ConfigError, did_you_mean

LOSS = '''"""A loss. raygan train --loss ./{file}.py"""

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from raygan.losses.base import LossComponent


class {name}(LossComponent):
    """Fields are settings: --loss.scale 2."""

    scale: float = Field(1.0, gt=0, description="Factor of G's loss.")

    def d_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """What D minimises: one number, from its logits (N,) on real and on fake samples."""
        return F.softplus(-real).mean() + F.softplus(fake).mean()  # -log p(real) - log(1 - p(fake))

    def g_loss(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """What G minimises: one number, from D's logits (N,) on its samples."""
        return self.scale * F.softplus(-fake).mean()  # -log p(fake)
'''
NETWORK = '''"""A network. raygan train --network ./{file}.py"""

import math

from pydantic import Field
from torch import nn

from raygan.networks.base import Init, Logits, NetworkComponent


class {name}(NetworkComponent):
    """Fields are settings: --network.width 64."""

    width: int = Field(32, gt=0, description="Units of the hidden layer.")

    @property
    def _init(self) -> Init:
        return "torch"  # or "normal": N(0, 0.02), as DCGAN

    def _generator(self, shape: tuple[int, ...]) -> nn.Module:
        """z (N, z_dim) -> samples (N, *shape)."""
        last = nn.Linear(self.width, math.prod(shape))
        layers = nn.Linear(self.z_dim, self.width), nn.ReLU(), last
        # images live in [-1, 1]: end with nn.Tanh()
        return self._sequential(*layers, nn.Unflatten(1, shape))

    def _discriminator(self, shape: tuple[int, ...], outputs: int = 1) -> nn.Module:
        """Samples (N, *shape) -> logits (N,), or (N, outputs) as a classifier (`Logits`)."""
        layers = nn.Linear(math.prod(shape), self.width), nn.ReLU(), nn.Linear(self.width, outputs)
        return self._sequential(nn.Flatten(), *layers, Logits(outputs))
'''
DATA = '''"""A data set. raygan train --data ./{file}.py"""

import numpy as np
from pydantic import Field

from raygan.data.base import DataComponent, Samples


class {name}(DataComponent):
    """Fields are settings: --data.count 5000."""

    count: int = Field(2000, gt=0, description="Training points.")

    def load(self, seed: int) -> Samples:
        """Points (N, features) float32, or images (N, C, H, W) uint8.

        The same seed gives the same samples.
        """
        train = np.random.default_rng([seed, 0]).standard_normal((self.count, 2)).astype(np.float32)
        held_out = np.random.default_rng([seed, 1]).standard_normal((500, 2)).astype(np.float32)
        # nobody trains on held_out: scores use it
        return Samples("{file}", train, held_out, split="fresh draws")
'''
STRATEGY = '''"""A strategy. raygan train --strategy ./{file}.py"""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from raygan.config import Config
from raygan.gan.pair import Pair, Sharing
from raygan.strategies.orders import Order, Swap, Train
from raygan.strategies.base import Plan, Progress, Setup, StrategyComponent


class {name}(StrategyComponent):
    """Each pair takes its neighbour's D every `every` steps.

    Fields are settings: --strategy.every 10.
    """

    every: int = Field(20, gt=0, description="Steps between two swaps.")

    # its players order swaps; members neither join nor leave
    swaps: ClassVar[bool] = True
    elastic: ClassVar[bool] = False

    def build(self, name: str, setup: Setup, sharing: Sharing | None = None) -> Pair:
        """A player, in the process that hosts it."""
        return Pair(name, setup.parts(name), sharing)

    def decide(self, ready: Sequence[str], progress: Progress, plan: Plan) -> Sequence[Order]:
        """Orders for those in `ready`.

        A function of its arguments alone, so that a resumed run decides alike.
        """
        done, orders = progress.done, list[Order]()
        last = min(done.values())
        due = 0 < last < plan.steps and last % self.every == 0 and set(done.values()) == {{last}}
        owing = any(progress.swapped.get(p, 0) < last for p in done)
        if due and len(done) > 1 and len(ready) == len(done) and owing:
            order = sorted(done)
            # (player, whose D it takes)
            return [Swap(last, tuple(zip(order, order[1:] + order[:1], strict=True)))]
        for p in ready:
            swapped = len(done) == 1 or progress.swapped.get(p, 0) == done[p]
            met = done[p] % self.every or not done[p] or swapped
            if done[p] < plan.steps and met:
                next_swap = (done[p] // self.every + 1) * self.every
                orders.append(Train(p, min(plan.next_stop(done[p]), next_swap) - done[p]))
        return orders

    def check(self, config: Config) -> None:
        """Raises ConfigError where the rest of the config does not fit."""
'''
METRIC = '''"""A metric.

raygan train --metrics ./{file}.py, or raygan evaluate RUN --metrics ./{file}.py
"""

from torch import Tensor


def {file}(samples: Tensor, held_out: Tensor) -> dict[str, float]:
    """Of samples (N, *shape) against held-out ones; a number, or several by name.

    Further parameters are settings.
    """
    mean = float((samples.mean(0) - held_out.mean(0)).norm())
    return {{"mean": mean, "std": float(samples.std() / held_out.std())}}
'''
TEST = '''"""What every {kind} has to keep: raygan.testing. Run: pytest test_{file}.py"""

from {file} import {name}

from raygan.testing import check_{kind}


def test_{file}() -> None:
    check_{kind}({name}())
'''
METRIC_TEST = '''"""Run: pytest test_{file}.py"""

import torch

from {file} import {file}

from raygan.testing import check_metric


def test_{file}() -> None:
    check_metric({file})


def test_{file}_of_the_data_itself() -> None:
    x = torch.randn(100, 2)
    assert {file}(x, x) == {{"mean": 0.0, "std": 1.0}}
'''
TEMPLATES = {
    "loss": (LOSS, TEST),
    "network": (NETWORK, TEST),
    "data": (DATA, TEST),
    "strategy": (STRATEGY, TEST),
    "metric": (METRIC, METRIC_TEST),
}


def write_new(kind: str, name: str, to: Path) -> tuple[Path, Path]:
    """The part's file and its test's, in the folder `to`. Raises ConfigError; nothing is
    overwritten.
    """
    if kind not in TEMPLATES:
        raise ConfigError(f"new: no kind named {kind!r}. {did_you_mean(kind, TEMPLATES)}")
    _refuse_name(kind, name)
    fields = {
        "kind": kind,
        "file": name,
        "name": "".join(part[:1].upper() + part[1:] for part in name.split("_")),
    }
    paths = to / f"{name}.py", to / f"test_{name}.py"
    # both before either is written: no part without its test
    for path in paths:
        # a link that leads nowhere is somebody's, too
        if path.exists() or path.is_symlink():
            raise ConfigError(f"new: {path} exists. Take another name, or --to another folder.")
    if to.exists() and not to.is_dir():
        raise ConfigError(f"new: --to {to} is a file. Give a folder.")
    try:
        to.mkdir(parents=True, exist_ok=True)
        for path, template in zip(paths, TEMPLATES[kind], strict=True):
            write_within(to, path.name, template.format(**fields).encode())
    except OSError as error:
        raise ConfigError(
            f"new: {error.filename or to}: {error.strerror}. Give --to another folder."
        ) from None
    return paths


def _refuse_name(kind: str, name: str) -> None:
    if not (name.isascii() and name.isidentifier() and name.strip("_")) or keyword.iskeyword(name):
        raise ConfigError(
            f"new: {name!r} is no name for a Python module. Use letters, digits and _, as in"
            f" my_{kind}."
        )
    known = names(kind) if kind in KINDS else []
    taken = (
        name in known
        or name in sys.stdlib_module_names
        or name in ("raygan", "torch", "numpy", "ray", "pydantic")
    )
    if taken:
        raise ConfigError(f"new: {name!r} is built in already. Use my_{name}.")
