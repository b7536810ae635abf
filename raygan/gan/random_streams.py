"""Random streams that are counted, not carried.

    stream = f(run seed, player, purpose, step)

A stream is made anew from its address at every step, so that no state has to be saved, a repeated
step gives the same bits, and no player can disturb another's randomness. Nothing in raygan uses a
global generator; layers that do (dropout) find it set to a stream of their player's (`for_layers`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


def derive_seed(seed: int, player: str, purpose: str, step: int = 0) -> int:
    """A seed for one stream, of 63 bits; torch's generator of the CPU takes the lower 32 of them.

    >>> derive_seed(0, "pair-00", "noise", 1) == derive_seed(0, "pair-00", "noise", 1)
    True
    >>> derive_seed(0, "pair-00", "noise", 1) == derive_seed(0, "pair-01", "noise", 1)
    False
    """
    # a hash of the whole address: seeds that differ in one bit give unrelated streams, and two
    # purposes do not meet by rule, as sums of numbers would, but by chance: on the CPU two given
    # streams once in 2**32, some two among 100,000 more likely than not. Then one batch of two
    # players or steps is alike, which no run would tell
    address = f"{seed}/{player}/{purpose}/{step}".encode()
    return int.from_bytes(hashlib.blake2b(address, digest_size=8).digest(), "little") >> 1


class Streams:
    """All random streams of one player."""

    def __init__(self, seed: int, player: str, device: torch.device | str = "cpu") -> None:
        self.seed = seed
        self.name = self.player = player
        self.turn = 0
        """Rolled back so often: each time with random streams of its own."""
        self.device = torch.device(device)
        self._generators: dict[str, torch.Generator] = {}

    def at(
        self, purpose: str, step: int = 0, device: torch.device | str | None = None
    ) -> torch.Generator:
        """The generator of `purpose`, set to the beginning of `step`; valid until the purpose is
        asked for again.
        """
        where = torch.device(device) if device is not None else self.device
        key = f"{purpose}@{where}"
        # one a purpose, seeded anew: nothing of the draws before reaches these
        generator = self._generators.get(key)
        if generator is None:
            generator = self._generators[key] = torch.Generator(where)
        generator.manual_seed(derive_seed(self.seed, self.player, purpose, step))
        return generator

    def take_turn(self, turn: int) -> None:
        """Other streams than before a rollback: with the same ones the NaN would come again."""
        self.turn = turn
        self.player = f"{self.name}~{turn}" if turn else self.name

    @contextmanager
    def for_layers(self, step: int, purpose: str = "layers") -> Iterator[None]:
        """Within this block torch's global generators are this stream, for layers that draw.

        Afterwards they are again what they were.
        """
        devices = [self.device] if self.device.type != "cpu" else []
        seed = derive_seed(self.seed, self.player, purpose, step)
        with torch.random.fork_rng(devices=devices, device_type=self.device.type):
            # the default one and the device's: a layer draws from that of the tensor that it is
            # given
            torch.default_generator.manual_seed(seed)
            for device in devices:
                torch.get_device_module(device).manual_seed(seed)
            yield


def draw_watch() -> Callable[[], bool]:
    """A function that tells whether layers have drawn from torch's global generator since now."""
    before = torch.get_rng_state()
    return lambda: not torch.equal(before, torch.get_rng_state())


REACH = {"gaussian": 3.0, "uniform": 1.0}
"""prior -> how far from 0 a number of z is worth a look: 3 standard deviations; the wall, beyond
which nothing is ever drawn.
"""


def sample_prior(prior: str, shape: tuple[int, int], generator: torch.Generator) -> Tensor:
    """z of shape (N, z_dim): N(0, 1) for "gaussian", U(-1, 1) for "uniform"."""
    if prior == "gaussian":
        return torch.randn(shape, generator=generator, device=generator.device)
    return torch.rand(shape, generator=generator, device=generator.device) * 2 - 1
