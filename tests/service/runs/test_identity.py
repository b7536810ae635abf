"""A run knows its data by what they hold, wherever it is gone on with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raygan.config import resolve
from raygan.errors import ConfigError, DataError
from raygan.service.resuming import resume_run
from raygan.service.runs.run import Run
from raygan.service.scores.compare import compare_runs
from raygan.service.scores.evaluate import evaluate_runs
from raygan.service.training import train

FLAGS: dict[str, Any] = {
    "num_pairs": 2, "network": "mlp", "network.hidden": 8, "steps": 4, "checkpoint.every_steps": 4,
    "evaluation.every_steps": 4, "evaluation.samples": 1500, "data": "npz:points.npz",
}  # fmt: skip


def points(folder: Path, shift: float = 0.0) -> None:
    folder.mkdir(exist_ok=True)
    np.savez(folder / "points.npz", x=np.random.default_rng(0).normal(size=(400, 2)) + shift)


def begun(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch, **flags: Any) -> Run:
    monkeypatch.chdir(folder)
    return train(
        resolve(flags={**FLAGS, **flags}), run_dir=folder.parent / "runs", name=name, inline=True
    )


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    points(tmp_path / "a")
    return begun(tmp_path / "a", "a", monkeypatch)


def test_other_data_of_the_same_name_are_refused_in_one_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the path was relative to where the run began
    assert resume_run(run.path, extra_steps=2).info["status"] == "done"
    before = (run.path / "metrics.jsonl").read_bytes()
    points(tmp_path / "a", shift=5)
    told = r"sha256 \w{12}\.\. now, the run was made with \w{12}.*--other-data"
    with pytest.raises(DataError, match=told):
        resume_run(run.path, extra_steps=2)
    with pytest.raises(DataError, match=told):
        evaluate_runs([str(run.path)], None, 1500, None, 0)
    assert (run.path / "metrics.jsonl").read_bytes() == before
    evaluate_runs([str(run.path)], None, 1500, None, 0, other_data=True)
    assert resume_run(run.path, extra_steps=2, new_data=True).events[-1]
    assert any(e["kind"] == "data" for e in run.events)
    resume_run(run.path, extra_steps=2)  # it is on these from here on


def test_compare_knows_data_by_their_hash(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points(tmp_path / "copy")
    alike = begun(tmp_path / "copy", "copy", monkeypatch, seed=1)
    points(tmp_path / "b", shift=50)
    other = begun(tmp_path / "b", "b", monkeypatch)
    assert "copy pair-00" in compare_runs([str(run.path), str(alike.path)]), (
        "the same data elsewhere, another seed"
    )
    with pytest.raises(ConfigError, match=r"sha256 .*sha256 "):
        compare_runs([str(run.path), str(other.path)])


def test_a_run_from_before_goes_on_with_the_split_that_it_began_with(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    values = json.loads((run.path / "config.json").read_text())
    for name in ("held_out_by", "held_out_seed"):
        del values["data"][name]
    (run.path / "config.json").write_text(json.dumps(values))
    assert run.config.data["held_out_by"] == "tail"
    resume_run(run.path, extra_steps=2)
    assert "last samples are held out" in caplog.text
    assert Run.load(run.path).info["data"]["split"] == "last 40"
