"""Samples that a generator's own discriminator can tell from real ones are kept less often."""

import json
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

import raygan
from raygan.config import Config
from raygan.data.base import Modes, mixture_samples
from raygan.errors import CheckpointError, ConfigError, DataError
from raygan.metrics.modes import mode_scores
from raygan.service.runs.generators import Generators, Judge, odds
from raygan.service.runs.run import Run
from raygan.service.scores import rejection
from raygan.service.scores.evaluate import evaluate_runs, table
from raygan.service.scores.rejection import calibrated, courts_of, rejecting
from raygan.service.scores.sampling import write_samples
from raygan.strategies.roles import Role
from tests.conftest import TINY

MODES = Modes(np.array([[-1, 0], [1, 0]], np.float32), 0.1)


class Bridged(nn.Module):
    """Two modes, and between them a bridge of a third of the samples."""

    def forward(self, z: Tensor) -> Tensor:
        side = torch.where(z[:, 1] > 0, 1.0, -1.0)
        bridge = z[:, 2].abs() < 0.43  # a third of N(0, 1)
        x = torch.where(bridge, 0.8 * torch.tanh(z[:, 0]), side + 0.1 * z[:, 0])
        return torch.stack([x, 0.1 * z[:, 3]], 1)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejection, "STEPS", 60)


def bridged() -> Generators:
    return Generators({"pair-00": Bridged()}, {"pair-00": ("gaussian", 4)})


def test_what_lies_between_modes_is_rejected_and_the_modes_keep_their_shape(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rejection, "STEPS", 600)  # D is new here
    data = mixture_samples("two", MODES, 5000, 500, 0)
    torch.manual_seed(0)
    d = nn.Sequential(
        nn.Linear(2, 64), nn.LeakyReLU(), nn.Linear(64, 64), nn.LeakyReLU(), nn.Linear(64, 1),
        nn.Flatten(0)
    )  # fmt: skip
    config = Config(pair={"lr_d": 0.02}, num_pairs=1, steps=1200)
    judge = calibrated(d, bridged(), data, config, "pair-00")
    kept = Generators(bridged().networks, bridged().priors, judges={"pair-00": judge})
    before, after = (mode_scores(g.draw(4000, 1), MODES) for g in (bridged(), kept))
    assert before["high_quality"] < 0.8
    assert after["high_quality"] > 0.95
    assert after["width"] == pytest.approx(1, abs=0.12)
    assert after["reverse_kl"] < 0.01
    assert 0.5 < kept.share_kept < 0.8  # two thirds are no bridge
    assert (kept.draw(100, 2) == kept.draw(100, 2)).all()
    assert (kept.draw(100, 2) != kept.draw(100, 3)).any()


def test_a_judge_that_keeps_nothing_is_told_and_not_waited_for() -> None:
    never = Judge(nn.Sequential(nn.Linear(2, 1), nn.Flatten(0)), 1e6)
    with pytest.raises(CheckpointError, match="pair-00's discriminator keeps 0 of"):
        Generators(bridged().networks, bridged().priors, judges={"pair-00": never}).draw(10)


def test_several_discriminators_judge_by_the_mean_of_their_odds() -> None:
    logits = torch.tensor([[0.0, 2.0], [1.0, 1.0]])
    assert odds(logits).exp() == pytest.approx(logits.exp().mean(1))
    assert (odds(logits[:, 0]) == logits[:, 0]).all()


def test_each_pair_has_its_own_judge_and_pmgan_one_for_all() -> None:
    judge, none = {"d.0": torch.zeros(1)}, {"g.0": torch.zeros(1)}
    own = courts_of(["pair-00", "global"], {}, {"pair-00": judge, "global": judge})
    assert [(c.owner, c.generators) for c in own] == [
        ("pair-00", ("pair-00",)),
        ("global", ("global",)),
    ]
    roles = {"judge": Role(pair=False, scored=False, judges=True)}
    (court,) = courts_of(["pair-00", "pair-01"], roles, {"judge": judge, "pair-00": none})
    assert (court.owner, court.generators) == ("judge", ("pair-00", "pair-01"))
    with pytest.raises(ConfigError, match="global has no discriminator of its own"):
        courts_of(["global"], {}, {"global": none})


