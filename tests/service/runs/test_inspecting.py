"""`raygan data`: what it says of a source, against numpy by hand; the sheet; coverage by class."""

from __future__ import annotations

import io
import json
import shutil
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from raygan.cli import main
from raygan.config import resolve
from raygan.data.base import Samples, to_float
from raygan.data.rows import extremes
from raygan.errors import DataError
from raygan.metrics.groups import default_groups
from raygan.metrics.suite import Suite
from raygan.service.runs.identity import data_note, identity, other_data, rooted
from raygan.service.runs.inspecting import lines, report_of
from raygan.service.runs.run import Run
from raygan.service.training import train
from raygan.service.views.sheet import GAP, sheet
from raygan.strategies.base import load_data
from tests.conftest import TINY

RNG = np.random.default_rng(0)


def told(root: Path, arrays: dict[str, Any], **settings: Any) -> tuple[Samples, dict[str, Any]]:
    np.savez(root / "a.npz", **arrays)
    flags = {
        "data": f"npz:{root / 'a.npz'}",
        "strategy": "independent",
        **{f"data.{k}": v for k, v in settings.items()},
    }
    return report_of(resolve(flags=flags).config)


def test_the_report_counts_what_is_in_the_file(tmp_path: Path) -> None:
    points = RNG.normal(size=(50, 3))
    points[:, 1] = 7
    points = np.concatenate([points, points[:10], points[:10]])
    data, found = told(tmp_path, {"x": points, "label": np.arange(70) % 2})
    assert found["samples"] == {"train": 63, "held_out": 7, "split": "random 10 %, seed 0"}
    whole = [r.tobytes() for r in np.concatenate([data.train, data.held_out])]
    trained = {r.tobytes() for r in data.train}
    assert found["duplicates"]["train"] + len(trained) == 63
    assert found["duplicates"]["in_both"] == sum(r.tobytes() in trained for r in data.held_out) > 0
    assert len(set(whole)) == 50
    assert found["constant"] == [1]
    assert found["each"]["range"] == [data.train.min(), data.train.max()]
    assert found["data"]["sha256"] == data.sha256
    assert found["hints"] == ["label was left out and may be classes: data.labels: label uses them"]
    text = "\n".join(lines(data, found))
    assert "70: 63 to train on, 7 held out" in text
    assert "1 of the columns: 1" in text
    json.dumps(found)


def test_the_report_tells_what_d_is_shown(tmp_path: Path) -> None:
    pictures = RNG.integers(10, 200, (40, 6, 6), dtype=np.uint8)
    pictures[0, 0, 0], pictures[1, 0, 0] = 10, 199
    data, found = told(tmp_path, {"x": pictures, "y": np.arange(40) % 4}, labels="y")
    low, high = float(data.train.min()), float(data.train.max())
    assert found["each"]["range"] == [low, high]
    assert found["each"]["shown"] == [low / 127.5 - 1, high / 127.5 - 1]
    assert found["classes"] == {str(c): [9, 1] for c in range(4)}
    assert found["each"]["shape"] == [1, 6, 6]


@pytest.mark.parametrize("labels", [None, "y"])
def test_the_sheet_of_pictures_holds_the_pictures(labels: str | None, tmp_path: Path) -> None:
    pictures = RNG.integers(0, 256, (80, 16, 16), dtype=np.uint8)
    data, _ = told(tmp_path, {"x": pictures, "y": np.arange(80) % 2}, labels=labels, key="x")
    raw = sheet(data)
    assert raw is not None
    drawn = np.asarray(Image.open(io.BytesIO(raw)).convert("L"))
    factor = 4
    at = 110 if labels else 0
    first = drawn[: 16 * factor : factor, at : at + 16 * factor : factor]
    assert any(np.array_equal(first, p[0]) for p in data.train), (
        "enlarged pixel by pixel, nothing else"
    )
    assert drawn.shape[0] == 8 * (16 * factor + GAP)


