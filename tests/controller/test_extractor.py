"""`evaluation.extractor`: FID and its kin by the user's own features while a run goes on."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import raygan
from raygan.actors.abroad import missing
from raygan.cli import main
from tests.conftest import TINY, tiny_config


class Corners(nn.Module):
    """Three features of a picture."""

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        return torch.stack([flat[:, 0], flat[:, -1], flat.mean(1)], 1)


@pytest.fixture
def features(tmp_path: Path) -> str:
    with warnings.catch_warnings():
        # torch.jit is old; files of it are many
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(Corners()).save(tmp_path / "corners.pt")
    return f"torchscript:{tmp_path}/corners.pt"


def pictures(folder: Path) -> dict[str, Any]:
    x = np.random.default_rng(0).integers(0, 256, (400, 8, 8), dtype=np.uint8)
    np.savez(folder / "data.npz", x=x)
    return {"name": "npz", "path": str(folder / "data.npz")}


def trained(folder: Path, data: Any, extractor: str | None) -> raygan.Run:
    evaluation = {"every_steps": 6, "samples": 1600, "extractor": extractor}
    settings = {**TINY, "data": data, "evaluation": evaluation, "num_pairs": 1}
    settings |= {"strategy": "independent"}
    return raygan.train(None, run_dir=folder, name="r", inline=True, **settings)


def test_each_evaluation_of_pictures_looks_through_them(tmp_path: Path, features: str) -> None:
    run = trained(tmp_path, pictures(tmp_path), features)
    first, *_, last = run.scored.to_dict("records")
    (name,) = (key for key in first if key.startswith("kid@torchscript-corners-"))
    assert first["step"] < last["step"]
    assert np.isfinite(first[name])
    assert np.isfinite(last[name])
    (protocol,) = {p["extractor"] for p in run.info["protocols"].values() if p["extractor"]}
    assert name == f"kid@{protocol}"


def test_points_get_a_fid_beside_their_modes_at_each_evaluation(tmp_path: Path) -> None:
    run = trained(tmp_path, {"name": "ring"}, "raw")
    rows = run.scored[["modes", "fid@raw"]].to_numpy()
    assert len(rows) > 1
    assert np.isfinite(rows).all()
    assert "log_likelihood" in run.scores()["pair-00"], "and at the end all that they had"


def test_without_it_nothing_is_another(tmp_path: Path) -> None:
    run = trained(tmp_path, {"name": "ring"}, None)
    assert not [key for key in run.scores()["pair-00"] if "@raw" in key]


@pytest.mark.parametrize(
    ("extractor", "words"),
    [
        ("torchscript:/nowhere/net.pt", "extractor: '/nowhere/net.pt' does not exist"),
        ("inception", "extractor: no feature extractor 'inception'"),
    ],
)
def test_one_that_is_not_there_is_one_line_and_no_folder(
    extractor: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["train", "--inline", "--steps", "6", "--run-dir", str(tmp_path), "--name", "r"]
    with pytest.raises(SystemExit, match="2"):
        main([*argv, "--evaluation.extractor", extractor])
    assert words in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def test_a_node_that_lacks_the_file_is_found_before_anybody_trains() -> None:
    config = tiny_config(evaluation={"extractor": "torchscript:/nowhere/net.pt"})
    assert missing(config) == (
        "extractor: '/nowhere/net.pt' does not exist. Check the path after 'torchscript:'."
    )
    assert missing(tiny_config(evaluation={"extractor": "raw"})) == ""


def test_a_score_by_it_can_be_required(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["train", "--inline", "--steps", "6", "--run-dir", str(tmp_path), "--quiet",
            "--network.hidden", "4", "--evaluation.extractor", "raw",
            "--evaluation.reject", "never"]  # fmt: skip
    with pytest.raises(SystemExit, match="5"):
        main([*argv, "--require", "fid@raw<=0"])
    assert "fid@raw" in capsys.readouterr().err