KINDS = {
    "sgan": TINY,
    "packed": {**TINY, "strategy": "independent", "resources": {"pairs_per_actor": 2}},
    "pmgan": {**TINY, "strategy": {"name": "pmgan"}, "loss": "reverse_kl"},
    "joint": {**TINY, "strategy": {"name": "pmgan", "joint": True}, "loss": "non_saturating"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_run_can_be_sampled_with_rejection(kind: str, tmp_path: Path) -> None:
    run = raygan.train(None, run_dir=tmp_path, name=kind, inline=True, **KINDS[kind])
    for which in (run.main_player, "mixture", "pair:1"):
        told = write_samples(run, which, 64, 3, tmp_path / "x.npz", reject=True)
        assert "% of what was made is kept" in told
        again = rejecting(run, which).sample(64, seed=3)
        assert (np.load(tmp_path / "x.npz")["x"] == again).all()
        assert again.shape == (64, 2)


def test_scores_with_and_without_are_of_two_protocols(tmp_path: Path) -> None:
    run = raygan.train(None, run_dir=tmp_path, name="run", inline=True, **TINY)
    (plain,) = evaluate_runs([str(run.path)], ["modes"], 200, None, 0)
    (kept,) = evaluate_runs([str(run.path)], ["modes"], 200, None, 0, reject=True)
    assert plain["protocol"]["id"] != kept["protocol"]["id"]
    assert plain["ceiling"] == kept["ceiling"]
    assert set(kept["kept"]) == set(kept["scores"])
    assert "rejected by its own D" in table([kept])
    assert "rejected" not in table([plain])
    assert len(list(run.path.glob("evaluation-*.json"))) == 2


def test_without_the_data_of_the_run_there_is_one_line(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.random.default_rng(0).normal(size=(2000, 2)))
    flags = {**TINY, "data": f"npz:{tmp_path / 'a.npz'}"}
    run = raygan.train(None, run_dir=tmp_path, name="run", inline=True, **flags)
    shutil.move(tmp_path / "a.npz", tmp_path / "b.npz")
    with pytest.raises(DataError, match="--reject needs the run's training data"):
        rejecting(Run.load(run.path), "pair:0")
    np.savez(tmp_path / "a.npz", x=np.random.default_rng(1).normal(size=(2000, 2)))
    with pytest.raises(DataError, match="sha256"):
        rejecting(Run.load(run.path), "pair:0")
    assert json.loads((run.path / "run.json").read_text())["status"] == "done"


@pytest.mark.parametrize(("steps", "updates"), [(1, 1), (2, 1), (40, 20), (100, 50), (9999, 60)])
def test_d_goes_on_for_no_longer_than_half_of_what_it_was_trained_for(
    steps: int, updates: int
) -> None:
    config = Config(steps=steps)
    assert rejection.updates(config) == updates
    assert f"({updates} steps on" in rejection.said(config)


def test_large_samples_are_drawn_a_part_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[int, int]] = []

    class Noted(Generators):
        def draw(self, n: int, seed: int = 0) -> npt.NDArray[np.float32]:
            drawn.append((n, seed))
            return super().draw(n, seed)

    def judged(room: int) -> tuple[float, list[tuple[int, int]]]:
        monkeypatch.setattr(rejection, "ROOM", room)
        drawn.clear()
        torch.manual_seed(0)
        d = nn.Sequential(nn.Linear(2, 8), nn.Linear(8, 1), nn.Flatten(0))
        judge = calibrated(
            d,
            Noted(bridged().networks, bridged().priors),
            data,
            Config(num_pairs=1, steps=200),
            "pair-00",
        )
        return judge.threshold, [*drawn]

    data = mixture_samples("two", MODES, 5000, 500, 0)
    one, whole = judged(2**26)
    assert len(whole) == 1
    several, parts = judged(2 * 512 * 25)
    assert [n for n, _ in parts] == [25 * 512, 25 * 512, 10 * 512]
    assert len({seed for _, seed in parts}) == 3, "never the same samples again"
    assert several == pytest.approx(one, abs=0.5)
