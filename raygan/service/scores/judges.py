"""The discriminators that go along with an export, to keep its samples by."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save

from raygan.config import Config, full_dump, validate
from raygan.networks.base import odds
from raygan.service.runs.generators import Generators, Judge
from raygan.service.runs.run import Run
from raygan.service.scores.graphs import of_judge
from raygan.service.scores.onnx import write_onnx
from raygan.strategies.base import strategy_of

SHARE_OF = 2000
"""Samples of which the share that is kept is told."""


class Verdict(torch.nn.Module):
    """l(x), (N,), of a discriminator, or of a panel of them."""

    def __init__(self, d: torch.nn.Module) -> None:
        super().__init__()
        self.d = d

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The logit of the mean odds."""
        return odds(self.d(x))


def write_weights(network: torch.nn.Module, path: Path) -> None:
    """By name, as safetensors. Raises OSError."""
    # each with memory of its own, also where a layer is used twice
    weights = {
        k: v.clone(memory_format=torch.contiguous_format) for k, v in network.state_dict().items()
    }
    # written by Python: of a full disk the library itself raises an error of its own kind
    path.write_bytes(save(weights))


def written_judges(run: Run, generators: Generators, folder: Path, onnx: bool) -> dict[str, Any]:
    """Each judge's weights, once; for config.json who judges whom, and how to build them."""
    judges = {judge.owner: judge for judge in generators.judges.values()}
    for owner, judge in judges.items():
        write_weights(judge.d, folder / f"judge-{owner}.safetensors")
        if onnx:
            x = torch.from_numpy(generators.draw(5, 0))
            facts = of_judge(judge.threshold)
            write_onnx(Verdict(judge.d), x, folder / f"judge-{owner}.onnx", ("x", "l"), facts)
    generators.sample(SHARE_OF)
    plain = full_dump(run.config)
    return {
        "judges": {owner: {"threshold": judge.threshold} for owner, judge in judges.items()},
        "judged_by": {name: judge.owner for name, judge in generators.judges.items()},
        "judging": {k: plain[k] for k in JUDGING if k in plain},
        "share_kept": round(generators.share_kept, 3),
    }


JUDGING = ("strategy", "num_pairs", "pairs", "members", "network", "loss")
"""Settings that a strategy's discriminators depend on; the rest stays home, paths of data too."""


def loaded_judges(folder: Path, config: Mapping[str, Any]) -> dict[str, Judge]:
    """The inverse of `written_judges`; {} where nothing is rejected."""
    if "judges" not in config:
        return {}
    made: dict[str, Judge] = {}
    run_config = validate(Config, config["judging"])
    for owner, entry in config["judges"].items():
        d = strategy_of(run_config).discriminator(run_config, owner, tuple(config["shape"]))
        d.load_state_dict(load_file(folder / f"judge-{owner}.safetensors"))
        made[owner] = Judge(d.eval(), float(entry["threshold"]), owner)
    return {name: made[owner] for name, owner in config["judged_by"].items()}
