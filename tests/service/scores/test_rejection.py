"""Samples that a generator's own discriminator can tell from real ones are kept less often."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

import raygan
from raygan.config import Config
from raygan.data.base import Modes, Samples, mixture_samples
from raygan.errors import CheckpointError, ConfigError, DataError
from raygan.metrics.modes import mode_scores
from raygan.networks.base import odds
from raygan.service.resuming import resume_run
from raygan.service.runs.generators import Generators, Judge
from raygan.service.runs.identity import run_data
from raygan.service.runs.run import Run
from raygan.service.scores import rejection
from raygan.service.scores.evaluate import evaluate_runs, table
from raygan.service.scores.export import export
from raygan.service.scores.rejection import calibrated, courts_of, rejecting
from raygan.service.scores.sampling import write_samples
from raygan.service.views import diagnostics
from raygan.service.views.standing import Standing
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
    untrained = {"global": Role(pair=False, main=True, verdicts=False)}
    for roles, state in (({}, none), (untrained, judge)):
        with pytest.raises(ConfigError, match="global has no discriminator of its own"):
            courts_of(["global"], roles, {"global": state})


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


@pytest.mark.parametrize("old", [False, True], ids=["", "of an older release"])
def test_a_d_that_nobody_trains_rejects_nothing(tmp_path: Path, old: bool) -> None:
    run = raygan.train(
        None, run_dir=tmp_path, name="fed", inline=True, **{**TINY, "strategy": "federated"}
    )
    if old:
        info = json.loads((run.path / "run.json").read_text())
        for role in info["roles"].values():
            del role["verdicts"]
        (run.path / "run.json").write_text(json.dumps(info))
    with pytest.raises(ConfigError, match="global has no discriminator of its own"):
        export(Run.load(run.path), "global", tmp_path / "model", reject=True)
    assert not (tmp_path / "model").exists()


def places(folder: Path) -> dict[str, str]:
    """Two of them with 300 points each, left and right; and all of these."""
    rng, found = np.random.default_rng(0), {}
    parts = {p: rng.normal(side, 0.1, (300, 2)) for p, side in (("pair-00", -1), ("pair-01", 1))}
    for name, x in {**parts, "all": np.concatenate(list(parts.values()))}.items():
        np.savez(folder / f"{name}.npz", x=x)
        found[name] = f"npz:{folder / f'{name}.npz'}"
    return found


def noted_as(
    shown_to: Callable[..., torch.Tensor], into: dict[str, torch.Tensor]
) -> Callable[..., torch.Tensor]:
    """The same; what each player's D is shown is kept."""

    def shows(run: Run, player: str, data: Samples) -> torch.Tensor:
        into[player] = shown_to(run, player, data)
        return into[player]

    return shows


FROZEN = """
from torch import nn
class Net:
    def generator(self, shape, z_dim):
        return nn.Linear(z_dim, 2)
    def discriminator(self, shape):
        frozen = nn.Dropout(0.5).eval()
        return nn.Sequential(nn.Linear(2, 4), frozen, nn.Linear(4, 1), nn.Flatten(0))
"""


def test_a_frozen_layer_stays_frozen_while_d_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "frozen.py").write_text(FROZEN)
    flags = {**TINY, "strategy": "independent", "network": f"{tmp_path / 'frozen.py'}:Net"}
    run = raygan.train(None, run_dir=tmp_path / "runs", name="run", inline=True, **flags)
    seen = list[bool]()

    def noted(d: nn.Module, *more: Any) -> Judge:
        seen.extend(layer.training for layer in d.children())
        return calibrated(d, *more)

    monkeypatch.setattr(rejection, "calibrated", noted)
    rejecting(run, "pair:0")
    assert seen == [True, False, True, True]


