"""Whole short runs on the CPU and on a device with a GPU's rules: the same bits, whoever trains.

Autocast has the CPU's table of operations on both, so bfloat16 shows that nothing is mixed, not
that a GPU rounds alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from raygan.components import names
from raygan.config import Config, resolve
from raygan.controller.checkpoint import newest_valid
from raygan.controller.inline import InlineExecutor
from raygan.gan.bundle import unpack
from raygan.gan.weights import digest
from raygan.service.resuming import resume_run
from raygan.service.training import train
from raygan.service.verify import final_states
from raygan.strategies.base import Setup, load_data
from tests.conftest import tiny_config
from tests.devices.fake_cuda import FakeCuda

STEPS = 4
ALONE = {"strategy": "independent"}
PICTURES: dict[str, Any] = {
    "data": {"name": "stacked_mnist"},
    "network": {"name": "dcgan", "width": 4, "z_dim": 8},
    "batch_size": 4,
}
DENSITY: dict[str, Any] = {"loss": "reverse_kl"}
PARTS: dict[str, Any] = {
    "data": {"name": "ring", "modes": 8, "train": 400, "held_out": 400, "partition": "by_class"}
}

LOSSES: dict[str, dict[str, Any]] = {
    "gman": {"network": {"judges": 3}},
    "d2gan": {"network": {"judges": 2}},
}
VARIANTS: dict[str, dict[str, Any]] = {
    **{f"loss {n}": {**ALONE, "loss": n, **LOSSES.get(n, {})} for n in names("loss")},
    "two critic steps": {**ALONE, "loss": {"name": "dragan", "d_steps": 2}},
    "r1 and r2": {**ALONE, "loss": {"name": "r3gan", "r1": 0.1, "r2": 0.1}},
    "rmsprop, decay, uniform, clip": {
        **ALONE, "pair": {"optimizer": "rmsprop", "lr_decay": "linear", "prior": "uniform",
                          "clip_grad_d": 1.0, "clip_grad_g": 1.0},
    },
    "ema, noise, matching": {
        **ALONE, "pair": {"ema": 0.9, "input_noise": 0.3, "feature_matching": 0.5},
    },
    "shared order": {**ALONE, "pair": {"data_order": "shared"}},
    "bfloat16": {**ALONE, "network": {"precision": "bfloat16"}},
    "pack": {
        **ALONE, "num_pairs": 3, "resources": {"pairs_per_actor": 3},
        "pair": {"ema": 0.9, "clip_grad_d": 1.0, "input_noise": 0.1},
    },
    "pack dragan": {**ALONE, "num_pairs": 3, "loss": "dragan", "resources": {"pairs_per_actor": 3}},
    "sgan samples": {
        "strategy": {"name": "sgan", "share_generators": "samples", "messenger_lifetime": 5},
    },
    "sgan weights, payoff": {
        "strategy": {"name": "sgan", "share_generators": "weights",
                     "messenger_optimizer": "persist", "opponents": "payoff",
                     "messenger_lifetime": 4, "global_d_steps": 2},
    },
    "sgan clone, bfloat16": {
        "strategy": {"name": "sgan", "messenger_optimizer": "clone", "publish": "bfloat16"},
    },
    "sgan early": {"strategy": {"name": "sgan", "variant": "early_global"}},
    "sgan simplified, float16": {
        "strategy": {"name": "sgan", "variant": "simplified", "publish": "float16"},
    },
    "sgan shards": {"strategy": {"name": "sgan", "messenger_shards": 2}, "num_pairs": 4},
    "sgan pack": {
        "strategy": {"name": "sgan", "messenger_lifetime": 2}, "num_pairs": 4,
        "resources": {"pairs_per_actor": 2},
    },
    "sgan shared weights": {
        "strategy": {"name": "sgan", "over": {"name": "independent", "share_weights": True}},
    },
    "gap": {"strategy": {"name": "gap", "swap_every": 2}, "num_pairs": 3},
    "gap G": {
        "strategy": {"name": "gap", "swap_every": 2, "what": "G", "carry": "weights",
                     "lr_smoothing": True}, "pair": {"ema": 0.9},
    },
    "gap pack": {
        "strategy": {"name": "gap", "swap_every": 2}, "num_pairs": 4,
        "resources": {"pairs_per_actor": 2},
    },
    "pmgan": {"strategy": {"name": "pmgan"}, **DENSITY},
    "pmgan gradients": {
        "strategy": {"name": "pmgan", "feedback": "gradients", "balance": "learned"}, **DENSITY,
    },
    "pmgan joint, share": {
        "strategy": {"name": "pmgan", "joint": True, "generator_batch": "share",
                     "publish": "bfloat16"}, **DENSITY,
    },
    "sgan over gap": {"strategy": {"name": "sgan", "over": {"name": "gap", "swap_every": 2}}},
    "sgan over pmgan": {
        "strategy": {"name": "sgan", "over": {"name": "pmgan", "publish": "float16"}},
        "loss": "reverse_kl",
    },
    "federated": {"strategy": "federated", "num_pairs": 3, **PARTS},
    "federated, bfloat16": {"strategy": {"name": "federated", "publish": "bfloat16", "trust": 0.0},
                            **PARTS},
    "mdgan": {"strategy": {"name": "mdgan", "swap_every": 2}, "num_pairs": 3, **PARTS},
    "fedavg": {"strategy": {"name": "fedavg", "every": 2}, **PARTS},
    "population": {"strategy": {"name": "population", "exploit_every": 2, "exploit_warmup": 2}},
    "dcgan": {**PICTURES, **ALONE, "num_pairs": 1},
    "gran": {
        **PICTURES, **ALONE, "num_pairs": 1, "network": {"name": "gran", "width": 4, "z_dim": 8},
    },
    "dcgan gap": {**PICTURES, "strategy": {"name": "gap", "swap_every": 2}},
}  # fmt: skip
OFTEN = ["sgan weights, payoff", "gap", "pmgan", "pack"]
LONG = {
    "dcgan", "gran", "dcgan gap", "sgan over gap", "sgan shards", "gap pack", "sgan early",
    "sgan pack", "loss wgan_gp", "sgan shared weights", "sgan over pmgan",
    "sgan simplified, float16", "federated, bfloat16",
}  # fmt: skip


def config_of(changes: Mapping[str, Any], samples: int = 64) -> Config:
    """A variant as a config; `samples`: of a score."""
    evaluation = {"every_steps": STEPS, "samples": samples}
    return tiny_config(**{"steps": STEPS, "evaluation": evaluation, **changes})


def states(config: Config, device: str) -> dict[str, str]:
    """player -> digest of its whole state at the end."""
    setup = Setup(config, load_data(config), torch.device(device))
    found = final_states(config, lambda: InlineExecutor(setup), samples=400)
    return {player: digest(unpack(raw)) for player, raw in found.items()}


def test_every_strategy_is_tried() -> None:
    named = [changes["strategy"] for changes in VARIANTS.values()]
    assert {n if isinstance(n, str) else n["name"] for n in named} == set(names("strategy"))


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.exhaustive if n in LONG else ()) for n in VARIANTS],
)
def test_a_run_on_the_device_has_the_bits_of_the_cpu(name: str) -> None:
    config = config_of(VARIANTS[name])
    expected = states(config, "cpu")
    with FakeCuda() as seen:
        assert states(config, "cuda") == expected
    assert seen.launches > 100, "nothing has happened there"


@pytest.mark.parametrize("name", OFTEN)
def test_a_run_saves_on_one_device_and_goes_on_there(name: str, tmp_path: Path) -> None:
    """With scores, checkpoints and a resume."""
    found = {}
    for device in ("cpu", "cuda"):
        config = config_of({**VARIANTS[name], "device": device}, samples=1600)
        resolved = resolve(None, flags={}).model_copy(update={"config": config})
        with FakeCuda():
            train(resolved, run_dir=tmp_path, name=device, inline=True)
            resume_run(tmp_path / device, extra_steps=2, inline=True)
        checkpoint, problems = newest_valid(tmp_path / device)
        assert checkpoint is not None
        assert (checkpoint.step, problems) == (STEPS + 2, [])
        found[device] = {p: digest(unpack(raw)) for p, raw in checkpoint.parts.items()}
    assert found["cpu"] == found["cuda"]
