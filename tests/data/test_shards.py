"""Which files of a folder are one table: hidden and temporary ones are none of it, links lead to
it.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from raygan.data.cache_sources import told_apart
from tests.data.test_reader import read, reader, refused

ROWS = pd.DataFrame({"u": np.arange(30.0) ** 3, "v": np.arange(30.0) ** 2})


def shard(path: Path, rows: pd.DataFrame = ROWS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows.to_parquet(path)
    return path


HIDDEN = (
    ".ipynb_checkpoints/part-0.parquet",
    "_temporary/0/part-0.parquet",
    ".git/a/b.parquet",
    "_delta_log/c.parquet",
)


@pytest.mark.parametrize(
    "name", [*HIDDEN, "_metadata.parquet", ".part-0.parquet", "._part-0.parquet"]
)
def test_hidden_and_temporary_shards_are_left_out_and_counted(name: str, tmp_path: Path) -> None:
    shard(tmp_path / ".data" / "part-0.parquet")
    shard(tmp_path / ".data" / name)
    found = read("parquet", tmp_path / ".data")
    assert len(found.array) == 30
    assert sum(found.record.skipped.values()) == 1


def test_a_hidden_column_of_folders_is_read(tmp_path: Path) -> None:
    for g in range(2):
        shard(tmp_path / f"_g={g}" / "part-0.parquet")
    assert read("parquet", tmp_path).array.shape == (60, 3)


def test_linked_folders_of_shards_are_read_once(tmp_path: Path) -> None:
    shard(tmp_path / "real" / "part-0.parquet")
    for g in range(2):
        shard(tmp_path / "d" / f"g={g}" / "part-0.parquet")
    (tmp_path / "d" / "g=2").symlink_to(tmp_path / "real")
    (tmp_path / "d" / "round").symlink_to(tmp_path / "d")
    found = read("parquet", tmp_path / "d", scale="none")
    assert sorted(set(found.array[:, 2])) == [0, 1, 2]
    assert found.record.skipped == {"links to folders that were read already": 1}


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_shard_that_cannot_be_read_is_one_line(kind: str, tmp_path: Path) -> None:
    shard(tmp_path / "part-0.parquet")
    path = tmp_path / "part-9.parquet"
    if kind == "link":
        path.symlink_to(tmp_path / "gone.parquet")
    else:
        os.mkfifo(path)
    assert "part-9.parquet" in refused("parquet", tmp_path)


@pytest.mark.parametrize("kind", ["hf", "parquet"])
def test_a_change_behind_a_link_is_another_source(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    path = shard(tmp_path / "real" / "part-1.parquet")
    shard(tmp_path / "d" / "part-0.parquet")
    (tmp_path / "d" / "more").symlink_to(tmp_path / "real")
    source = reader(kind, tmp_path / "d")
    before = list(map(told_apart, source.sources() or []))
    shard(path, ROWS + 1)
    assert before != list(map(told_apart, source.sources() or []))


@pytest.mark.parametrize("at", ["foot", "middle", "nothing"])
def test_a_damaged_shard_is_told_by_its_name(at: str, tmp_path: Path) -> None:
    for n in range(3):
        path = shard(tmp_path / f"part-{n}.parquet")
    raw = bytearray(path.read_bytes())
    if at == "middle":
        raw[4:200] = bytes(196)
    path.write_bytes({"foot": raw[:-9], "middle": raw, "nothing": b""}[at])
    line = refused("parquet", tmp_path)
    assert "part-2.parquet cannot be read" in line
    assert line.endswith("Check the file.")


def test_a_shard_is_read_once_whatever_links_lead_to_it(tmp_path: Path) -> None:
    real = shard(tmp_path / "d" / "part-0.parquet")
    (tmp_path / "d" / "part-1.parquet").symlink_to(real)
    found = read("parquet", tmp_path / "d")
    assert len(found.array) == 30
    assert found.record.skipped == {"links to files that were read already": 1}
    real = shard(tmp_path / "e" / "g=0" / "part-0.parquet")
    (tmp_path / "e" / "g=1").mkdir()
    (tmp_path / "e" / "g=1" / "part-0.parquet").symlink_to(real)
    assert "is the same file as" in refused("parquet", tmp_path / "e")
