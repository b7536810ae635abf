"""Labels that no name tells: the first or last column of points is asked about where its values
look like classes, and only there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import raygan
from raygan.errors import DataError
from tests.data.test_reader import read, refused

RNG = np.random.default_rng(0)
COUNT = 300
KIND = np.arange(COUNT) % 3
FRACTIONS = RNG.normal(size=(COUNT, 4)).round(2) + KIND[:, None]
DIGITS = RNG.integers(0, 256, (COUNT, 784)) * (RNG.random((COUNT, 784)) < 0.3)
DIGITS[:, :60] = 0
FOUR_BITS = RNG.integers(0, 17, (COUNT, 64))
LABELLED = {
    "clusters": (FRACTIONS[:, :2], KIND + 1),
    "iris": (FRACTIONS, KIND),
    "signs": (FRACTIONS, np.where(KIND > 0, 1, -1)),
    "wine": (np.c_[FRACTIONS, RNG.integers(70, 160, (COUNT, 2)), FRACTIONS], KIND + 1),
    "mnist": (DIGITS, np.arange(COUNT) % 10),
    "mnist of 0..1": (DIGITS / 255, np.arange(COUNT) % 10),
    "sevens": (DIGITS, np.full(COUNT, 7)),
    "optdigits": (FOUR_BITS, np.arange(COUNT) % 10),
    "colours": (RNG.integers(0, 256, (COUNT, 75)), KIND),
}


def csv(folder: Path, array: Any, names: str = "") -> Path:
    np.savetxt(folder / "d.csv", array, "%g", ",", header=names, comments="")
    return folder / "d.csv"


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("name", LABELLED)
def test_a_table_without_names_is_asked_about_its_labels(
    name: str, first: bool, tmp_path: Path
) -> None:
    points, kind = LABELLED[name]
    whole = np.c_[kind, points] if first else np.c_[points, kind]
    path, at = csv(tmp_path, whole), 0 if first else points.shape[1]
    told = refused("csv", path, header=False)
    assert f"its {'first' if first else 'last'} column (" in told
    assert f"Set data.labels: f{at}, or data.layout: points" in told
    found = read("csv", path, header=False, labels=f"f{at}", layout="points")
    assert found.array.shape == points.shape
    assert found.classes == [f"{k:g}" for k in kind]
    assert read("csv", path, header=False, layout="points").array.shape == whole.shape
    asked = ",".join(f"f{i}" for i in range(3))
    assert read("csv", path, header=False, column=asked).array.shape == (COUNT, 3)


@pytest.mark.parametrize("name", LABELLED)
def test_so_is_an_array(name: str, tmp_path: Path) -> None:
    whole = np.column_stack(LABELLED[name])
    np.save(tmp_path / "d.npy", whole)
    np.savez(tmp_path / "d.npz", x=whole)
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["x"] = whole
    for kind, suffix in (("npz", "npy"), ("npz", "npz"), ("hdf5", "h5")):
        path = tmp_path / f"d.{suffix}"
        assert "Save it apart, and set data.labels to it, or" in refused(kind, path)
        assert read(kind, path, layout="points").array.shape == whole.shape
    for thing in (whole, pd.DataFrame(whole)):
        with pytest.raises(DataError, match=rf"Leave column {whole.shape[1] - 1} out, or"):
            raygan.train(data=thing, inline=True, steps=1, run_dir=str(tmp_path))


@pytest.mark.parametrize(
    "points",
    [
        FRACTIONS, FRACTIONS[:, :2], np.c_[FRACTIONS[:, 0], KIND], RNG.poisson(2, (COUNT, 3)),
        RNG.poisson(2, (COUNT, 65)), RNG.integers(0, 2, (COUNT, 17)),
        RNG.integers(0, 9, (COUNT, 65)), RNG.integers(0, 256, (COUNT, 17)),
        np.eye(17)[np.arange(COUNT) % 17],
        np.c_[FRACTIONS, RNG.integers(0, 2, (COUNT, 2))], np.c_[FRACTIONS, np.zeros(COUNT)],
        np.c_[RNG.normal(size=(COUNT, 30)), RNG.integers(0, 2, (COUNT, 2))],
        np.stack(np.meshgrid(*[np.arange(7)] * 3), -1).reshape(-1, 3),
        np.c_[FRACTIONS, RNG.integers(0, 90, COUNT)], np.round(2 * FRACTIONS) / 2,
        np.c_[KIND, np.round(FRACTIONS)], np.c_[FRACTIONS[:5], KIND[:5]],
    ],
)  # fmt: skip
def test_points_are_not_asked_about(points: Any, tmp_path: Path) -> None:
    found = read("csv", csv(tmp_path, points), header=False, scale="none")
    assert np.allclose(found.array, points, rtol=1e-5)


@pytest.mark.parametrize(
    "name",
    ["Outcome", "diagnosis", "survived", "digit", "cluster", "y_true", "group", "split", "fold",
     "quality"],
)  # fmt: skip
def test_names_of_labels_are_no_features(name: str, tmp_path: Path) -> None:
    path = csv(tmp_path, np.c_[FRACTIONS[:, :2], KIND], f"u,v,{name}")
    assert f"column '{name}' (int64) may be no feature. Set data.column: u,v" in refused(
        "csv", path
    )
    table = pa.table({"u": FRACTIONS[:, 0], name: KIND.astype(float), "v": FRACTIONS[:, 1]})
    pq.write_table(table, tmp_path / "d.parquet")
    assert f"column '{name}' (double) may be no feature" in refused(
        "parquet", tmp_path / "d.parquet"
    )
    assert read("csv", path, column=f"u,{name}").array.shape == (COUNT, 2)
    if name != "y_true":  # measures of the same name
        table = table.set_column(1, name, pa.array(FRACTIONS[:, 2]))
        pq.write_table(table, tmp_path / "d.parquet")
        assert read("parquet", tmp_path / "d.parquet").array.shape == (COUNT, 3)
        alone = pa.table({name: KIND})
        pq.write_table(alone, tmp_path / "d.parquet")
        assert read("parquet", tmp_path / "d.parquet").array.shape == (COUNT, 1)


def test_named_columns_are_told_by_their_names(tmp_path: Path) -> None:
    whole = np.c_[FRACTIONS[:, :2], KIND]
    assert read("csv", csv(tmp_path, whole, "u,v,w")).array.shape == (COUNT, 3)
    frame = pd.DataFrame(whole, columns=list("uvw"))
    run = raygan.train(
        data=frame, inline=True, steps=1, run_dir=str(tmp_path), strategy="independent", num_pairs=1
    )
    assert run.info["reading"]["columns"] == ["u", "v", "w"]
