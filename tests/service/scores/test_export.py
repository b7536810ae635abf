"""One good generator out: fitted shares, a folder that loads without Ray, ONNX that gives the same
numbers.
"""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize  # type: ignore[import-untyped]

import raygan
from raygan.controller.checkpoint import read_checkpoint
from raygan.controller.checkpoint_index import list_checkpoints
from raygan.errors import CheckpointError, ConfigError
from raygan.gan.random_streams import Streams, sample_prior
from raygan.metrics.mixture import fit, log_likelihood
from raygan.networks.base import odds
from raygan.service.runs.generators import Judge
from raygan.service.runs.run import Run
from raygan.service.scores import rejection
from raygan.service.scores.card import card
from raygan.service.scores.export import export, fit_mixture, load_exported
from raygan.service.scores.rejection import rejecting
from raygan.service.views.tables import format_number
from tests.conftest import TINY


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    settings = {**TINY, "evaluation": {"every_steps": 12, "samples": 1600}}
    return raygan.train(
        "ring8-gap",
        run_dir=tmp_path_factory.mktemp("runs"),
        name="r",
        inline=True,
        **{**settings, "strategy": "independent"},
    )


def test_em_finds_what_a_general_optimiser_finds() -> None:
    log_p = np.random.default_rng(0).normal(size=(3, 200)) * 2
    weights = fit(log_p)
    best = minimize(
        lambda v: -log_likelihood(log_p, np.exp(v) / np.exp(v).sum()),
        np.zeros(3),
        method="Nelder-Mead",
    ).x
    assert (
        log_likelihood(log_p, weights)
        >= log_likelihood(log_p, np.exp(best) / np.exp(best).sum()) - 1e-6
    )
    assert weights.sum() == pytest.approx(1)


def test_a_useless_generator_gets_no_share() -> None:
    good, bad = np.zeros(100), np.full(100, -50.0)
    assert fit(np.stack([good, bad])) == pytest.approx([1, 0], abs=1e-9)


def test_fitted_shares_are_sampled_from(run: Run) -> None:
    with pytest.raises(ConfigError, match="--from fitted: no shares were fitted yet"):
        run.generator("fitted")
    out = fit_mixture(run, samples=1600)
    assert out["log_likelihood"]["fitted"] >= out["log_likelihood"]["equal"] - 0.05
    assert sum(out["weights"].values()) == pytest.approx(1)
    generators = run.generator("fitted")
    assert generators.weights == out["weights"]
    assert generators.sample(7, seed=1).shape == (7, 2)


def test_shares_are_fitted_by_as_few_samples_as_are_asked_for(run: Run) -> None:
    """Coverage C, which needs 1500, is none of its scores."""
    out = fit_mixture(run, samples=200)
    assert out["samples"] == 200
    assert sum(out["weights"].values()) == pytest.approx(1)
    assert np.isfinite(list(out["log_likelihood"].values())).all()


