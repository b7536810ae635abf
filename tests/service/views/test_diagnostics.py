"""Pictures of what the networks say: by what they were trained on."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import raygan
from raygan.gan.random_streams import REACH, sample_prior
from raygan.service.runs.identity import run_data
from raygan.service.runs.run import Run
from raygan.service.views.diagnostics import latent_walk
from tests.conftest import TINY


class Noted(nn.Module):
    """A generator that keeps what it is asked."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.asked = torch.empty(0)

    def forward(self, z: Tensor) -> Tensor:
        self.asked = z
        made: Tensor = self.network(z)
        return made


@pytest.mark.parametrize(("prior", "reach"), [("gaussian", 3.0), ("uniform", 1.0)])
def test_a_walk_goes_from_end_to_end_of_the_prior_and_never_leaves_it(
    prior: str, reach: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = raygan.train(
        None, run_dir=tmp_path, name="r", inline=True, **{**TINY, "pair": {"prior": prior}}
    )
    found = run.generator(run.best)
    ((name, network),) = found.networks.items()
    noted = Noted(network)
    made = replace(found, networks={name: noted})
    monkeypatch.setattr(Run, "generator", lambda self, which: made)
    assert latent_walk(run, run_data(run))
    assert (noted.asked.min(), noted.asked.max()) == (-reach, reach)
    drawn = sample_prior(prior, (4000, 2), torch.Generator().manual_seed(0)).abs()
    assert 0.98 < (drawn <= REACH[prior]).float().mean() <= 1
