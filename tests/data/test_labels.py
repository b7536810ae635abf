"""Labels of each kind of source: beside the right samples after the split, and never among them."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from PIL import Image

from raygan.config import load_component
from raygan.data.base import DataComponent, Samples
from raygan.data.files import FileComponent
from raygan.data.labels import ordered
from raygan.errors import DataError
from tests.data.test_reader import read, refused

COUNT = 40
KIND = np.random.default_rng(0).integers(0, 3, COUNT)
POINTS = np.stack([np.arange(COUNT), 2.0 * np.arange(COUNT)], 1)
PICTURES = np.broadcast_to(np.arange(COUNT, dtype=np.uint8)[:, None, None], (COUNT, 4, 4)).copy()
Made = tuple[str, Path, dict[str, Any]]


def png(i: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(PICTURES[i]).save(out, "PNG")
    return out.getvalue()


def npz(root: Path) -> Made:
    np.savez(root / "a.npz", x=POINTS, y=KIND)
    return "npz", root / "a.npz", {"key": "x", "labels": "y"}


def npz_one_hot(root: Path) -> Made:
    np.savez(root / "a.npz", labels=np.eye(3)[KIND], x=PICTURES)
    return "npz", root / "a.npz", {"labels": "labels"}


def npz_names(root: Path) -> Made:
    np.savez(root / "a.npz", y_train=KIND[:, None].astype(str), x_train=PICTURES)
    return "npz", root / "a.npz", {"labels": "y_train"}


def npy_pair(root: Path) -> Made:
    np.save(root / "x.npy", PICTURES)
    np.save(root / "y.npy", KIND.astype(np.float32))
    return "npz", root / "x.npy", {"labels": "y.npy"}


def csv(root: Path) -> Made:
    pacsv.write_csv(pa.table({"a": POINTS[:, 0], "kind": KIND, "b": POINTS[:, 1]}), root / "a.csv")
    return "csv", root / "a.csv", {"labels": "kind", "column": "a,b"}


def parquet(root: Path) -> Made:
    pq.write_table(pa.table({"a": POINTS[:, 0], "label": KIND.astype(str)}), root / "a.parquet")
    return "parquet", root / "a.parquet", {"labels": "label"}


def parquet_pictures(root: Path) -> Made:
    cells = [b"broken" if i == 7 else png(i) for i in range(COUNT)]
    pq.write_table(pa.table({"image": cells, "label": KIND}), root / "a.parquet")
    return "parquet", root / "a.parquet", {"labels": "label", "skip_broken": 1}


def idx(root: Path) -> Made:
    (root / "x-ubyte").write_bytes(
        b"\0\0\x08\x03" + struct.pack(">3I", COUNT, 4, 4) + PICTURES.tobytes()
    )
    labels = b"\0\0\x08\x01" + struct.pack(">I", COUNT) + KIND.astype(np.uint8).tobytes()
    (root / "y-ubyte.gz").write_bytes(gzip.compress(labels))
    return "idx", root / "x-ubyte", {"labels": "y-ubyte.gz"}


def folder(root: Path) -> Made:
    for i in range(COUNT):
        (root / "f" / str(KIND[i])).mkdir(parents=True, exist_ok=True)
        (root / "f" / str(KIND[i]) / f"{i}.png").write_bytes(png(i))
    return "folder", root / "f", {}


def zipped(root: Path) -> Made:
    with zipfile.ZipFile(root / "a.zip", "w") as archive:
        for i in range(COUNT):
            archive.writestr(f"all/{KIND[i]}/{i}.png", png(i))
    return "zip", root / "a.zip", {}


def zipped_arrays(root: Path) -> Made:
    np.savez(root / "a.npz", images=PICTURES, kind=KIND, more=POINTS)
    (root / "a.npz").rename(root / "a.zip")
    return "zip", root / "a.zip", {"labels": "kind", "key": "images"}


def hdf5(root: Path) -> Made:
    h5py = pytest.importorskip("h5py")
    with h5py.File(root / "a.h5", "w") as file:
        file["group/x"], file["group/y"] = POINTS, KIND
    return "hdf5", root / "a.h5", {"labels": "group/y"}


SOURCES: list[Callable[[Path], Made]] = [
    npz, npz_one_hot, npz_names, npy_pair, csv, parquet, parquet_pictures, idx, folder, zipped,
    zipped_arrays, hdf5
]  # fmt: skip


def load(made: Made, **more: Any) -> Samples:
    kind, path, settings = made
    component = load_component("data", {"name": kind, "path": str(path), **settings, **more})
    assert isinstance(component, DataComponent)
    return component.load(0)


@pytest.mark.parametrize("source", SOURCES)
def test_each_sample_keeps_its_class_through_the_split(
    source: Callable[[Path], Made], tmp_path: Path
) -> None:
    data = load(source(tmp_path))
    assert data.labels is not None
    assert data.held_out_labels is not None
    left = COUNT - (source is parquet_pictures)
    assert len(data.train) + len(data.held_out) == left
    for samples, labels in ((data.train, data.labels), (data.held_out, data.held_out_labels)):
        numbers = samples.reshape(len(samples), -1)[:, 0]
        if data.scaling:
            numbers = data.scaling.back(samples)[:, 0]
        assert [data.classes[c] for c in labels] == [str(KIND[round(float(n))]) for n in numbers]
    assert data.split.endswith(", by class")
    assert data.record is not None
    assert "3 classes" in data.record.labels


@pytest.mark.parametrize("source", [npz, parquet, csv])
def test_labels_are_no_samples(source: Callable[[Path], Made], tmp_path: Path) -> None:
    assert load(source(tmp_path)).shape in ((2,), (1,))


@pytest.mark.parametrize("labels", [None, "none"])
def test_without_labels_a_source_is_read_as_before(labels: str | None, tmp_path: Path) -> None:
    kind, path, _ = folder(tmp_path)
    data = load((kind, path, {"labels": labels}))
    assert (data.labels is None) == (labels == "none")
    assert data.split.endswith("by class") == (labels is None)


@pytest.mark.parametrize(
    ("arrays", "labels", "told"),
    [
        ({"x": POINTS}, "y", "no labels 'y'"),
        ({"x": POINTS, "y": KIND[:-1]}, "y", "shape (39,), and there are 40"),
        ({"x": POINTS, "y": POINTS}, "y", "shape (40, 2)"),
        ({"x": POINTS, "y": KIND + 0.5}, "y", "not whole"),
        ({"x": POINTS, "y": np.where(KIND == 0, np.nan, KIND)}, "y", "not whole"),
        ({"x": POINTS, "y": KIND * 1j}, "y", "complex128"),
        ({"x": POINTS}, "gone.npy", "does not exist"),
    ],
)
def test_labels_that_cannot_be_meant_are_one_line(
    arrays: Any, labels: str, told: str, tmp_path: Path
) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError) as error:
        load(("npz", tmp_path / "a.npz", {"labels": labels, "key": "x"}))
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_nulls_among_labels_are_told_by_row(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"a": POINTS[:, 0], "c": [None, *KIND[1:].tolist()]}), tmp_path / "a.parquet"
    )
    with pytest.raises(DataError, match="1 nulls, the first in row 0"):
        load(("parquet", tmp_path / "a.parquet", {"labels": "c"}))


def test_more_values_than_classes_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((1200, 2)), y=np.arange(1200))
    with pytest.raises(DataError, match="1,200 different values"):
        load(("npz", tmp_path / "a.npz", {"labels": "y", "key": "x"}))


def test_classes_that_are_one_number_have_one_order() -> None:
    names = [
        mark + "0" * k + "1" + end for k in range(12) for mark in ("", "c") for end in ("", "b")
    ]
    expected = sorted(names, key=lambda n: (n[:1] == "c", n.endswith("b"), n))
    assert ordered(names) == ordered(names[::-1]) == expected


@pytest.mark.parametrize("blank", ["", "  "])
@pytest.mark.parametrize("kind", ["csv", "npz", "npy", "parquet"])
def test_a_blank_is_no_class(kind: str, blank: str, tmp_path: Path) -> None:
    names = np.where(np.arange(COUNT) % 10 == 3, blank, np.char.add("k", KIND.astype(str)))
    path, labels, table = tmp_path / f"x.{kind}", "y", pa.table({"a": POINTS[:, 0], "y": names})
    if kind == "csv":
        pacsv.write_csv(table, path)
    elif kind == "parquet":
        pq.write_table(table, path)
    elif kind == "npz":
        np.savez(path, x=POINTS, y=names)
    else:
        np.save(path, POINTS)
        np.save(tmp_path / (labels := "y.npy"), names)
    with pytest.raises(DataError, match=r"labels 'y.*4 blanks, the first of sample 3"):
        load(({"npy": "npz"}.get(kind, kind), path, {"labels": labels}))


@pytest.mark.parametrize("low", [0, 1e18, 1e30, -1e300])
def test_whole_floats_stay_apart_whatever_their_size(low: float, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=POINTS, y=np.where(KIND == 0, low, low * 2 + 1))
    data = load(("npz", tmp_path / "a.npz", {"labels": "y"}))
    assert sorted(data.classes) == sorted([str(int(low)), str(int(low * 2 + 1))])


@pytest.mark.parametrize("inside", [True, False])
def test_objects_are_one_line_that_names_them(inside: bool, tmp_path: Path) -> None:
    names = KIND.astype(str).astype(object)
    np.savez(tmp_path / "a.npz", x=POINTS, y=names)
    np.save(tmp_path / "y.npy", names)
    np.save(tmp_path / "x.npy", POINTS)
    file, labels = ("a.npz", "y") if inside else ("x.npy", "y.npy")
    with pytest.raises(
        DataError, match="a.npz: y holds Py" if inside else "y.npy holds Py"
    ) as error:
        load(("npz", tmp_path / file, {"labels": labels}))
    assert "astype(str)" in str(error.value)


@pytest.mark.parametrize("pictures", [False, True])
@pytest.mark.parametrize("column", [None, "named"])
def test_labels_in_bytes_are_no_pictures(
    column: str | None, pictures: bool, tmp_path: Path
) -> None:
    classes = [f"c{k}" for k in KIND]
    held = [png(i) for i in range(COUNT)] if pictures else POINTS[:, 0]
    table = pa.table({"label": [c.encode() for c in classes], "a": held})
    pq.write_table(table, tmp_path / "x.parquet")
    source = load_component(
        "data",
        {
            "name": "parquet",
            "path": str(tmp_path / "x.parquet"),
            "labels": "label",
            "column": column and "a",
        },
    )
    assert isinstance(source, FileComponent)
    found = source.read()
    assert found.classes == classes
    assert found.array.shape == ((COUNT, 1, 4, 4) if pictures else (COUNT, 1))


@pytest.mark.parametrize(
    ("one", "other"),
    [("1", "01"), ("1", "001"), ("10", "1e1"), ("1", "1.0"), ("7", "+7"),
     ("12345678901234567890", "12345678901234567891")],
)  # fmt: skip
def test_classes_that_are_one_as_numbers_only_are_asked_about(
    one: str, other: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b,kind\n" + f"1.5,2.5,{one}\n2.5,4.5, {one}\n" * 3)
    assert len(set(read("csv", path, labels="kind").classes or ())) == 1, "written one way"
    path.write_text(path.read_text() + f"9.5,1.5,{other}\n")
    told = refused("csv", path, labels="kind")
    assert f"labels '{one}' and '{other}' are one class as " in told
    assert read("csv", path, column="a,b").array.shape == (7, 2)


def test_classes_of_text_may_be_quoted_or_not(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b,kind\n" + '1.5,2.5,u\n2.5,4.5, "u"\n9.5,1.5,v\n' * 3)
    assert read("csv", path, labels="kind").classes == ["u", "u", "v"] * 3


def test_folders_of_shards_that_are_one_as_numbers_only_stay_several(tmp_path: Path) -> None:
    for i, g in enumerate(("1", "01", "2")):
        (tmp_path / f"g={g}").mkdir()
        pq.write_table(pa.table({"a": POINTS[:9, 1] + i}), tmp_path / f"g={g}" / "p.parquet")
    found = read("parquet", tmp_path, labels="g")
    assert sorted(set(found.classes or ())) == ["01", "1", "2"]
    assert "column 'g' (string" in refused("parquet", tmp_path)


@pytest.mark.parametrize("count", [1000, 1001])
def test_more_folders_than_classes_are_no_classes(count: int, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for i in range(count):
            archive.writestr(f"{i}/a.png", png(i % COUNT))
    found = read("zip", tmp_path / "a.zip")
    if count == 1000:
        assert found.classes == sorted(map(str, range(count)))
        return
    assert found.classes is None
    assert "1,001 folders, no classes: at most 1,000 are" in found.record.labels
    told = refused("zip", tmp_path / "a.zip", labels="folder")
    assert "1,001 different values, at most 1,000 are classes" in told
    assert read("zip", tmp_path / "a.zip", labels="none").classes is None


def test_one_file_in_two_of_more_folders_than_classes_is_of_no_class(tmp_path: Path) -> None:
    for i in range(1002):
        (tmp_path / str(i)).mkdir()
        (tmp_path / str(i) / "a.png").write_bytes(png(i % COUNT))
    (tmp_path / "0" / "b.png").hardlink_to(tmp_path / "1" / "a.png")
    found = read("folder", tmp_path)
    assert (found.classes, len(found.array)) == (None, 1002)
    assert found.record.skipped == {"links to files that were read already": 1}
    # 1/a.png is read as 0/b.png
    assert "1,001 folders, no classes" in found.record.labels
    told = refused("folder", tmp_path, labels="folder")
    assert "is the same file as" in told
    assert "folders are classes" in told
