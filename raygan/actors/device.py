"""Where an actor computes."""

from __future__ import annotations

import ray
import torch

from raygan.config import Config


def pick_device(config: Config) -> torch.device:
    """The GPU that Ray gave to this actor, if any; else the CPU."""
    if config.device == "cpu" or (config.device == "auto" and not ray.get_gpu_ids()):
        return torch.device("cpu")
    return torch.device("cuda")
