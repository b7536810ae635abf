"""`python -m tests.devices.on_ray`: players in actors that Ray gave a logical GPU, on a device that
is not there; says whether their bits are those of one process on the CPU, and what they ran on.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any
from unittest import mock

import ray
import torch

from raygan.actors import worker_group
from raygan.actors.cluster import cluster
from raygan.actors.executor import RayExecutor
from raygan.actors.player import PlayerActor, player_class
from raygan.gan.bundle import unpack
from raygan.gan.weights import digest
from raygan.service.verify import final_states
from raygan.strategies.base import Setup, load_data
from tests.devices.fake_cuda import FakeCuda
from tests.devices.test_same_bits import VARIANTS, config_of, states


class FakePlayer(PlayerActor):
    """Computes on the fake device where Ray gave it a GPU; other threads of it hold no tensors."""


def on_the_device(name: str) -> Any:
    """A method within the device."""
    plain = getattr(PlayerActor, name)

    @functools.wraps(plain)
    def inner(self: Any, *args: Any, **kwargs: Any) -> Any:
        assert ray.get_gpu_ids(), "Ray gave this actor no GPU"
        if not hasattr(self, "_fake"):
            self._fake = FakeCuda()
        with self._fake:
            return plain(self, *args, **kwargs)

    return inner


for _name in ("begin", "open", "offer", "adopt", "train", "save", "generator"):
    setattr(FakePlayer, _name, on_the_device(_name))


class Where(RayExecutor):
    """Remembers where its players ran."""

    ran: Mapping[str, Any] = {}

    def close(self) -> None:
        """Ask, then end."""
        Where.ran = {
            n: facts["device"] for n, facts in self.replies.where(self.workers.actors).items()
        }
        super().close()


def main() -> None:
    """Train, compare, tell as JSON."""
    config = config_of({**VARIANTS["gap"], "resources": {"spares": 0, "hub": False}})
    expected = states(config, "cpu")
    setup = Setup(config, load_data(config), torch.device("cpu"))
    init = functools.partial(ray.init, num_cpus=4, num_gpus=2)
    fake = functools.partial(player_class, cls=FakePlayer)
    with (
        mock.patch.object(ray, "init", init),
        mock.patch.object(worker_group, "player_class", fake),
        cluster("local", 128),
    ):
        found = final_states(config, lambda: Where("fake", setup), samples=400)
    same = {p: digest(unpack(raw)) for p, raw in found.items()} == expected
    print(json.dumps({"same": same, "ran": Where.ran}))


if __name__ == "__main__":
    from tests.devices import on_ray

    on_ray.main()  # so that actors find its classes by the name of a module
