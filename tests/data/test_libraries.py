"""HDF5 and the hub's layouts, written by h5py and `datasets` themselves; nothing is fetched."""

import os
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from raygan.config import load_component
from raygan.data import cache_sources, hdf5
from raygan.data.files import FileComponent
from raygan.data.record import Read
from raygan.errors import DataError

os.environ["HF_HUB_OFFLINE"] = "1"
RNG = np.random.default_rng(0)
CHW = RNG.integers(0, 256, (5, 3, 6, 8), dtype=np.uint8)
HWC = np.moveaxis(CHW, 1, -1)
POINTS = RNG.normal(size=(50, 3)) * [1, 10, 0.1] + [5, 0, -3]
SCALED = ((POINTS - POINTS.mean(0)) / POINTS.std(0)).astype(np.float32)


def reader(kind: str, path: Path, **settings: Any) -> FileComponent:
    found = load_component("data", {"name": kind, "path": str(path), **settings})
    assert isinstance(found, FileComponent)
    return found


def found(kind: str, path: Path, **settings: Any) -> Read:
    return reader(kind, path, **settings).found()


HDF5: dict[str, tuple[dict[str, Any], dict[str, Any], Any]] = {
    "one": ({"anything": CHW}, {}, CHW),
    "usual name": ({"labels": np.zeros(5), "images": HWC}, {}, CHW),
    "in a group": ({"train/x": CHW, "test/x": CHW[:2]}, {"key": "train/x"}, CHW),
    "points": ({"data": POINTS}, {}, SCALED),
    "big-endian float32": (
        {"data": POINTS.astype(">f4")},
        {"scale": "none"},
        POINTS.astype(np.float32),
    ),
    "bool": ({"images": CHW[:, 0] > 99}, {}, (CHW[:, :1] > 99) * 255),
}


