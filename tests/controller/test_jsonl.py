import json
import os
from pathlib import Path
from typing import Any

import pytest

from raygan.controller.jsonl import JsonLines, Lines, parse, read_info, read_json, told_by_a_run
from raygan.errors import ConfigError

DAMAGED = [
    b'{"kind": "train", "pla', b"\xff\xfe{", b"[1]", b"3", b"null", b"", b"[" * 100_000,
    b'{"a": 1}}', b'{"step": 1}', b'{"kind": "train", "step": 1}',
    b'{"kind": "swap", "step": 1, "time": 1, "moves": [3]}',
    b'{"kind": "death", "step": 1, "time": "x"}',
    b'{"kind": "train", "step": "x", "player": "a", "steps": 1}',
]  # fmt: skip


@pytest.mark.parametrize("bad", DAMAGED)
def test_a_damaged_line_is_passed_over_counted_and_told(
    tmp_path: Path, bad: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "metrics.jsonl"
    good = {"kind": "train", "step": 1, "player": "pair-00", "steps": 1}
    line = json.dumps(good).encode() + b"\n"
    path.write_bytes(line + bad + b"\n" + line)
    for containing in (b"", b'"train"'):
        lines = Lines(path, told_by_a_run, containing)
        assert list(lines.fresh()) == [good, good]
        assert lines.damaged == (
            1 if not containing or bad[:1] != b"{" or b'"train"' in bad or bad[-1:] != b"}" else 0
        )
    assert "metrics.jsonl: 1 damaged lines were passed over" in caplog.text


def test_a_file_is_read_on_from_where_it_was_left(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    lines = Lines(path)
    assert not list(lines.fresh())
    path.write_bytes(b'{"a": 1}\n{"a": 2}\n{"a"')
    assert lines.restarted()
    assert [row["a"] for row in lines.fresh()] == [1, 2]
    with path.open("ab") as file:
        file.write(b': 3}\n{"a": 4}\n')
    assert not lines.restarted()
    assert [row["a"] for row in lines.fresh()] == [3, 4]
    path.unlink()
    assert lines.restarted()


def test_lines_longer_than_a_block_are_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raygan.controller.jsonl.BLOCK", 7)
    rows = [{"a": "x" * n} for n in range(30)]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert JsonLines(tmp_path / "log.jsonl").read() == rows


INFO: list[Any] = [
    b'{"status": "do', b"", b"\xff", b"[]", b"3", b"{}", b'{"status": 3}',
    b'{"status": "done", "protocols": 3}', b'{"status": "done", "pid": "x"}', b"[" * 100_000,
    b'{"status": "done", "busy_seconds": []}',
]  # fmt: skip


@pytest.mark.parametrize("raw", INFO)
def test_a_damaged_run_json_is_one_line(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "run.json").write_bytes(raw)
    with pytest.raises(ConfigError, match=r"run.json is damaged .*Put back a copy") as error:
        read_info(tmp_path)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500


@pytest.mark.parametrize("thing", ["pipe", "folder", "gone"])
def test_what_is_no_file_is_one_line_and_nobody_waits_for_it(tmp_path: Path, thing: str) -> None:
    path = tmp_path / "run.json"
    if thing == "pipe":
        os.mkfifo(path)
    elif thing == "folder":
        path.mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        read_json(tmp_path, "run.json")
    if thing == "gone":
        assert list(Lines(path).fresh()) == []
    else:
        with pytest.raises(ConfigError, match="cannot be read"):
            list(Lines(path).fresh())


def test_what_a_run_writes_is_taken() -> None:
    for row in (
        {"kind": "train", "step": 5, "player": "a", "steps": 5, "elapsed": 1.0},
        {"kind": "score", "step": 5, "player": "a", "protocol": "x", "fid": float("nan")},
        {"kind": "checkpoint", "step": 5, "time": 1.0, "bytes": 3},
        {"kind": "a kind of later releases", "step": 5, "time": 1.0},
    ):
        assert told_by_a_run(row)
        assert parse(json.dumps(row).encode()) is not None
