"""What of a pair travels to another one in a swap: a network with its optimizer, its average and
its identity, as frozen arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import xxhash
from torch import nn

from raygan.gan.optimizers import flatten_optimizer, unflatten_optimizer
from raygan.gan.weights import Vector, finite, flatten, unflatten

Carry = Literal["all", "weights"]


@dataclass(frozen=True)
class Parcel:
    """A network on its way from one pair to another: flat frozen arrays, and whose it is."""

    identity: str
    """The pair in which this network was born; stays with it for life."""
    step: int
    arrays: dict[str, Vector]
    """"weights"; "optimizer" where it travels; "average" for a generator with a moving average,
    "average_float32" where that has numbers of less than 32 bits.
    """

    @property
    def nbytes(self) -> int:
        """Size of the arrays, in bytes."""
        return sum(a.nbytes for a in self.arrays.values())

    @property
    def fingerprint(self) -> str:
        """XXH3 (128 bits) of the weights and all else that travels; its name in the journal. It
        tells a damaged or a wrong network, not a forged one, at a memory's speed: SHA-256 would
        take longer than all the rest of a swap.
        """
        h = xxhash.xxh3_128()
        # sorted, by name and content: the order in which arrays were put in is no part of what
        # travels
        for key in sorted(self.arrays):
            h.update(key.encode())
            h.update(self.arrays[key].reshape(-1).view(np.uint8).data)
        return h.hexdigest()


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
    parcel: Parcel,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: nn.Module | None = None,
) -> None:
    """Put what a parcel holds in the place of what a pair has; average: the one that it keeps of
    this network.
    """
    unflatten(network, parcel.arrays["weights"])
    # what did not travel (carry = "weights") stays: the moments of the network that left go on
    # under the one that came, as in the code of GAP's authors
    if "optimizer" in parcel.arrays:
        unflatten_optimizer(optimizer, parcel.arrays["optimizer"])
    if average is not None:
        # of one that had none it begins anew: what stood there was another generator's
        unflatten(average, parcel.arrays.get("average", parcel.arrays["weights"]))


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