@pytest.mark.parametrize(
    "options", [{}, {"chunks": True, "compression": "gzip"}], ids=["plain", "gzip"]
)
@pytest.mark.parametrize("name", HDF5)
def test_hdf5_as_h5py_has_written_it(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    arrays, settings, seen = HDF5[name]
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for key, array in arrays.items():
            file.create_dataset(key, data=array, **options)
    read = found("hdf5", tmp_path / "x.h5", **settings)
    assert np.allclose(read.array, seen, atol=1e-6)
    assert sum(read.record.skipped.values()) == len(arrays) - 1


@pytest.mark.parametrize(
    ("arrays", "line"),
    [
        ({"a": CHW, "b": CHW}, "holds several: a, b. Set data.key: a"),
        ({"x": CHW, "images": CHW}, "holds several: images, x. Set data.key: images"),
        ({"x": h5py.Empty("f4")}, "'x' is empty"),
        ({}, "holds no array"),
        ({"t": np.array([b"x", b"y"])}, "holds text"),
        ({"c": POINTS + 1j}, "complex"),
        ({f"X/{name}": POINTS[:, 0] for name in ("data", "ir", "jc")}, "holds several"),
    ],
    ids=["several", "two usual", "empty", "none", "text", "complex", "parts"],
)
def test_what_hdf5_cannot_tell_is_one_line(
    arrays: dict[str, Any], line: str, tmp_path: Path
) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for key, array in arrays.items():
            file[key] = array
    with pytest.raises(DataError, match=line) as error:
        found("hdf5", tmp_path / "x.h5")
    assert "\n" not in str(error.value)


def virtual(folder: Path) -> None:
    """x.h5: rows of a.h5 and b.h5, of which b.h5 is made of c.h5."""
    (folder / "parts").mkdir(exist_ok=True)
    for name, rows in (("a", POINTS[:20]), ("c", POINTS[20:])):
        with h5py.File(folder / "parts" / f"{name}.h5", "w") as file:
            file["part"] = rows
    for made, parts in (("parts/b", {"c": 30}), ("x", {"parts/a": 20, "parts/b": 30})):
        layout = h5py.VirtualLayout((sum(parts.values()), 3), float)
        at = 0
        for name, count in parts.items():
            layout[at : at + count] = h5py.VirtualSource(f"{name}.h5", "part", (count, 3))
            at += count
        with h5py.File(folder / f"{made}.h5", "w") as file:
            file.create_virtual_dataset("part", layout)


@pytest.mark.parametrize("lost", ["a", "b", "c", "c's array"])
def test_hdf5_of_other_files_is_read_whole_or_refused(lost: str, tmp_path: Path) -> None:
    virtual(tmp_path)
    data = reader("hdf5", tmp_path / "x.h5")
    assert np.allclose(data.found().array, SCALED, atol=1e-6)
    about = [cache_sources.told_apart(source) for source in data.sources() or ()]
    assert len(about) == 4, "x, a, b, c: what the cache knows of it"
    if lost == "c's array":
        with h5py.File(tmp_path / "parts/c.h5", "w") as file:
            file["other"] = POINTS[20:]
    else:
        (tmp_path / f"parts/{lost}.h5").unlink()
    with pytest.raises(DataError, match=rf"made of other files, and .*{lost[0]}\.h5 is not there"):
        reader("hdf5", tmp_path / "x.h5").found()
    assert [cache_sources.told_apart(s) for s in data.sources() or ()] != about


def test_hdf5_in_raw_files_and_behind_links_is_seen(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "y.h5", "w") as file:
        file["far"] = POINTS
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = h5py.ExternalLink("y.h5", "/far")
        file["y"] = np.zeros((9, 2))
    data = reader("hdf5", tmp_path / "x.h5")
    read = data.found()
    assert np.allclose(read.array, SCALED, atol=1e-6)
    assert read.record.names["other arrays of the file"] == ["y"]
    assert tmp_path / "y.h5" in (data.sources() or ())
    (tmp_path / "y.h5").unlink()
    with pytest.raises(DataError, match=r"'x' leads to /far in y.h5, which is no array, or not"):
        data.found()
    assert found("hdf5", tmp_path / "x.h5", key="y").array.shape == (9, 2)
    with h5py.File(tmp_path / "z.h5", "w") as file:
        raw = [(str(tmp_path / "z.raw"), 0, POINTS.nbytes)]
        file.create_dataset("x", data=POINTS, external=raw)
    data = reader("hdf5", tmp_path / "z.h5")
    assert np.allclose(data.found().array, SCALED, atol=1e-6)
    assert tmp_path / "z.raw" in (data.sources() or ())
    (tmp_path / "z.raw").unlink()
    with pytest.raises(DataError, match=r"made of other files, and .*z.raw is not there"):
        data.found()


@pytest.mark.parametrize("to", ["a group", "no file", "no array"])
def test_a_link_to_no_array_is_no_matter_of_the_array_beside_it(to: str, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "y.h5", "w") as file:
        file["g/a"] = POINTS[:, :2]
    where = {"a group": ("y.h5", "/g"), "no file": ("z.h5", "/g"), "no array": ("y.h5", "/b")}[to]

    def made(link: str, *arrays: str) -> Path:
        with h5py.File(tmp_path / "x.h5", "w") as file:
            file[link] = h5py.ExternalLink(*where)
            for name in arrays:
                file[name] = POINTS
        return tmp_path / "x.h5"

    for name in ("x", "other"):
        data = reader("hdf5", made("more", name))
        read = data.found()
        assert np.allclose(read.array, SCALED, atol=1e-6)
        assert read.record.names == {"links to no array": ["more"]}
        assert data.sources() == [tmp_path / "x.h5"]
    line = "leads to .* which is no array, or not there"
    with pytest.raises(DataError, match="'data' " + line) if to != "a group" else nullcontext():
        found("hdf5", made("data", "x"))
    assert found("hdf5", made("data", "x"), key="x").array.shape == POINTS.shape
    for settings in ({"key": "more"}, {"labels": "more"}, {"key": "x", "labels": "more"}):
        with pytest.raises(DataError, match="'more' " + line):
            found("hdf5", made("more", "x"), **settings)
    with pytest.raises(DataError, match="'more' " + line):
        found("hdf5", made("more"))


@pytest.mark.parametrize("parts", [("indices", "indptr"), ("ir", "jc"), ("row", "col")])
@pytest.mark.parametrize("kind", ["npz", "hdf5"])
def test_the_numbers_of_a_sparse_matrix_are_no_samples(
    kind: str, parts: tuple[str, str], tmp_path: Path
) -> None:
    matrix = {"data": POINTS[:, 0], "shape": np.array([9, 9])}
    matrix |= {name: np.arange(50) for name in parts}
    if kind == "npz":
        np.savez(tmp_path / "x", **matrix)
    else:
        with h5py.File(tmp_path / "x.h5", "w") as file:
            for name, array in matrix.items():
                file[f"X/{name}"] = array
            file["dense"] = POINTS
    path, key = (tmp_path / "x.npz", None) if kind == "npz" else (tmp_path / "x.h5", "X/data")
    with pytest.raises(DataError, match="is a part of a sparse matrix"):
        found(kind, path, key=key)
    if kind == "hdf5":
        assert np.allclose(found(kind, path, key="dense").array, SCALED, atol=1e-6)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Layouts that `datasets` reads: shards of parquet, its own folder, folders of pictures."""
    import datasets

    datasets.config.HF_DATASETS_CACHE = tmp_path_factory.mktemp("cache")
    at = tmp_path_factory.mktemp("hub")
    images = [Image.fromarray(x) for x in HWC]
    pictures = datasets.Dataset.from_dict(
        {"label": [0, 1, 0, 1, 0], "image": images}, features=datasets.Features(
            {"label": datasets.ClassLabel(names=["a", "b"]), "image": datasets.Image()}
        ),
    )  # fmt: skip
    (at / "parquet" / "data").mkdir(parents=True)
    pictures.to_parquet(at / "parquet" / "data" / "train-00000-of-00001.parquet")
    pictures.save_to_disk(at / "saved")
    datasets.DatasetDict({"train": pictures, "test": pictures.select([0, 1])}).save_to_disk(
        at / "dict"
    )
    numbers = datasets.Dataset.from_dict({"a": POINTS[:, 0], "b": POINTS[:, 1], "c": POINTS[:, 2]})
    numbers.save_to_disk(at / "numbers")
    return {name: at / name for name in ("parquet", "saved", "dict", "numbers")}


@pytest.mark.parametrize("name", ["parquet", "saved", "dict"])
def test_pictures_in_the_hubs_layouts(name: str, hub: dict[str, Path]) -> None:
    read = found("hf", hub[name])
    assert np.array_equal(read.array, CHW)
    assert read.record.names["columns"] == ["label"]


def test_numbers_and_parts_in_the_hubs_layouts(hub: dict[str, Path]) -> None:
    assert np.allclose(found("hf", hub["numbers"]).array, SCALED, atol=1e-6)
    assert np.array_equal(found("hf", hub["dict"], split="test").array, CHW[:2])
    with pytest.raises(DataError, match="cannot be loaded"):
        found("hf", hub["dict"], split="validation")
    with pytest.raises(DataError, match="Check its name"):
        found("hf", hub["dict"] / "nothing")


# ----------------------------------------------------------------------------------------- arrays
# in another size and colour

GREY = CHW[:, :1]
RGBA = np.dstack([HWC[0], RNG.integers(0, 256, (6, 8), dtype=np.uint8)])[None].repeat(5, 0)


def pillow(change: Any) -> Any:
    out = [np.asarray(change(Image.fromarray(x))) for x in HWC]
    return np.stack([x[None] if x.ndim == 2 else np.moveaxis(x, -1, 0) for x in out])


def over(behind: float) -> Any:
    share = RGBA[..., 3:] / 255
    return np.moveaxis(
        np.rint(RGBA[..., :3] * share + behind * (1 - share)).astype(np.uint8), -1, 1
    )


def square(how: str, **options: Any) -> Any:
    from PIL import ImageOps

    return pillow(lambda i: getattr(ImageOps, how)(i, (4, 4), Image.Resampling.LANCZOS, **options))


FITTED: dict[str, tuple[Any, dict[str, Any], Any]] = {
    "cut": (CHW, {"size": 4}, square("fit")),
    "padded": (CHW, {"size": 4, "fit": "pad", "background": "black"}, square("pad", color="black")),
    "to grey": (CHW, {"channels": 1}, pillow(lambda i: i.convert("L"))),
    "to RGB": (GREY, {"channels": 3}, GREY.repeat(3, 1)),
    "as it is": (CHW, {"channels": 3, "background": "white"}, CHW),
    "over white": (RGBA, {"layout": "NHWC", "channels": 3}, over(255)),
    "over black": (RGBA, {"layout": "NHWC", "background": "black"}, over(0)),
    "four channels": (RGBA, {"layout": "NHWC"}, np.moveaxis(RGBA, -1, 1)),
    "floats padded": (
        np.full((5, 1, 2, 4), 0.5), {"size": 4, "fit": "pad"},
        np.array([[[[1.0] * 4, [0.0] * 4, [0.0] * 4, [1.0] * 4]]] * 5),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["npz", "npy", "hdf5", "idx"])
@pytest.mark.parametrize("name", FITTED)
def test_arrays_of_pictures_are_fitted_as_pillow_does_it(
    name: str, kind: str, tmp_path: Path
) -> None:
    array, settings, seen = FITTED[name]
    path = tmp_path / f"x.{kind}"
    if kind == "hdf5":
        with h5py.File(path, "w") as file:
            file["x"] = array
    elif kind == "idx":
        if array.dtype != np.uint8:
            return  # there are none
        path.write_bytes(
            bytes([0, 0, 8, 4]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()
        )
    else:
        np.savez(path, x=array) if kind == "npz" else np.save(path, array)
    read = found("npz" if kind == "npy" else kind, path, **settings)
    assert np.allclose(read.array, seen, atol=1e-6)
    assert bool(read.record.converted) == (
        read.array.shape != np.moveaxis(array, -1, 1).shape and name != "as it is"
    )


@pytest.mark.parametrize(
    ("array", "settings", "line"),
    [
        (POINTS, {"size": 8}, "data.size is for pictures"),
        (POINTS, {"background": "black"}, "data.background is for pictures"),
        (RGBA, {"layout": "NHWC", "background": "refuse"}, "transparent pixels"),
        (RGBA / 255, {"layout": "NHWC", "channels": 3}, "takes bytes"),
        (
            np.zeros((5, 5, 6, 8), np.uint8),
            {"layout": "NCHW", "channels": 3},
            "5 channels are neither",
        ),
    ],
)
def test_what_cannot_be_fitted_is_one_line(
    array: Any, settings: Any, line: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(DataError, match=line) as error:
        found("npz", tmp_path / "x.npy", **settings)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("values", [[0, 2, 1, 2], [0, -1, 1, 2]])
def test_classes_of_the_hub_have_their_names(values: list[int], tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    names = ["cat", "dog", "10"]
    features = datasets.Features(a=datasets.Value("float32"), kind=datasets.ClassLabel(names=names))
    part = datasets.Dataset.from_dict({"a": [1.0, 2, 4, 9], "kind": values}, features=features)
    part.save_to_disk(tmp_path / "d")
    source: Any = load_component(
        "data", {"name": "hf", "path": str(tmp_path / "d"), "labels": "kind"}
    )
    found = source.read()
    assert found.classes == [names[v] if v >= 0 else "-1" for v in values]


def test_tensors_of_datasets_are_the_arrays_that_they_hold(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    values = RNG.normal(size=(9, 2, 4)).astype(np.float32)
    features = datasets.Features(t=datasets.Array2D((2, 4), "float32"))
    part = datasets.Dataset.from_dict({"t": list(values)}, features=features)
    part.save_to_disk(tmp_path / "saved")
    part.to_parquet(tmp_path / "d.parquet")
    for kind, path in (("hf", tmp_path / "saved"), ("parquet", tmp_path / "d.parquet")):
        read = found(kind, path, column="t", layout="points", scale="none")
        assert np.array_equal(read.array, values.reshape(9, 8))


@pytest.mark.parametrize("large", [True, False])
def test_hdf5_numbers_that_stand_for_others_are_refused(
    large: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hdf5, "LARGE", 1 if large else 1 << 30)
    points = POINTS.copy()
    points[7, 1] = -9999
    for name, value, line in (
        ("_FillValue", [-9999.0], "'x' holds -9999, which is its fill value"),
        ("missing_value", -9999.0, "'x' holds -9999, which is its fill value"),
        ("scale_factor", 0.01, r"'/x' is packed \(scale_factor 0.01\)"),
        ("add_offset", [273.15], r"'/x' is packed \(add_offset 273.15\)"),
    ):
        with h5py.File(tmp_path / "x.h5", "w") as file:
            file["x"] = points
            file["x"].attrs[name] = value
        with pytest.raises(DataError, match=line) as error:
            found("hdf5", tmp_path / "x.h5", cache="off")
        assert "\n" not in str(error.value)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = POINTS
        for name, plain in (("_FillValue", [-9999.0]), ("scale_factor", 1), ("add_offset", 0.0),
                            ("units", "K"), ("missing_value", "none")):  # fmt: skip
            file["x"].attrs[name] = plain
    assert np.allclose(found("hdf5", tmp_path / "x.h5", cache="off").array, SCALED, atol=1e-6)