@pytest.mark.parametrize("own", [True, False], ids=["own sources", "clusters"])
def test_each_d_goes_on_on_what_its_pair_trains_on(
    tmp_path: Path, own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = places(tmp_path)
    data = {"name": "npz", "path": str(tmp_path / "all.npz")}
    data["partition"] = {p: s for p, s in sources.items() if p != "all"} if own else "clusters"
    flags = {**TINY, "strategy": "independent", "data": data}
    run = raygan.train(None, run_dir=tmp_path / "runs", name="run", inline=True, **flags)
    seen: dict[str, Samples] = {}

    def noted(d: nn.Module, made: Generators, of: Samples, config: Config, owner: str) -> Judge:
        seen[owner] = of
        return calibrated(d, made, of, config, owner)

    monkeypatch.setattr(rejection, "calibrated", noted)
    rejecting(run, "mixture")
    told = run.info["data"]["parts"]
    assert {p: x.sha256 for p, x in seen.items()} == {p: told[p]["sha256"] for p in run.pairs}
    assert all(len(x.train) == told[p]["train"] for p, x in seen.items())
    # "What D says" shows it the same ones as real.
    shown: dict[str, torch.Tensor] = {}
    monkeypatch.setattr(diagnostics, "_shown_to", noted_as(diagnostics._shown_to, shown))
    standing = Standing(None, dict.fromkeys(run.pairs, 0.0))
    assert diagnostics.verdict_histograms(run, run_data(run), standing)
    assert {p: set(map(tuple, x.tolist())) - set(map(tuple, seen[p].train.tolist()))
            for p, x in shown.items()} == {p: set() for p in run.pairs}  # fmt: skip
    if not own:
        return
    with np.load(tmp_path / "pair-01.npz") as archive:
        np.savez(tmp_path / "pair-01.npz", x=archive["x"] + 0.01)
    with pytest.raises(DataError, match=r"--reject needs .* pair-01's part has sha256"):
        rejecting(run, "mixture")
    assert rejecting(run, "mixture", others=True).judges
    (tmp_path / "pair-01.npz").unlink()
    with pytest.raises(DataError, match="--reject needs the run's training data") as caught:
        rejecting(run, "mixture")
    assert "\n" not in str(caught.value)
    assert rejecting(run, "pair:0").judges, "its own is there"
    shown.clear()
    assert diagnostics.verdict_histograms(run, run_data(run, True), standing)
    assert [p for p, x in shown.items() if x is None] == ["pair-01"]


def test_what_d_goes_on_against_is_never_what_it_judges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = raygan.train(None, run_dir=tmp_path, name="run", inline=True, **TINY)
    seen: set[bytes] = set()
    draw = Generators.draw

    def noted(self: Generators, n: int, seed: int = 0) -> npt.NDArray[np.float32]:
        made = draw(self, n, seed)
        seen.update(row.tobytes() for row in made)
        return made

    with monkeypatch.context() as while_it_learns:
        while_it_learns.setattr(Generators, "draw", noted)
        judged = rejecting(run, "global")
    assert len(seen) > 100
    for seed in (run.config.seed, run.config.seed + 1):
        assert not seen & {row.tobytes() for row in judged.draw(200, seed)}


def test_g_and_its_d_are_of_one_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run goes on while they are loaded, and while the rows of a table are made."""
    evaluation = {**TINY["evaluation"], "reject": "never"}
    flags = {**TINY, "evaluation": evaluation}
    run = raygan.train(None, run_dir=tmp_path, name="run", inline=True, **flags)
    judged: list[float] = []

    def goes_on(d: nn.Module, made: Generators, *rest: Any) -> Judge:
        judged.append(float(sum(p.detach().sum() for p in d.parameters())))
        if len(judged) < 5:
            resume_run(run.path, extra_steps=4, inline=True)
        return Judge(d, -1e6, "pair-00")

    monkeypatch.setattr(rejection, "calibrated", goes_on)
    (entry,) = evaluate_runs([str(run.path)], ["modes"], 200, None, 0, reject=True)
    assert entry["step"] == 12
    assert Run.load(run.path).config.steps == 28
    assert judged[:2] == judged[-2:], "the mixture's are those of its pairs, which come first"


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
    assert f"({updates} steps on" in rejection.rejection_protocol(config)


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
