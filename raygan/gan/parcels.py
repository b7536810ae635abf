"""What of a pair travels to another one in a swap: a network with its optimizer, its average and
its identity, as frozen arrays.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from raygan.gan.optimizers import flatten_optimizer, unflatten_optimizer
from raygan.gan.weights import Parcel, Vector, finite, flatten, unflatten

Carry = Literal["all", "weights"]


def packed(
    player: str,
    step: int,
    identity: str,
    network: nn.Module,
    optimizer: torch.optim.Optimizer | None = None,
    average: nn.Module | None = None,
) -> Parcel:
    """A copy of a network and of what goes along.

    Raises NonFiniteError rather than pass a NaN on.
    """
    arrays: dict[str, Vector] = {"weights": finite(player, step, flatten(network), network)}
    if optimizer is not None:
        arrays["optimizer"] = flatten_optimizer(optimizer)
    if average is not None:
        arrays["average"] = flatten(average)
    return Parcel(identity, step, arrays)


def unpacked(
    parcel: Parcel, network: nn.Module, optimizer: torch.optim.Optimizer, average: nn.Module
) -> None:
    """Put what a parcel holds in the place of what a pair has."""
    unflatten(network, parcel.arrays["weights"])
    # what did not travel (carry = "weights") stays: the moments of the network that left go on
    # under the one that came, as in the code of GAP's authors
    if "optimizer" in parcel.arrays:
        unflatten_optimizer(optimizer, parcel.arrays["optimizer"])
    if "average" in parcel.arrays:
        unflatten(average, parcel.arrays["average"])


def joined(d: Parcel, g: Parcel) -> Parcel:
    """Both networks of a pair as one parcel, which has the name of G."""
    # prefixed as in one flat dictionary: a parcel crosses processes as named arrays and nothing
    # else
    arrays = {f"{w}.{k}": a for w, part in (("D", d), ("G", g)) for k, a in part.arrays.items()}
    return Parcel(g.identity, g.step, arrays)


def apart(parcel: Parcel) -> list[Parcel]:
    """[D, G] of a `joined` one."""
    return [
        Parcel(
            parcel.identity,
            parcel.step,
            {k.removeprefix(f"{w}."): a for k, a in parcel.arrays.items() if k.startswith(f"{w}.")},
        )
        for w in ("D", "G")
    ]
