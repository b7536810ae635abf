"""Exports of own networks that are no plain stack of layers."""

from pathlib import Path

import numpy as np
from torch import nn

import raygan
from raygan.service.scores.export import export, load_exported
from tests.conftest import TINY


class Tied:
    """One layer that is used twice."""

    def generator(self, shape: tuple[int, ...], z_dim: int) -> nn.Module:
        twice = nn.Linear(16, 16)
        return nn.Sequential(nn.Linear(z_dim, 16), twice, nn.ReLU(), twice, nn.Linear(16, *shape))

    def discriminator(self, shape: tuple[int, ...], outputs: int = 1) -> nn.Module:
        twice = nn.Linear(16, 16)
        return nn.Sequential(
            nn.Linear(*shape, 16), twice, nn.ReLU(), twice, nn.Linear(16, 1), nn.Flatten(0)
        )


def test_a_layer_that_is_used_twice_is_exported(tmp_path: Path) -> None:
    settings = {**TINY, "evaluation": {"every_steps": 12, "samples": 1600}}
    run = raygan.train(
        "ring8-gap", run_dir=tmp_path, name="r", inline=True, **{**settings, "network": Tied}
    )
    for reject in (False, True):
        out = export(run, "pair:0", tmp_path / f"model-{reject}", reject=reject)
        loaded = load_exported(out, trust_code=True)
        assert loaded.judges.keys() == ({"pair-00"} if reject else set())
        if not reject:
            assert np.array_equal(loaded.sample(9, 3), run.generator("pair:0").sample(9, 3))
