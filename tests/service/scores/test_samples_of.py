"""`evaluate --samples-of`: what another generator has made, beside a run's own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import raygan
from raygan.cli import main
from raygan.errors import ConfigError, DataError
from raygan.service.runs.run import Run
from raygan.service.scores.evaluate import evaluate_runs, table
from raygan.service.scores.sampling import write_samples
from tests.conftest import TINY

N = 200


def written(kind: str, folder: Path) -> Any:
    """Data of this kind; points far from 0, so that their reader scales them."""
    rng = np.random.default_rng(0)
    if kind == "ring":
        return {"name": "ring"}
    if kind == "points":
        np.savez(folder / "data.npz", x=rng.normal([500, -3], [40, 0.1], (600, 2)))
    else:
        np.savez(folder / "data.npz", x=rng.integers(0, 256, (600, 8, 8), dtype=np.uint8))
    return {"name": "npz", "path": str(folder / "data.npz")}


def trained(folder: Path, data: Mapping[str, Any]) -> Run:
    settings = {**TINY, "num_pairs": 1, "strategy": "independent", "data": data}
    return raygan.train(None, run_dir=folder, name="r", inline=True, **settings)


@pytest.mark.parametrize("kind", ["ring", "points", "pictures"])
def test_a_run_s_own_samples_out_of_a_file_score_as_they_do_in_it(
    kind: str, tmp_path: Path
) -> None:
    run = trained(tmp_path, written(kind, tmp_path))
    theirs = str(tmp_path / "theirs.npz")
    write_samples(run, "pair-00", N, 0, Path(theirs), False)
    source: Any = theirs
    if kind == "pictures":  # samples have -1..1, and those of a poor generator do not reach it
        source, theirs = {"name": "npz", "path": theirs, "scale": "-1..1"}, f"npz:{theirs}"
    groups, features = (["modes"], None) if kind == "ring" else (["fid", "prdc"], "raw")
    entry = evaluate_runs([str(run.path)], groups, N, features, 0, samples_of=[source])
    scores = entry[0]["scores"]
    assert list(scores) == ["pair-00", theirs]
    # to a file and back is a rounding of pictures to bytes, of points to float32
    assert scores[theirs] == pytest.approx(scores["pair-00"], rel=0.02, abs=0.02, nan_ok=True)
    assert any(line.startswith(theirs) for line in table(entry).splitlines())


def test_a_reader_that_asks_is_answered_in_the_source(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained(tmp_path, written("pictures", tmp_path))
    np.savez(tmp_path / "dim.npz", x=np.linspace(-0.2, 0.1, N * 64).reshape(N, 8, 8))
    words = ["evaluate", str(run.path), "--samples", str(N), "--metrics", "prdc", "--extractor",
             "raw", "--samples-of"]  # fmt: skip
    with pytest.raises(SystemExit, match="2"):
        main([*words, str(tmp_path / "dim.npz")])
    told = capsys.readouterr().err
    assert told.startswith("raygan: --samples-of: ")
    assert "--samples-of '{name: npz, path: .., layout: ..}'" in told
    with pytest.raises(SystemExit, match="0"):
        main([*words, f"{{name: npz, path: {tmp_path}/dim.npz, layout: NHW, scale: -1..1}}"])
    assert f"npz:{tmp_path}/dim.npz" in capsys.readouterr().out


def test_what_is_scored_is_drawn_from_all_of_a_source_held_out_ones_too(tmp_path: Path) -> None:
    """A file of which only the held-out tenth were taken would hold too few."""
    run = trained(tmp_path, {"name": "ring"})
    rng = np.random.default_rng(1)
    np.savez(tmp_path / "noise.npz", x=rng.normal(size=(N, 2)).astype(np.float32))
    (entry,) = evaluate_runs(
        [str(run.path)], ["modes"], N, None, 0, samples_of=[str(tmp_path / "noise.npz")]
    )
    assert entry["scores"][str(tmp_path / "noise.npz")]["high_quality"] < 0.1


@pytest.mark.parametrize(
    ("made", "error", "words"),
    [
        (np.zeros((N, 3)), DataError, "shape"),
        (np.zeros((N, 8, 8), np.uint8), DataError, "pictures"),
        (np.linspace(0, 1, 100).reshape(50, 2), ConfigError, "holds 50 samples.*--samples 50"),
        (None, DataError, "theirs.npz"),
    ],
    ids=["columns", "kind", "few", "none"],
)
def test_samples_of_another_form_are_one_line_and_nothing_is_stored(
    made: Any, error: type[Exception], words: str, tmp_path: Path
) -> None:
    run = trained(tmp_path, {"name": "ring"})
    if made is not None:
        np.savez(tmp_path / "theirs.npz", x=made)
    with pytest.raises(error, match=words):
        evaluate_runs(
            [str(run.path)], ["modes"], N, None, 0, samples_of=[str(tmp_path / "theirs.npz")]
        )
    assert not list(run.path.glob("evaluation-*"))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--reject"], "--reject: nobody here has a discriminator"),
        (["--metrics", "gam2"], "--samples-of: --metrics gam2 takes the runs' own generators"),
    ],
)
def test_what_it_does_not_go_with_is_refused(
    more: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained(tmp_path, {"name": "ring"})
    with pytest.raises(SystemExit, match="2"):
        main(["evaluate", str(run.path), "--samples-of", "theirs.npz", *more])
    assert words in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["evaluate", str(run.path), "--samples-of", "./own.py:Theirs", "--metrics", "modes"])
    assert "--samples-of ./own.py:Theirs: this is no SOURCE" in capsys.readouterr().err