def test_text_has_no_density_to_fit_shares_by(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    text = SimpleNamespace(text="ab", name="lm1b", is_images=False, whole=True)
    monkeypatch.setattr("raygan.service.scores.export.run_data", lambda run: text)
    with pytest.raises(ConfigError, match="mixture: lm1b is text"):
        fit_mixture(run, samples=200)


@pytest.mark.parametrize("which", ["best", "mixture", "pair:1"])
def test_an_export_gives_the_runs_own_samples_without_ray(
    run: Run, tmp_path: Path, which: str
) -> None:
    out = export(run, which, tmp_path / "model")
    expected = run.generator(which).sample(9, seed=3)
    assert np.array_equal(load_exported(out).sample(9, seed=3), expected)
    code = (
        "import sys; from raygan.service.scores.export import load_exported;"
        f" x = load_exported({str(out)!r}).sample(9, seed=3);"
        " print(x.tolist()); assert 'ray' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert np.allclose(json.loads(done.stdout), expected, atol=1e-6)
    card = (out / "README.md").read_text()
    assert "| modes↑? |" in card or "| modes↑ |" in card
    assert "fresh draws" in card, "the protocol stands beside the scores"


def test_names_of_columns_go_along(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal([170, 65], [9, 12], (400, 2))
    np.savetxt(tmp_path / "people.csv", x, delimiter=",", header="height,weight", comments="")
    settings = {**TINY, "data": f"csv:{tmp_path / 'people.csv'}", "strategy": "independent"}
    run = raygan.train(None, run_dir=tmp_path, name="r", inline=True, **settings)
    made = load_exported(export(run, "pair:0", tmp_path / "model"))
    assert made.columns == run.generator("pair:0").columns == ("height", "weight")
    config = json.loads((tmp_path / "model/config.json").read_text())
    del config["columns"]  # as before names went along
    (tmp_path / "model/config.json").write_text(json.dumps(config))
    assert load_exported(tmp_path / "model").columns == ()


def test_the_card_says_in_which_numbers_samples_come(run: Run, tmp_path: Path) -> None:
    told = json.loads((export(run, "mixture", tmp_path / "model") / "config.json").read_text())
    assert "[-1, 1]" not in card(run, told)
    assert "each of the 2 generators gives as many samples" in card(run, told)
    told |= {"weights": {"pair-00": 300.0, "pair-01": 100.0}, "shape": [1, 8, 8]}
    assert "pair-00 0.75, pair-01 0.25" in card(run, told)
    assert "images in [-1, 1]" in card(run, told)
    told["scaling"] = {"offset": [2047.5], "factor": [2047.5]}
    assert "images in 0..4095" in card(run, told)
    assert "[-1, 1]" not in card(run, told)
    assert "ONNX" not in card(run, told)
    told["generators"]["pair-01"]["prior"] = "uniform"
    told["judges"] = {"pair-00": {"threshold": 0.5}}
    graphs = card(run, told, onnx=True)
    assert "`generator-pair-01.onnx`: `z` (N, 2) float32, each number drawn from U(-1, 1)" in graphs
    assert "offset [2047.5] and factor [2047.5]" in graphs
    assert "`judge-pair-00.onnx`: `x` as a generator's graph gives it" in graphs


@pytest.mark.parametrize(
    ("at", "trained", "scored"),
    [
        (12, "for 12 steps", "single generator pair-01, step 12"),
        (8, "for 8 of 12 steps", "The scores are of step 6, and the weights of step 8."),
        (4, "for 4 of 12 steps", "no scores up to step 4."),
    ],
)
def test_the_card_is_of_the_checkpoint_that_the_weights_are_of(
    at: int, trained: str, scored: str, tmp_path: Path
) -> None:
    """Every 4 steps a checkpoint, every 6 scores; it goes on when it is exported."""
    settings = {**TINY, "strategy": "independent", "checkpoint": {"every_steps": 4, "keep": 3}}
    run = raygan.train("ring8-gap", run_dir=tmp_path, name="r", inline=True, **settings)
    entry = list_checkpoints(run.path)[at]
    pinned = Run(run.path, pin=read_checkpoint(run.path, at, entry.manifest, entry.folder))
    out = export(pinned, "pair:1", tmp_path / "model")
    text = (out / "README.md").read_text()
    assert trained in text
    assert scored in text
    assert ("and the weights of step" in text) == (at == 8)
    assert json.loads((out / "config.json").read_text())["steps"] == {"pair-01": at}


def test_a_mixture_is_not_told_by_the_scores_of_a_member(run: Run, tmp_path: Path) -> None:
    fit_mixture(run, samples=1600)
    text = (export(run, "fitted", tmp_path / "model") / "README.md").read_text()
    assert "This mixture was not scored" in text
    likelihood = json.loads((run.path / "mixture.json").read_text())["log_likelihood"]
    assert f"{format_number(likelihood['fitted'])} nats, and" in text
    assert "single generator" not in text
    told = json.loads((tmp_path / "model/config.json").read_text())
    assert "| mixture, step 12 |" in card(run, {**told, "from": "mixture"})
    rows = [r for r in run.logs.rows if r["player"] != "mixture"]
    fewer = Path(shutil.copytree(run.path, tmp_path / "fewer"))
    (fewer / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    text = card(Run(fewer), {**told, "from": "mixture"})
    assert "This mixture was not scored" in text
    assert "single generator" not in text


def test_scores_of_a_run_that_has_not_ended_are_told(run: Run, tmp_path: Path) -> None:
    """Its floor and ceiling come at its end."""
    live = Run(run.path, {"protocols": {}})
    text = (export(live, "pair:0", tmp_path / "model") / "README.md").read_text()
    assert "| modes" in text
    assert "measured when a run ends" in text
    assert "None" not in text


@pytest.mark.exhaustive
@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"
)
def test_a_graph_says_the_way_from_z_to_the_datas_units(tmp_path: Path) -> None:
    import onnxruntime

    x = np.random.default_rng(0).normal([1000, -2], [9, 0.1], (400, 2))
    np.savez(tmp_path / "far.npz", x=x)
    settings = {**TINY, "data": f"npz:{tmp_path / 'far.npz'}", "strategy": "independent"}
    pair = {**TINY.get("pair", {}), "prior": "uniform"}
    run = raygan.train(None, run_dir=tmp_path, name="r", inline=True, **{**settings, "pair": pair})
    out = export(run, "pair:0", tmp_path / "model", onnx=True)
    session = onnxruntime.InferenceSession(
        str(out / "generator-pair-00.onnx"), providers=["CPUExecutionProvider"]
    )
    told = session.get_modelmeta().custom_metadata_map
    assert told["z"] == "2 numbers, each from U(-1, 1)"
    offset, factor = ([float(n) for n in told[k].split(", ")] for k in ("offset", "factor"))
    made = run.generator("pair:0")
    z = sample_prior("uniform", (50, 2), Streams(3, "sample").at("pair-00"))
    found = np.array(offset) + np.array(factor) * session.run(None, {"z": z.numpy()})[0]
    np.testing.assert_allclose(found, made.sample(50, seed=3), rtol=1e-5)
    assert f"offset [{offset[0]:.9g}, " in (out / "README.md").read_text()


def test_bad_exports_write_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(ConfigError, match="exists already"):
        export(run, "best", tmp_path / "there")
    with pytest.raises(ConfigError, match="does not exist"):
        export(run, "best", tmp_path / "no/where")
    with pytest.raises(ConfigError, match="--from 'pair:9'"):
        export(run, "pair:9", tmp_path / "new")
    assert [p.name for p in tmp_path.iterdir()] == ["there"]
    with pytest.raises(CheckpointError, match="is not an exported generator"):
        load_exported(tmp_path / "there")


@pytest.mark.parametrize(
    ("preset", "which"),
    [("ring8-gap", "best"), ("ring8-gap", "mixture"), ("ring8-gman", "pair:1"),
     ("ring8-sgan", "global"), ("ring8-pmgan", "mixture")],
)  # fmt: skip
def test_an_export_keeps_what_the_runs_own_discriminators_keep(
    preset: str, which: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rejection, "STEPS", 20)
    true = rejection.calibrated

    def strict(*given: Any) -> Judge:
        judge = true(*given)  # after so few steps it would keep nearly all
        return replace(judge, threshold=judge.threshold + 1)

    monkeypatch.setattr(rejection, "calibrated", strict)
    small = {k: v for k, v in TINY.items() if k not in ("strategy", "loss", "network")}
    made = raygan.train(preset, run_dir=tmp_path, name="r", inline=True, **small)
    expected = rejecting(made, which)
    out = export(made, which, tmp_path / "model", reject=True)
    shutil.rmtree(made.path)  # neither the run nor its data are needed
    found = load_exported(out)
    assert np.array_equal(found.sample(50, seed=3), expected.sample(50, seed=3))
    assert found.share_kept == expected.share_kept < 1
    told = json.loads((out / "config.json").read_text())
    assert "data" not in told["judging"], "a path of somebody's data is nobody else's business"
    assert f"keeps {told['share_kept']:.0%} of what it makes" in (out / "README.md").read_text()


def test_an_export_knows_its_alphabet(run: Run, tmp_path: Path) -> None:
    told = json.loads((run.path / "run.json").read_text())
    (run.path / "run.json").write_text(json.dumps({**told, "alphabet": "ab"}))
    try:
        out = export(Run.load(run.path), "best", tmp_path / "model")
    finally:
        (run.path / "run.json").write_text(json.dumps(told))
    assert load_exported(out).alphabet == "ab"
    assert load_exported(export(run, "best", tmp_path / "points")).alphabet == ""


@pytest.mark.exhaustive
@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"
)
def test_onnx_of_a_judge_gives_its_logits(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnxruntime

    monkeypatch.setattr(rejection, "STEPS", 20)
    out = export(run, "pair:0", tmp_path / "model", onnx=True, reject=True)
    x = np.random.default_rng(0).normal(size=(33, 2)).astype(np.float32)
    session = onnxruntime.InferenceSession(
        str(out / "judge-pair-00.onnx"), providers=["CPUExecutionProvider"]
    )
    with torch.no_grad():
        expected = odds(load_exported(out).judges["pair-00"].d(torch.from_numpy(x))).numpy()
    assert np.abs(session.run(None, {"x": x})[0] - expected).max() < 1e-5


@pytest.mark.exhaustive
@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"
)
@pytest.mark.parametrize("categories", [0, 3])
def test_onnx_gives_the_same_numbers(categories: int, run: Run, tmp_path: Path) -> None:
    import onnxruntime

    if categories:
        network = {"name": "mlp", "hidden": 16, "z_dim": 5, "categories": categories}
        settings = {**TINY, "strategy": "independent", "network": network}
        run = raygan.train("ring8-gap", run_dir=tmp_path, name="told", inline=True, **settings)
    out = export(run, "pair:0", tmp_path / "model", onnx=True)
    session = onnxruntime.InferenceSession(
        str(out / "generator-pair-00.onnx"), providers=["CPUExecutionProvider"]
    )
    z_dim = 5 if categories else 2
    z = np.random.default_rng(0).normal(size=(33, z_dim)).astype(np.float32)
    made = run.generator("pair:0").networks["pair-00"]
    with torch.no_grad():
        expected = made(torch.from_numpy(z)).numpy()
    assert np.abs(session.run(None, {"z": z})[0] - expected).max() < 1e-5
