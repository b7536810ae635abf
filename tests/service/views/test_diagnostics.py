"""Pictures of what the networks say, by what they were trained on; and of samples over time."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import raygan
from raygan.config import resolve
from raygan.gan.random_streams import REACH, sample_prior
from raygan.service.runs.identity import run_data
from raygan.service.runs.run import Run
from raygan.service.views import pictures
from raygan.service.views.diagnostics import latent_walk
from raygan.strategies.base import load_data
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


@pytest.mark.parametrize("there", ["first", "last", "both"])
def test_each_row_of_samples_has_its_name_and_each_column_its_step(
    there: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of who joined later too, or left."""
    points, figures = np.zeros((20, 2), np.float32), list[Any]()
    steps = {"first": [0], "last": [10], "both": [0, 10]}[there]
    show = {"pair-00": {0: points, 10: points}, "pair-01": dict.fromkeys(steps, points)}
    monkeypatch.setattr(pictures, "png", lambda figure: figures.append(figure) or b"")
    pictures.samples_over_time(show, load_data(resolve(flags=TINY).config), {})
    (figure,) = figures
    figure.canvas.draw()
    rows = np.reshape(figure.axes, (3, 2))

    def drawn_left(axis: Any) -> bool:
        renderer = figure.canvas.get_renderer()
        return bool(axis.get_tightbbox(renderer).x0 < axis.get_window_extent(renderer).x0 - 5)

    assert [axis.get_ylabel() for axis in rows[:, 0]] == ["pair-00", "pair-01", "real data"]
    assert all(drawn_left(axis) for axis in rows[:, 0])
    assert [axis.get_title() for axis in rows[0]] == ["step 0", "step 10"]
    pictures.plt.close(figure)
