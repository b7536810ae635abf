"""Where an actor computes."""

from __future__ import annotations

import ray
import torch

from raygan.config import Config
from raygan.config.resources import memory_bytes
from raygan.gan.device import chosen, settle


def pick_device(config: Config, players: int = 1) -> torch.device:
    """The GPU that Ray gave to this actor, with its share of the memory, if any; else the CPU. So
    many players will live there. Raises InfeasibleError where that cannot be.
    """
    device = chosen(config.device, ray.get_gpu_ids())
    share = ray.get_runtime_context().get_assigned_resources().get("GPU", 1.0)
    wanted = config.resources.gpu_memory_per_pair
    needs = memory_bytes(wanted) * players if wanted else 0
    settle(device, config.pace == "lockstep", float(share), needs)
    return device