@pytest.mark.parametrize("columns", [1, 2, 5, 40])
def test_points_have_a_sheet_too(columns: int) -> None:
    points = RNG.normal(size=(60, columns)).astype(np.float32)
    raw = sheet(Samples("x", points[:50], points[50:]))
    assert raw is not None
    drawn = np.asarray(Image.open(io.BytesIO(raw)))
    assert (drawn == (138, 138, 138)).all(-1).sum() > 50, "the training part"
    assert (drawn == (209, 73, 91)).all(-1).any(), "the held-out part"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["nowhere.npz"], "does not exist"),
        (["a.npz", "--data.labels", "z"], "no labels 'z'"),
        (["a.npz", "--out", "x.jpg"], "Name it .png"),
        (["a.npz", "--out", "no/where/x.png"], "cannot be written"),
        (["a.npz", "--data.partition", "by_clas"], "write shared"),
        (["a.npz", "--data.partition", "by_class"], "has no classes"),
        (["nonsense"], "no data named"),
        ([], "no SOURCE"),
    ],
)
def test_a_bad_question_is_one_line_and_exit_2(
    arguments: list[str],
    why: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", x=RNG.normal(size=(30, 2)))
    with pytest.raises(SystemExit) as end:
        main(["data", *arguments])
    err = capsys.readouterr().err
    assert end.value.code == 2
    assert why in err
    assert err.count("\n") == 1
    assert not list(tmp_path.glob("*.png"))


def test_the_verb_writes_json_and_a_sheet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", x=RNG.normal(size=(30, 2)), y=np.arange(30) % 3)
    with pytest.raises(SystemExit) as end:
        main(
            [
                "data",
                "a.npz",
                "--data.labels",
                "y",
                "--data.partition",
                "by_class",
                "--num-pairs",
                "3",
                "--json",
                "--out",
                "s.png",
            ]
        )
    found = json.loads(capsys.readouterr().out)
    assert not end.value.code
    assert Image.open("s.png").size[0] > 100
    assert [p["classes"] for p in found["data"]["parts"].values()] == [
        {str(c): 9 if c == i else 0 for c in range(3)} for i in range(3)
    ]


def test_coverage_by_class_counts_the_nearest_held_out_sample(tmp_path: Path) -> None:
    centres = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    kind = np.arange(600) % 3
    data, _ = told(
        tmp_path,
        {"x": centres[kind] + RNG.normal(0, 0.1, (600, 2)), "y": kind},
        labels="y",
        scale="none",
    )
    assert default_groups(data) == ["density", "labels"]
    suite = Suite(data, ["labels"], n_fake=300, n_real=60)
    some = centres[[0] * 200 + [1] * 98 + [2] * 2].astype(np.float32)
    fake = to_float(some)
    assert suite.by_class(fake) == pytest.approx(
        {"0": 2 / 3, "1": 98 / 300, "2": 2 / 300}, abs=1e-5
    )
    scores = suite.score(fake)
    assert scores["classes_covered"] == 2
    assert scores["class_tv"] == pytest.approx(1 / 3, abs=1e-3)
    assert suite.ceiling()["class_tv"] < 0.05
    assert suite.floor()["class_tv"] > suite.ceiling()["class_tv"]


def test_other_labels_or_parts_are_other_data(tmp_path: Path) -> None:
    x, y = RNG.normal(size=(90, 2)), np.arange(90) % 2
    before, _ = told(tmp_path, {"x": x, "y": y}, labels="y", partition="shards")
    info = json.loads(json.dumps({"data": identity(before)}))
    assert not other_data(info, before)
    flipped, _ = told(tmp_path, {"x": x, "y": 1 - y}, labels="y", partition="shards")
    assert "the classes of npz:a.npz has sha256" in other_data(info, flipped)
    moved, _ = told(tmp_path, {"x": x[::-1], "y": y[::-1]}, labels="y", partition="shards")
    assert "npz:a.npz has sha256" in other_data(info, moved)


def test_sources_and_files_of_labels_are_rooted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("x.npy", "y.npy", "b.npy"):
        np.save(name, np.arange(40) % 2)
    flags = {
        "data": "npz:x.npy", "data.labels": "y.npy", "strategy": "independent", "num_pairs": 1,
        "data.partition": {"pair-00": {"name": "npz", "path": "b.npy", "labels": "kind"}},
    }  # fmt: skip
    data = rooted(resolve(flags=flags).config).data
    assert data["path"] == str(tmp_path / "x.npy")
    assert data["labels"] == str(tmp_path / "y.npy")
    assert data["partition"]["pair-00"] == {
        "name": "npz",
        "path": str(tmp_path / "b.npy"),
        "labels": "kind",
    }


def test_scores_of_data_that_have_changed_say_so(tmp_path: Path) -> None:
    from raygan.service.scores.compare import compare_runs
    from raygan.service.training import train
    from raygan.service.views.report import write_report

    np.savez(tmp_path / "a.npz", x=RNG.normal(size=(300, 2)))
    flags = {
        "data": f"npz:{tmp_path / 'a.npz'}", "strategy": "independent", "num_pairs": 1, "steps": 2,
        "network": "mlp", "network.hidden": 8, "evaluation.samples": 1500,
    }  # fmt: skip
    runs = [
        train(resolve(flags={**flags, "seed": s}), run_dir=tmp_path, name=f"r{s}", inline=True)
        for s in (0, 1)
    ]
    assert (runs[0].path / "data.png").read_bytes()[:4] == b"\x89PNG"
    paths = [str(r.path) for r in runs]
    assert "note:" not in compare_runs(paths)
    assert "have changed" not in write_report(runs[0]).read_text()
    assert "What D is shown" in write_report(runs[0]).read_text()
    np.savez(tmp_path / "a.npz", x=RNG.normal(size=(300, 2)))
    assert "r0: its data have changed since these scores" in compare_runs(paths)
    assert "have changed since these scores" in write_report(runs[0]).read_text()
    (tmp_path / "a.npz").unlink()
    assert "cannot be read now" in data_note(Run.load(paths[0]))


def test_a_whole_that_nobody_named_is_refused() -> None:
    from raygan.service.runs.identity import settled

    flags = {"data.partition": {"pair-00": "ring8"}, "num_pairs": 1, "strategy": "independent"}
    with pytest.raises(Exception, match="Name the whole"):
        settled(resolve(flags=flags))


def test_the_number_of_parts_stays(tmp_path: Path) -> None:
    from raygan.service.runs.identity import settled

    config = settled(
        resolve(
            flags={"data": "ring8", "data.partition": "shards", "num_pairs": 3, "strategy": "gap"}
        )
    ).config
    left = config.model_copy(update={"num_pairs": 2, "members": (0, 2)})
    assert load_data(left).parts["pair-02"] == load_data(config).parts["pair-02"]


def test_extremes_take_two_samples_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raygan.data.stored.PART", 1)  # a part is one sample, as of large pictures
    arrays = np.random.default_rng(0).normal(size=(2, 200, 10_000))
    tracemalloc.start()
    low, high = extremes(*arrays)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.array_equal(low, arrays.min((0, 1)))
    assert np.array_equal(high, arrays.max((0, 1)))
    assert peak < 10 * low.nbytes


def test_data_that_go_along_with_a_job_are_found_by_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray unpacks a job's working directory at another place each time, and throws it away."""
    points = np.random.default_rng(0).normal(size=(400, 2)).astype(np.float32)
    packages = [tmp_path / f"working_dir_files/_ray_pkg_{name}" for name in ("aa", "bb", "cc")]
    for package in packages:
        package.mkdir(parents=True)
        np.savez(package / "points.npz", x=points if package.name[-1] != "c" else points + 1)
    asked = {
        **TINY, "data": {"name": "npz", "path": "points.npz"}, "num_pairs": 1,
        "strategy": "independent",
    }  # fmt: skip

    def go(package: Path, steps: int) -> Run:
        monkeypatch.chdir(package)
        resolved = resolve(None, flags={**asked, "steps": steps})
        return train(resolved, run_dir=tmp_path / "runs", name="sent", inline=True, resume="auto")

    first = go(packages[0], 10)
    assert first.config.data["path"] == "points.npz"
    shutil.rmtree(packages[0])
    assert go(packages[1], 20).info["steps"] == {"pair-00": 20}
    with pytest.raises(DataError, match="has sha256"):
        go(packages[2], 30)
