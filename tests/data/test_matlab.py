"""Files of MATLAB 7.3: HDF5 whose axes are the other way round."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raygan.config import load_component
from raygan.data.files import FileComponent
from raygan.data.record import Read
from raygan.errors import DataError

h5py = pytest.importorskip("h5py")
RNG = np.random.default_rng(0)
POINTS = RNG.normal(size=(30, 2))
PICTURES = RNG.integers(0, 256, (9, 3, 6, 8)).astype(np.uint8)


def saved(folder: Path, kind: str = "double", **arrays: Any) -> Path:
    """As MATLAB does: -v7.3."""
    with h5py.File(folder / "x.mat", "w") as file:
        for name, array in arrays.items():
            file[name] = np.asarray(array).T
            file[name].attrs["MATLAB_class"] = np.bytes_(kind)
    return folder / "x.mat"


def read(path: Path, **settings: Any) -> Read:
    found = load_component("data", {"name": "hdf5", "path": str(path), **settings})
    assert isinstance(found, FileComponent)
    return found.read()


@pytest.mark.parametrize("labels", [np.arange(30)[:, None] % 3, np.eye(3)[np.arange(30) % 3]])
def test_points_and_labels_are_rows_again(labels: Any, tmp_path: Path) -> None:
    found = read(saved(tmp_path, x=POINTS, y=labels), labels="y", scale="none")
    assert np.array_equal(found.array, POINTS.astype(np.float32))
    assert found.classes == [str(i % 3) for i in range(30)]
    assert found.record.converted["axes turned round, which MATLAB writes the other way"] == 30


@pytest.mark.parametrize(
    ("layout", "array", "asked"),
    [
        ("HWCN", PICTURES.transpose(2, 3, 1, 0), "HWCN"),
        ("NHWC", PICTURES.transpose(0, 2, 3, 1), "HWCN"),
        ("HWN", PICTURES[:, 0].transpose(1, 2, 0), "HWN"),
        ("NHW", PICTURES[:, 0], "HWN"),
    ],
)
def test_pictures_are_asked_for_and_the_answer_is_right(
    layout: str, array: Any, asked: str, tmp_path: Path
) -> None:
    path = saved(tmp_path, "uint8", x=array)
    with pytest.raises(DataError, match=f"Set data.layout: {asked} or points"):
        read(path)
    assert np.array_equal(read(path, layout=layout).array, PICTURES[:, : 3 if "C" in layout else 1])


def test_what_is_no_number_of_matlab_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds text"):
        read(saved(tmp_path, "char", x=np.arange(60, dtype=np.uint16).reshape(30, 2)))
    path = saved(tmp_path, "double", x=np.zeros((1, 2)))
    with h5py.File(path, "a") as file:
        file["x"].attrs["MATLAB_empty"] = 1
    with pytest.raises(DataError, match="holds nothing"):
        read(path)


def test_logical_is_black_and_white(tmp_path: Path) -> None:
    array = np.arange(9 * 6 * 8).reshape(6, 8, 9) % 2
    found = read(saved(tmp_path, "logical", x=array.astype(np.uint8)), layout="HWN")
    assert np.array_equal(found.array[:, 0], np.moveaxis(array, -1, 0) * 255)


def test_samples_last_are_of_matlab_only(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = PICTURES
    with pytest.raises(DataError, match="that is not HWCN"):
        read(tmp_path / "x.h5", layout="HWCN")
