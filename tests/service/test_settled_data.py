"""Runs begun before a question about their data was known: they go on, and whoever begins anew is
asked.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import raygan
from raygan.config import load_component
from raygan.data import keeping
from raygan.data.base import DataComponent
from raygan.data.cache_sources import Source
from raygan.data.files import FileComponent
from raygan.data.questions import Doubt, answered
from raygan.data.split import fingerprint
from raygan.errors import DataError
from raygan.service.distil import lesson
from raygan.service.resuming import resume_run
from raygan.service.runs.identity import data_seen, run_data
from raygan.service.runs.run import Run
from raygan.service.scores.evaluate import evaluate_runs
from raygan.service.views.report import write_report
from tests.conftest import TINY

RNG = np.random.default_rng(0)
COUNT = 200
LAST = np.arange(COUNT) % 5.0
POINTS = np.c_[RNG.normal(size=(COUNT, 2)), LAST]


def npy(at: Path) -> dict[str, Any]:
    np.save(at / "lab.npy", POINTS)
    return {"name": "npz", "path": f"{at}/lab.npy"}


def quality(at: Path) -> dict[str, Any]:
    pd.DataFrame(POINTS, columns=["u", "v", "quality"]).to_csv(at / "lab.csv", index=False)
    return {"name": "csv", "path": f"{at}/lab.csv"}


def dots(at: Path) -> dict[str, Any]:
    rows = "".join(f"{i % 9 + 1}.{100 + i};{i}\n" for i in range(COUNT))
    (at / "lab.csv").write_text("u;v\n" + rows)
    return {"name": "csv", "path": f"{at}/lab.csv"}


def classes(at: Path) -> dict[str, Any]:
    rows = "".join(f"{u},{v},{('1', '01', '2')[i % 3]}\n" for i, (u, v, _) in enumerate(POINTS))
    (at / "lab.csv").write_text("u,v,kind\n" + rows)
    return {"name": "csv", "path": f"{at}/lab.csv", "labels": "kind"}


def fill(at: Path) -> dict[str, Any]:
    with h5py.File(at / "lab.h5", "w") as file:
        file["x"] = POINTS[:, :2]
        file["x"][3, 0] = -9999
        file["x"].attrs["_FillValue"] = -9999.0
    return {"name": "hdf5", "path": f"{at}/lab.h5"}


def packed(at: Path) -> dict[str, Any]:
    with h5py.File(at / "lab.h5", "w") as file:
        file["x"] = POINTS[:, :2]
        file["x"].attrs["scale_factor"] = 0.1
    return {"name": "hdf5", "path": f"{at}/lab.h5"}


def twice(at: Path) -> dict[str, Any]:
    with (at / "lab.npy").open("wb") as file:
        np.save(file, POINTS[:, :2])
        np.save(file, POINTS[:, :2])
    return {"name": "npz", "path": f"{at}/lab.npy"}


def unnamed(at: Path) -> dict[str, Any]:
    np.savez(at / "lab.npz", *[POINTS[:, :2]] * 3)
    return {"name": "npz", "path": f"{at}/lab.npz"}


def links(at: Path) -> dict[str, Any]:
    for i in range(20):
        (at / "lab" / f"c{i % 2}").mkdir(parents=True, exist_ok=True)
        picture = RNG.integers(0, 256, (8, 8)).astype(np.uint8)
        Image.fromarray(picture).save(at / "lab" / f"c{i % 2}" / f"{i}.png")
    (at / "lab" / "c1" / "again.png").hardlink_to(at / "lab" / "c0" / "0.png")
    return {"name": "folder", "path": f"{at}/lab"}


EACH: list[Callable[[Path], dict[str, Any]]] = [
    npy, quality, dots, classes, fill, packed, twice, unnamed, links
]  # fmt: skip


@pytest.mark.parametrize("made", EACH)
def test_what_is_asked_about_can_be_read_as_it_was(
    made: Callable[[Path], dict[str, Any]], tmp_path: Path
) -> None:
    source = load_component("data", made(tmp_path))
    assert isinstance(source, FileComponent)
    with pytest.raises(Doubt) as asked:
        source.load(0)
    assert "\n" not in str(asked.value)
    with answered("columns", "others"):
        data = source.load(0)
    count = 21 if made is links else COUNT
    assert len(data.train) + len(data.held_out) == count
    with pytest.raises(Doubt):
        source.load(0)


def older(at: Path) -> Path:
    """A run as it was begun before its data were asked about: nothing in it answers."""
    run = raygan.train(
        None, run_dir=at / "runs", name="lab", inline=True,
        **{**TINY, "strategy": "independent", "data": {**npy(at), "layout": "points"}},
    ).path  # fmt: skip
    config = json.loads((run / "config.json").read_text())
    del config["data"]["layout"]
    (run / "config.json").write_text(json.dumps(config))
    return run


def test_a_run_on_data_that_are_asked_about_now_goes_on(tmp_path: Path) -> None:
    path = older(tmp_path)
    with pytest.raises(Doubt, match="its last column"):
        raygan.train(
            None, run_dir=tmp_path / "runs", name="other", inline=True,
            **{**TINY, "strategy": "independent", "data": npy(tmp_path)},
        )  # fmt: skip
    assert "The data have changed" not in write_report(Run.load(path)).read_text()
    assert evaluate_runs([str(path)], None, 1600, None, 0)
    # one that learns from it is scored against the same data
    learns = lesson(Run.load(path), count=16, run_dir=tmp_path / "runs", name="learns")
    data = learns.resolved.config.component("data")
    assert isinstance(data, DataComponent)
    assert data.load(0).sha256 == Run.load(path).info["data"]["sha256"]
    with pytest.raises(Doubt, match="its last column"):
        data.model_copy(update={"like_sha256": "0" * 64}).load(0)
    at = max(row["step"] for row in Run.load(path).rows)
    resumed = resume_run(path, extra_steps=4, inline=True)
    assert max(row["step"] for row in resumed.rows) == at + 4
    # other data are not those that were answered for
    np.save(tmp_path / "lab.npy", POINTS[::-1] + np.array([1, 0, 0]))
    with pytest.raises(DataError, match=r"the run was made with .*--other-data"):
        resume_run(path, extra_steps=2, inline=True)
    with pytest.raises(Doubt, match="its last column"):
        resume_run(path, extra_steps=2, inline=True, new_data=True)


def test_a_pair_s_own_part_that_is_asked_about_now_goes_on(tmp_path: Path) -> None:
    for name in ("whole", "a", "b"):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["x"] = RNG.normal(size=(COUNT, 2)).round(3)
    parts = {f"pair-0{i}": f"hdf5:{tmp_path}/{name}.h5" for i, name in enumerate("ab")}
    data = {"name": "hdf5", "path": f"{tmp_path}/whole.h5", "partition": parts}
    path = raygan.train(
        None, run_dir=tmp_path, name="r", inline=True,
        **{**TINY, "strategy": "independent", "data": data},
    ).path  # fmt: skip
    with h5py.File(tmp_path / "b.h5", "a") as file:
        file["x"].attrs["_FillValue"] = file["x"][0, 0]
    run = resume_run(path, extra_steps=4, inline=True)
    assert max(row["step"] for row in run.rows) == TINY["steps"] + 4
    seen = data_seen(run, ["pair-01"], run_data(run))
    assert len(seen["pair-01"].train) + len(seen["pair-01"].held_out) == COUNT
    with pytest.raises(Doubt, match="is its fill value"):
        raygan.train(
            None, run_dir=tmp_path, name="s", inline=True,
            **{**TINY, "strategy": "independent", "data": data},
        )  # fmt: skip
    with h5py.File(tmp_path / "b.h5", "a") as file:
        file["x"][1, 1] = 7
    with pytest.raises(DataError, match=r"pair-01's part.*--other-data"):
        resume_run(path, extra_steps=8, inline=True)


def test_what_is_read_without_a_question_is_kept_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(keeping, "LARGE", 1)
    spec = quality(tmp_path)
    source = load_component("data", spec)
    assert isinstance(source, FileComponent)
    with answered("columns", "others"):
        array = source.found().array
    with pytest.raises(Doubt):
        source.found()
    # who knows what they hold does not ask
    assert np.array_equal(Source(spec).again(fingerprint(array))[:], array[:])
    with pytest.raises(Doubt):
        Source(spec).again("0" * 64)
