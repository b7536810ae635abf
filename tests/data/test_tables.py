"""Tables of text, parquet and frames: each number is where pandas and numpy have it, or one line
asks.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raygan.data import keeping
from raygan.data.first_row import has_names
from tests.data.test_reader import GREY, encoded, read, refused

NUMBERS = np.random.default_rng(0).normal(size=(30, 3))
WHOLE = np.random.default_rng(0).integers(0, 9, (100, 3))


def lines(rows: Any) -> list[str]:
    return [",".join(map(str, row)) for row in np.asarray(rows).tolist()]


def csv(folder: Path, *rows: str, end: str = "\n", mark: str = "") -> Path:
    path = folder / "d.csv"
    path.write_bytes((mark + end.join(rows) + end).encode())
    return path


# --------------------------------------------------------------------------------------------------
# the first row


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("below", [NUMBERS, WHOLE])
@pytest.mark.parametrize(
    "top",
    [[], ["u,v,w"], ["a,1,2"], ["NA,u,?"], ['"u, x",v,w'], ["\nu,v,w"], ["u,2020,2021"]],
)
def test_names_are_no_sample_and_samples_no_names(
    top: list[str], below: Any, end: str, mark: str, tmp_path: Path
) -> None:
    path = csv(tmp_path, *top, *lines(below), end=end, mark=mark)
    found = read("csv", path, scale="none")
    assert np.array_equal(found.array, below.astype(np.float32))
    assert f"first row taken as {'names' if top else 'a sample'}" in found.record.converted


@pytest.mark.parametrize(
    ("top", "below"),
    [
        ("0,1,2", NUMBERS), ("0,1,2", WHOLE), ("1,2,3", WHOLE), (",0,1", WHOLE),
        ('"0","1","2"', NUMBERS), ("2020,2021,2022", NUMBERS), ("1990,2000,2010", WHOLE),
        ("1990,2000,2005", NUMBERS), ("0", NUMBERS[:, :1]), ("1100.0,1102.5,1105.0", NUMBERS),
        ("0.1,0.2,0.3", NUMBERS), ("-1,0,1", NUMBERS), ("-1,0,1", WHOLE), ("1e3,2e3,3e3", WHOLE),
        ("300.0,300.5", NUMBERS[:, :2]), ("300.1,302.3,307.7", NUMBERS), (",300.0,300.5", NUMBERS),
        ("-2,-1", NUMBERS[:, :2]), ("0.3,0.2,0.13,0.11,0.1,0.01", np.tile(NUMBERS, 2)),
        ("400.0,300.0,200.0,100.0,0.0,-100.0", np.tile(WHOLE, 2)),
    ],
)  # fmt: skip
def test_names_that_may_be_numbers_are_asked_for(top: str, below: Any, tmp_path: Path) -> None:
    path = csv(tmp_path, top, *lines(below))
    assert "may be names or a sample. Set data.header: true or false" in refused("csv", path)
    column = None if top[0] != "," else top[1:]
    expected = below if column is None else below[:, 1:]
    named = read("csv", path, scale="none", header=True, column=column)
    assert np.array_equal(named.array, expected.astype(np.float32))
    if column is None:
        rows = read("csv", path, scale="none", header=False).array
        first = [[float(cell.strip('"')) for cell in top.split(",")]]
        assert np.array_equal(rows, np.concatenate([first, below]).astype(np.float32))


@pytest.mark.parametrize(
    "rows",
    [
        [[0, 0, 0], *NUMBERS], [[0.5, 1, 2], *NUMBERS], [[-1, 0, 2], *NUMBERS], [[3, 1, 2], *WHOLE],
        [[1, 2], [3, 4], [5, 6]], [[0, 1], [1, 0], [1, 0], [0, 1]], [[1], [2], [3]],
        [[1e3, 2.5], [1, 2]], [[0.5, 1.5], *NUMBERS[:, :2]], [[9.5, 0, 1], *NUMBERS],
        [[1e6], *NUMBERS[:, :1]], [[1e6, 1e5], *NUMBERS[:, :2]], np.linspace([0, 1], [1, 2], 4).T,
        np.sort(np.tile(NUMBERS, 2), 1),
    ],
)  # fmt: skip
def test_rows_like_the_others_are_samples(rows: Any, tmp_path: Path) -> None:
    rows = np.array(rows)
    found = read("csv", csv(tmp_path, *lines(rows)), scale="none")
    assert np.array_equal(found.array, rows.astype(np.float32))


@pytest.mark.parametrize(
    "top", ["2020-01-01,2020-01-02,2020-01-03", "0-10,10-20,20-30", "#,%,$", "12:00,12:30,13:00",
            ",0-10,>10"]
)  # fmt: skip
def test_a_first_row_without_values_or_letters_is_asked_for(top: str, tmp_path: Path) -> None:
    path = csv(tmp_path, top, *lines(NUMBERS))
    assert "may be names or a sample. Set data.header: true or false" in refused("csv", path)
    column = top.strip(",")
    found = read("csv", path, scale="none", header=True, column=column)
    assert np.array_equal(found.array, NUMBERS[:, -len(column.split(",")) :].astype(np.float32))


@pytest.mark.parametrize("first", ["NA", "", "null"])
def test_a_number_that_is_missing_at_once_is_told_as_anywhere(first: str, tmp_path: Path) -> None:
    path = csv(tmp_path, f"{first},1", "2.5,2", "3.5,3")
    assert "has 1 nulls, the first in row 0" in refused("csv", path)
    path = csv(tmp_path, "?,1", "2.5,2", "3.5,3")
    assert "'f0' (string: '?' in row 0) may be no feature" in refused("csv", path)


def test_columns_of_other_kinds_tell_too(tmp_path: Path) -> None:
    flags = [f"{'true' if i % 2 else 'false'},{2 * i}" for i in range(10)]
    found = read("csv", csv(tmp_path, *flags), scale="none")
    assert np.array_equal(found.array, [[i % 2, 2 * i] for i in range(10)])
    kinds = [f"{3 * i},{i + 5},{'setosa' if i < 10 else 'virginica'}" for i in range(20)]
    iris = read("csv", csv(tmp_path, *kinds), scale="none", labels="f2")
    assert np.array_equal(iris.array, [[3 * i, i + 5] for i in range(20)])
    assert iris.classes == ["setosa"] * 10 + ["virginica"] * 10
    days = [f"2020-01-0{i},{i}.5" for i in range(1, 9)]
    for top in ([], ["when,u"]):
        found = read("csv", csv(tmp_path, *top, *days), scale="none", column="u" if top else "f1")
        assert found.array[:, 0].tolist() == [i + 0.5 for i in range(1, 9)]


def test_rows_longer_than_a_block(tmp_path: Path) -> None:
    wide = np.random.default_rng(1).normal(size=(3, 60_000))
    assert len(lines(wide)[0]) > 1 << 20
    found = read("csv", csv(tmp_path, *lines(wide)), scale="none")
    assert np.array_equal(found.array, wide.astype(np.float32))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"", "holds no rows"),
        (b"\n \n", "holds no rows"),
        (b"u,v\n", "holds names only (u, v)"),
        (b"u,v", "holds names only (u, v)"),
        ("1,2\n3,4\n".encode("utf-16"), "is UTF-16. Save it as UTF-8"),
        (b"gr\xf6\xdfe,b\n1,2\n3,4\n", "not UTF-8. Save it as UTF-8"),
        (b"x;z\n1,5;2,5\n3,5;4,5\n", "'x' (string: '1,5' in row 0). Write its numbers with points"),
        (b"u,v\n1,2\nx,4\n", "column 'u' (string: 'x' in row 1) may be no feature"),
        (b"u,v\n1,2,3\n", "Expected 2 columns, got 3"),
    ],
)
def test_what_is_no_table_is_one_clear_line(text: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_bytes(text)
    assert told in refused("csv", tmp_path / "d.csv")


# --------------------------------------------------------------------------------------------------
# numbers of rows

FRAME = pd.DataFrame(NUMBERS, columns=list("uvw"))


def csv_of(frame: pd.DataFrame, folder: Path) -> tuple[str, Path]:
    frame.to_csv(folder / "i.csv")
    return "csv", folder / "i.csv"


def csv_again(frame: pd.DataFrame, folder: Path) -> tuple[str, Path]:
    pd.read_csv(csv_of(frame, folder)[1]).to_csv(folder / "j.csv", index=False)
    return "csv", folder / "j.csv"


def csv_of_r(frame: pd.DataFrame, folder: Path) -> tuple[str, Path]:
    frame.rename_axis("rownames").to_csv(folder / "i.csv")
    return "csv", folder / "i.csv"


def parquet_of(frame: pd.DataFrame, folder: Path) -> tuple[str, Path]:
    frame.to_parquet(folder / "i.parquet")
    return "parquet", folder / "i.parquet"


@pytest.mark.parametrize("large", [True, False])
@pytest.mark.parametrize(
    ("write", "name"),
    # a name in a csv may be any name; parquet tells which column was the index
    [(csv_of, None), (csv_again, None), (csv_of_r, None), (parquet_of, None), (parquet_of, "t")],
)
def test_numbers_of_rows_are_asked_for(
    write: Any, name: str | None, large: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "LARGE", 1 if large else 1 << 30)
    shuffled = FRAME.sample(frac=1, random_state=0).rename_axis(name)
    kind, path = write(shuffled, tmp_path)
    assert "may be no feature. Set data.column: u,v,w" in refused(kind, path)
    found = read(kind, path, column="u,v,w", scale="none")
    assert np.array_equal(found.array, shuffled.to_numpy(np.float32))


IDS = np.random.default_rng(2).permutation(30) + 100


@pytest.mark.parametrize("large", [True, False])
@pytest.mark.parametrize(
    ("name", "values"),
    [
        *[(n, IDS) for n in ("PassengerId", "user_id", "userID", "customer id", "uuid", "idx",
                             "row_index", "row", "No", "S.No.")],
        *[(n, IDS % 3) for n in ("class_label", "target_class", "Class", "species", "Category",
                                 "LABEL_ENC")],
        *[("u0", np.arange(30) + start) for start in (0, 1, 0.0, 1.0)],
    ],
)  # fmt: skip
def test_what_is_no_feature_by_its_name_or_numbers_is_asked_for(
    name: str, values: Any, large: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "LARGE", 1 if large else 1 << 30)
    frame = FRAME.assign(**{name: values})[[name, *"uvw"]]
    frame.to_csv(tmp_path / "i.csv", index=False)
    frame.to_parquet(tmp_path / "i.parquet")
    for kind in ("csv", "parquet"):
        path = tmp_path / f"i.{kind}"
        assert "may be no feature. Set data.column: u,v,w, or others of" in refused(kind, path)
        assert read(kind, path, column=f"{name},u").array.shape == (30, 2)
        assert read(kind, path, labels=name).array.shape == (30, 3)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        *[(n, IDS) for n in ("humid", "bid", "grid", "Pclass", "NO2", "subclassed",
                             "index_of_refraction")],
        ("refractive_index", IDS / 7), ("NO", IDS), ("t", IDS), ("t", np.arange(30) + 2),
        ("t", np.arange(30)[::-1]), ("t", np.r_[np.arange(29), 28]),
    ],
)  # fmt: skip
def test_features_are_not_asked_for(name: str, values: Any, tmp_path: Path) -> None:
    frame = FRAME.assign(**{name: values})[[name, *"uvw"]]
    frame.to_csv(tmp_path / "i.csv", index=False)
    found = read("csv", tmp_path / "i.csv", scale="none")
    assert np.array_equal(found.array, frame.to_numpy(np.float32))


def test_rows_may_be_few_and_a_column_alone(tmp_path: Path) -> None:
    assert read("csv", csv(tmp_path, "u,v", "0,5", "1,7"), scale="none").array.tolist() == [
        [0, 5],
        [1, 7],
    ]
    assert read("csv", csv(tmp_path, "u", *map(str, range(9)))).array.shape == (9, 1)


def test_a_frame_without_names_has_the_number_of_the_row_first(tmp_path: Path) -> None:
    FRAME.to_csv(tmp_path / "i.csv", header=False)
    told = refused("csv", tmp_path / "i.csv")
    assert (
        "'f0' (int64, the number of the row) may be no feature. Set data.column: f1,f2,f3" in told
    )


# --------------------------------------------------------------------------------------------------
# cells that are no numbers


@pytest.mark.parametrize("rows", [0, 40, 2_000])
@pytest.mark.parametrize(
    "bad", ["Sum", "-", "?", "u", "1_000", "\xa01", "12 cm", "1.5.2", "$5", "-  "]
)
def test_a_damaged_cell_is_told_by_its_row(bad: str, rows: int, tmp_path: Path) -> None:
    good = [f"{i + 0.5},{i}.25" for i in range(rows + 2)]
    cells = [*good[:rows], f"{bad},123", *good[rows:]]
    path = csv(tmp_path, "u,v", *cells)
    told = refused("csv", path)
    assert f"column 'u' (string: {bad!r} in row {rows}) may be no feature" in told
    assert "mend that cell, or take out the row" in told
    assert "data.column" not in told
    assert "mend that cell" in refused("csv", path, column="u,v")
    assert read("csv", path, column="v").array.shape == (rows + 3, 1)


def test_a_damaged_cell_is_told_in_text_of_all_kinds(tmp_path: Path) -> None:
    cells = ["1"] * 2000 + ["1,5"] + ["x"]
    for kind in (pa.string(), pa.large_string()):
        pq.write_table(
            pa.table({"u": pa.array(cells, kind), "v": range(5, 2007)}), tmp_path / "d.parquet"
        )
        assert "'1,5' in row 2000) may be no feature. Write its numbers with points" in refused(
            "parquet", tmp_path / "d.parquet"
        )


def test_a_frame_s_default_index_is_no_column(tmp_path: Path) -> None:
    found = read(*parquet_of(FRAME, tmp_path), scale="none")
    assert np.array_equal(found.array, NUMBERS.astype(np.float32))


# --------------------------------------------------------------------------------------------------
# folders that name columns


@pytest.mark.parametrize("large", [True, False])
@pytest.mark.parametrize("by", [["g"], ["g", "h"], ["h"]])
@pytest.mark.parametrize("column", [None, "g,u", "v", "g"])
def test_a_partitioned_table_is_read_whole(
    column: str | None, by: list[str], large: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "LARGE", 1 if large else 1 << 30)
    frame = pd.DataFrame(NUMBERS[:, :2], columns=list("uv"))
    frame = frame.assign(g=[0, 1, 7] * 10, h=[-0.5, 0.25] * 15)
    frame.to_parquet(tmp_path / "d", partition_cols=by)
    (tmp_path / "d" / "_SUCCESS").write_text("")
    names = column.split(",") if column else [n for n in "uvgh" if n not in by] + by
    found = read("parquet", tmp_path / "d", scale="none", column=column)
    # the order of the files, with the columns at their end, as pandas reads them
    expected = pd.read_parquet(tmp_path / "d")[names].astype(np.float32)
    assert np.array_equal(found.array, expected)
    assert found.record.columns == names
    assert found.record.skipped["files that are no shards"] == 1
    assert any(by[0] in told for told in found.record.converted)


def test_folders_may_name_classes(tmp_path: Path) -> None:
    kinds = ["a b", "ü/x", "c"] * 10
    FRAME.assign(kind=kinds).to_parquet(tmp_path / "d", partition_cols=["kind"])
    assert "column 'kind' (string: " in refused("parquet", tmp_path / "d")
    found = read("parquet", tmp_path / "d", scale="none", labels="kind")
    back = pd.read_parquet(tmp_path / "d")
    assert found.classes == back["kind"].astype(str).tolist()
    assert np.array_equal(found.array, back[["u", "v", "w"]].astype(np.float32))
    assert sorted(found.classes) == sorted(kinds)


def test_folders_may_name_classes_of_pictures(tmp_path: Path) -> None:
    for i in range(3):
        (tmp_path / f"label={i}").mkdir()
        pq.write_table(
            pa.table({"image": [encoded(GREY + i)] * 2}), tmp_path / f"label={i}" / "p.parquet"
        )
    assert read("parquet", tmp_path).record.names["columns"] == ["label"]
    found = read("parquet", tmp_path, labels="label")
    assert found.classes == ["0", "0", "1", "1", "2", "2"]
    assert np.array_equal(found.array[::2, 0], [GREY, GREY + 1, GREY + 2])


def test_folders_that_name_no_value_hold_nulls(tmp_path: Path) -> None:
    for folder in ("g=1", "g=__HIVE_DEFAULT_PARTITION__"):
        (tmp_path / folder).mkdir()
        FRAME[:4].to_parquet(tmp_path / folder / "p.parquet")
    assert "column 'g' has 4 nulls, the first in row 4" in refused("parquet", tmp_path)
    assert read("parquet", tmp_path, column="u,v,w").array.shape == (8, 3)
    FRAME.to_parquet(tmp_path / "more.parquet")
    assert "unlike those of" in refused("parquet", tmp_path)


def test_a_column_of_files_and_folders_is_the_files(tmp_path: Path) -> None:
    (tmp_path / "w=7").mkdir()
    FRAME.to_parquet(tmp_path / "w=7" / "p.parquet")
    found = read("parquet", tmp_path, scale="none")
    assert np.array_equal(found.array, NUMBERS.astype(np.float32))


def test_the_first_row_is_looked_at_by_its_columns() -> None:
    below = pa.table({"a": [1.5, 2.5], "b": ["x", "y"]})
    assert has_names("d", ["u", "x"], below)
    assert not has_names("d", ["1", "x"], below)


# --------------------------------------------------------------------------------------------------
# tensors


@pytest.mark.parametrize("turned", [None, [1, 0], [0, 1]])
@pytest.mark.parametrize("large", [True, False])
def test_tensors_are_the_arrays_that_they_hold(
    large: bool, turned: list[int] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "LARGE", 1 if large else 1 << 30)
    kind = pa.fixed_shape_tensor(pa.float32(), [2, 5], permutation=turned)
    stored = np.random.default_rng(0).normal(size=(12, 2, 5)).astype(np.float32)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(stored.reshape(-1)), 10)
    table = pa.table({"t": pa.ExtensionArray.from_storage(kind, lists), "label": WHOLE[:12, 0]})
    pq.write_table(table, tmp_path / "d.parquet", row_group_size=5)
    path = tmp_path / "d.parquet"
    seen = stored.transpose(0, 2, 1) if turned == [1, 0] else stored
    assert "grey pictures, by the look of it" in refused(
        "parquet", path, labels="label", column="t"
    )
    found = read("parquet", path, labels="label", column="t", layout="NHW", scale="standard")
    assert found.scaling is not None
    assert np.allclose(found.scaling.back(found.array[:, 0]), seen, atol=1e-5)
    assert found.classes == [str(k) for k in WHOLE[:12, 0]]
    points = read("parquet", path, column="t", layout="points", scale="none")
    assert np.array_equal(points.array, seen.reshape(12, 10))
    assert np.array_equal(read("parquet", path, column="label", scale="none").array[:, 0],
                          WHOLE[:12, 0])  # fmt: skip


def test_a_tensor_that_is_missing_is_one_line(tmp_path: Path) -> None:
    kind = pa.fixed_shape_tensor(pa.int32(), [2])
    cells = pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int32(), 2))
    table = pa.table({"t": pa.ExtensionArray.from_storage(kind, cells)})
    pq.write_table(table, tmp_path / "d.parquet")
    assert "may be no feature. Set data.column: t" in refused("parquet", tmp_path / "d.parquet")
    assert "column 't' has" in refused("parquet", tmp_path / "d.parquet", column="t")
