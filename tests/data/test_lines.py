"""Lines of text: how they are parted, which are blank, and digits that no type keeps."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raygan.data import keeping
from tests.data.test_reader import read, refused

NUMBERS = np.random.default_rng(0).normal(size=(60, 3)).round(2)


def written(folder: Path, text: str, name: str = "d.csv") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    return path


def rows(array: Any, mark: str = ",", comma: bool = False) -> str:
    lines = (mark.join(f"{v:.2f}".replace(".", "," if comma else ".") for v in r) for r in array)
    return "".join(f"{line}\n" for line in lines)


# --------------------------------------------------------------------------------------------------
# comments


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("names", ["u,v,w\n", ""])
@pytest.mark.parametrize(
    ("top", "told"),
    [
        ("# by a tool\n", 1),
        ("# by a tool, in 2020\n\n  # in mm\n", 2),
        ("\n#\n", 1),
        ("# it's 5\" wide\n", 1),
        ("\ufeff# by a tool\n", 1),
    ],
)
@pytest.mark.parametrize("name", ["d.csv", "d.csv.gz"])
def test_comments_on_top_are_left_out_and_counted(
    name: str, top: str, told: int, names: str, end: str, tmp_path: Path
) -> None:
    text = (top + names + rows(NUMBERS)).replace("\n", end)
    found = read("csv", written(tmp_path, text, name), scale="none")
    assert np.array_equal(found.array, NUMBERS.astype(np.float32))
    assert found.record.converted["comment lines left out (#)"] == told
    assert ("first row taken as names" in found.record.converted) == bool(names)


@pytest.mark.parametrize("more", ["", "by a tool\n"])
def test_names_as_numpy_writes_them_are_names(more: str, tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    np.savetxt(path, NUMBERS, delimiter=",", header=f"{more}u,v,label")
    assert "Set data.column: u,v" in refused("csv", path)
    found = read("csv", path, column="u,v", scale="none")
    assert np.array_equal(found.array, NUMBERS[:, :2].astype(np.float32))
    assert found.record.converted.get("comment lines left out (#)", 0) == bool(more)


def test_a_column_named_hash_is_no_comment(tmp_path: Path) -> None:
    text = "#,u\n" + rows(np.stack([np.arange(60), NUMBERS[:, 0]], 1))
    assert "column '#'" in refused("csv", written(tmp_path, text))


def test_comments_below_the_top_are_one_line(tmp_path: Path) -> None:
    assert "# end" in refused("csv", written(tmp_path, rows(NUMBERS) + "# end\n"))


@pytest.mark.parametrize(
    ("names", "kind", "asked"),
    [("x,y", float, False), ("x,y,z", float, False), ("x,y", int, True), ("x1,y", float, True)],
)
def test_y_is_a_feature_beside_x_alone(names: str, kind: type, asked: bool, tmp_path: Path) -> None:
    table = pd.DataFrame(NUMBERS[:, : names.count(",") + 1], columns=names.split(","))
    table["y"] = (table["y"] * 3).astype(kind) if kind is int else table["y"]
    path = written(tmp_path, table.to_csv(index=False))
    if asked:
        assert "column 'y'" in refused("csv", path)
    else:
        assert read("csv", path).array.shape == table.shape


# --------------------------------------------------------------------------------------------------
# blank lines


@pytest.mark.parametrize("name", ["d.csv", "d.csv.gz"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("top", ["temp\n", "\n\ntemp\n", ""])
def test_a_blank_line_of_one_column_is_a_number_that_is_missing(
    top: str, end: str, name: str, tmp_path: Path
) -> None:
    text = f"{top}20.5\n\n21.0\n22.5\n\n19.0\n\n\n".replace("\n", end)
    assert "has 2 nulls, the first in row 1" in refused("csv", written(tmp_path, text, name))
    text = f"{top}20.5\n21.0\n22.5\n19.0\n\n\n".replace("\n", end)
    found = read("csv", written(tmp_path, text, name), scale="none")
    assert found.array.tolist() == [[20.5], [21], [22.5], [19]]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("top", ["u,v,w\n", "\n\nu,v,w\n", ""])
def test_blank_lines_between_rows_are_left_out_and_said(top: str, end: str, tmp_path: Path) -> None:
    text = top + rows(NUMBERS[:9]) + "\n\n" + rows(NUMBERS[9:]) + "\n\n\n"
    found = read("csv", written(tmp_path, text.replace("\n", end)), scale="none")
    assert np.array_equal(found.array, NUMBERS.astype(np.float32))
    assert found.record.converted["blank lines left out"] == 2
    found = read("csv", written(tmp_path, top + rows(NUMBERS) + "\n\n"), scale="none")
    assert "blank lines left out" not in found.record.converted


# --------------------------------------------------------------------------------------------------
# spaces


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_space_after_a_comma_is_in_no_name_and_no_cell(quote: str, tmp_path: Path) -> None:
    kinds = [f"k{i % 3}" for i in range(60)]
    cells = [[*map(str, row), kind] for row, kind in zip(NUMBERS.tolist(), kinds, strict=True)]
    text = "\n".join(
        ", ".join(f"{quote}{c}{quote}" for c in row) for row in [[*"uvw", "label"], *cells]
    )
    path = written(tmp_path, text)
    assert "column 'label' (string: 'k0' in row 0) may be no feature. Set data.column: u,v,w" in (
        refused("csv", path)
    )
    found = read("csv", path, labels="label", scale="none")
    assert found.classes == kinds
    assert found.record.columns == ["u", "v", "w"]
    assert np.array_equal(found.array, NUMBERS.astype(np.float32))
    assert read("csv", path, column="u, w").array.shape == (60, 2)


@pytest.mark.parametrize("missing", ["NA", "", "null", "N/A"])
@pytest.mark.parametrize("classes", ["AB", "12"])
def test_a_missing_label_is_no_class(classes: str, missing: str, tmp_path: Path) -> None:
    kinds = [*classes, missing] * 20
    text = "".join(f"{u},{k}\n" for u, k in zip(NUMBERS[:, 0], kinds, strict=True))
    told = refused("csv", written(tmp_path, "u,kind\n" + text), labels="kind")
    assert "20 nulls, the first in row 2" in told or "20 blanks, the first of sample 2 (so" in told


# --------------------------------------------------------------------------------------------------
# commas


@pytest.mark.parametrize("mark", [";", "\t"])
@pytest.mark.parametrize("top", [None, "u", "9"])
@pytest.mark.parametrize("width", [2, 3])
def test_decimal_commas_do_not_part_cells(
    width: int, top: str | None, mark: str, tmp_path: Path
) -> None:
    names = "" if top is None else mark.join("uvw"[:width]) + "\n"
    path = written(tmp_path, names + rows(NUMBERS[:, :width], mark, comma=True))
    told = refused("csv", path)
    assert "in row 0). Write its numbers with points, not commas" in told


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ('"height, cm";"weight, kg"\n' + rows(NUMBERS[:, :2], ";"), (60, 2)),
        ('"a;b;c","c;d;e"\n' + rows(NUMBERS[:, :2]), (60, 2)),
        ("a,b\n" + rows(NUMBERS[:, :2]), (60, 2)),
        (rows(NUMBERS, "\t"), (60, 3)),
        (rows(NUMBERS[:, :1]), (60, 1)),
    ],
)
def test_what_parts_cells_is_told_by_rows_alike(
    text: str, shape: tuple[int, int], tmp_path: Path
) -> None:
    assert read("csv", written(tmp_path, text)).array.shape == shape


@pytest.mark.parametrize(
    "text",
    [
        "2,25\n1,06\n3,10\n",
        "2,5\n-0,5\n1,2\n",
        "20,25\n21,36\n19,12\n",
        rows(abs(NUMBERS[:, :1]), comma=True),
        "20,5\n9,3\n18,1\n17,8\n11,9\n",
    ],
)
def test_one_column_of_decimal_commas_is_asked_for(text: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    assert "may be two whole numbers, or one with a decimal comma" in refused("csv", path)
    count = text.count("\n")
    assert read("csv", path, column="f0,f1", scale="none").array.shape == (count, 2)
    assert read("csv", written(tmp_path, "u,v\n" + text)).array.shape == (count, 2)


@pytest.mark.parametrize(
    "pairs",
    [
        np.random.default_rng(0).integers(0, 9, (60, 2)),
        np.random.default_rng(0).integers(0, 999, (60, 2)),
        np.random.default_rng(0).integers(10, 99, (60, 2)),
        [[0, 1], [1, 0], [1, 0], [0, 1]],
        [[20, 1], [30, 0], [7, 2]] * 9,
    ],
)
def test_two_columns_of_whole_numbers_are_two(pairs: Any, tmp_path: Path) -> None:
    text = "".join(f"{a},{b}\n" for a, b in pairs)
    assert np.array_equal(read("csv", written(tmp_path, text), scale="none").array, pairs)


# --------------------------------------------------------------------------------------------------
# thousands


@pytest.mark.parametrize(
    "text",
    [
        "people;area\n950;12\n1.234;30\n12.500;7\n830;5\n",
        "1.234;30\n950;12\n12.500;7\n",
        "u;v\n1.234;17\n12.500;7\n",
        "u,v\n950,12\n1.234,30\n-12.500,7\n",
        "u\t v\n950\t12\n1.234\t30\n",
        'u;v\n"950";"12"\n"1.234";"30"\n',
    ],
)
def test_dots_that_may_be_of_thousands_are_asked_about(text: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    told = refused("csv", path)
    assert "1.234" in told
    assert "may be fractions, or whole numbers with dots for thousands" in told
    names = "f0,f1" if text[0] == "1" else "people,area" if text[0] == "p" else "u,v"
    assert read("csv", path, column=names, scale="none").array.max() < 1000


@pytest.mark.parametrize(
    "text",
    [
        "u;v\n950.0;12\n1.234;30\n", "u;v\n0.950;12\n1.234;30\n", "u,v\n1.234,2.345\n9.123,7.5\n",
        "u;v\n1.234;2.345\n12.500;7.12\n", "u;v\n12500;12\n1.234;30\n", "u\n1.234\n2.345\n",
        "u,v\n1.234,2.345\n12.500,7.123\n", "u;v\n1e3;2\n1.234;3\n",
        rows(abs(NUMBERS).round(3) + 1, ";"), "432.509;17.250\n1.234;2.345\n12.500;7.123\n",
        "u;v\n1.234;2019\n12.500;2020\n",
    ],
)  # fmt: skip
def test_fractions_of_three_digits_are_fractions(text: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    mark = ";" if ";" in text else ","
    top = None if text[0].isdigit() else 0
    found = read("csv", path, scale="none")
    expected = pd.read_csv(path, sep=mark, header=top).to_numpy().astype(np.float32)
    assert np.array_equal(found.array, expected)


@pytest.mark.parametrize("cell", ["0,5", "1.234.567", "1.234,5"])
def test_decimal_commas_elsewhere_tell_that_dots_may_be_of_thousands(
    cell: str, tmp_path: Path
) -> None:
    path = written(tmp_path, f"u;v\n1.234;{cell}\n12.500;{cell}\n")
    assert "may be fractions, or whole numbers with dots for thousands" in refused("csv", path)


@pytest.mark.parametrize("cells", [["1,234", "950"], ["1,234", "12,500"], ["1.234.567", "12.500"]])
def test_thousands_are_no_decimal_commas(cells: list[str], tmp_path: Path) -> None:
    path = written(tmp_path, "u,v\n" + "".join(f'"{c}",0.5\n' for c in cells))
    told = refused("csv", path)
    assert "Take the marks out, where they are of thousands" in told
    path = written(tmp_path, 'u,v\n"1,234",2\n"0,5",3\n')
    assert "Write its numbers with points, not commas" in refused("csv", path)


# --------------------------------------------------------------------------------------------------
# digits

TIMES = 1_700_000_000_000_000_000 + 7 * np.arange(60)


@pytest.mark.parametrize("large", [True, False])
@pytest.mark.parametrize("other", [NUMBERS[:, 0], NUMBERS[:, 0].astype("f4"), TIMES.astype("u8")])
def test_whole_numbers_of_64_bits_are_not_rounded_together(
    other: Any, large: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "LARGE", 1 if large else 1 << 30)
    frame = pd.DataFrame({"t": TIMES, "u": other, "v": 1.0})
    pq.write_table(pa.Table.from_pandas(frame), tmp_path / "d.parquet")
    path = tmp_path / "d.parquet"
    assert "rounded to steps of 256. Subtract 1700000000000000000 from it" in refused(
        "parquet", path
    )
    assert read("parquet", path, column="v").array.shape == (60, 1)
    assert len(np.unique(read("parquet", path, column="t").array)) == 60
    # a day of them: float32 has no digit more than what is left
    wide = pd.DataFrame({"t": TIMES[0] + np.arange(60) * 10**12, "u": NUMBERS[:, 0]})
    pq.write_table(pa.Table.from_pandas(wide), path)
    assert len(np.unique(read("parquet", path).array[:, 0])) == 60


def test_whole_numbers_of_64_bits_in_text(tmp_path: Path) -> None:
    text = "t,u\n" + "".join(f"{t},{u}\n" for t, u in zip(TIMES, NUMBERS[:, 0], strict=True))
    assert "rounded to steps of 256" in refused("csv", written(tmp_path, text))


@pytest.mark.parametrize(
    "first", ["1234567890123456789{:03d}", "1700000000.000000{:03d}", " -9{:030d}"]
)
def test_text_with_more_digits_than_a_number_has(first: str, tmp_path: Path) -> None:
    text = "t,u\n" + "".join(f"{first.format(i)},{2 * i}\n" for i in range(60))
    path = written(tmp_path, text)
    assert "may be no feature. Its numbers have more digits than float64" in refused("csv", path)
    assert "Its numbers have more digits than float64" in refused("csv", path, column="t,u")
    assert read("csv", path, column="u").array.shape == (60, 1)


@pytest.mark.parametrize("cell", ["0.0", "1e300", "123456789012345678901"])
def test_a_number_that_never_changes_is_one(cell: str, tmp_path: Path) -> None:
    text = "t,u\n" + "".join(f"{cell}{'' if i % 2 else ' '},{2 * i}\n" for i in range(60))
    assert read("csv", written(tmp_path, text)).array.shape == (60, 2)


@pytest.mark.parametrize("scale", ["none", "0..2e9"])
@pytest.mark.parametrize("far", [True, False])
def test_points_that_become_one_in_float32_are_refused(
    far: bool, scale: str, tmp_path: Path
) -> None:
    at = 1.7e9 * far + np.arange(300) * (1 if far else 1e6)
    np.savez(tmp_path / "d.npz", np.c_[np.arange(300) * 5e6, np.ones(300), at])
    path = tmp_path / "d.npz"
    if far:
        told = refused("npz", path, scale=scale, layout="points")
        assert "numbers of column 2 that differ" in told
        assert "Set data.scale: standard" in told
    else:
        assert read("npz", path, scale=scale, layout="points").array.shape == (300, 3)
    assert len(np.unique(read("npz", path, scale="standard", layout="points").array[:, 2])) == 300
