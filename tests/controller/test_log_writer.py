import errno
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.faults import full_disk
from raygan.controller import log_writer as module
from raygan.controller.jsonl import parse
from raygan.controller.log_writer import RESERVE, Telemetry
from raygan.controller.run_folder import RunFolder, read_jsonl
from raygan.controller.storage import LocalStorage
from raygan.errors import RayganError
from raygan.service.resuming import resume_run
from raygan.service.training import train


class Disk:
    """os.write with so many bytes left, as a disk that fills up does it: part of it gets there,
    then nothing.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room = 1 << 30
        self.real = os.write
        monkeypatch.setattr(module.os, "write", self.write)
        monkeypatch.setattr(module, "write_within", self.write_within)
        self.real_within = module.write_within

    def write(self, handle: int, raw: bytes) -> int:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = self.real(handle, raw[: self.room])
        self.room -= done
        return done

    def write_within(self, root: Path, name: str, raw: bytes) -> None:
        if len(raw) > self.room:
            raise OSError(errno.ENOSPC, "No space left on device", str(root / name))
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(raw)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[RunFolder]:
    made = RunFolder.create(tmp_path, "run")
    made.telemetry.trouble = lambda name, error: None
    yield made
    made.close()


@pytest.mark.parametrize("room", [0, 1, 17, 40, 80, 200])
def test_a_log_has_whole_lines_only_and_all_of_them_once_there_is_room(
    folder: RunFolder, disk: Disk, room: int
) -> None:
    folder.metric(kind="train", step=0)
    disk.room = room
    for step in range(1, 5):
        folder.metric(kind="train", step=step)
        raw = (folder.path / "metrics.jsonl").read_bytes()
        assert raw.endswith(b"\n")
        assert all(parse(line) for line in raw.splitlines())
    missing = folder.unwritten().get("metrics.jsonl", 0)
    assert missing == 5 - len(raw.splitlines())
    disk.room = 1 << 30
    folder.metric(kind="train", step=5)
    assert [row["step"] for row in read_jsonl(folder.path / "metrics.jsonl")] == list(range(6)), (
        "in order"
    )
    assert folder.unwritten() == {}


def test_of_what_waits_as_much_is_written_as_there_is_room_for_and_each_line_once(
    folder: RunFolder, disk: Disk
) -> None:
    disk.room = 0
    for step in range(4):
        folder.metric(kind="train", step=step)
    disk.room = 70  # two lines and a half
    folder.metric(kind="train", step=4)
    assert [row["step"] for row in read_jsonl(folder.path / "metrics.jsonl")] == [0, 1]
    disk.room = 1 << 30
    folder.metric(kind="train", step=5)
    assert [row["step"] for row in read_jsonl(folder.path / "metrics.jsonl")] == list(range(6))


def test_what_waits_is_bounded_and_what_is_lost_is_counted(
    folder: RunFolder, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAITING_BYTES", 100)
    disk.room = 0
    for step in range(50):
        folder.metric(kind="train", step=step)
    assert folder.unwritten() == {"metrics.jsonl": 50}
    disk.room = 1 << 30
    folder.metric(kind="train", step=50)
    kept = [row["step"] for row in read_jsonl(folder.path / "metrics.jsonl")]
    assert kept == [0, 1, 2, 50], "the first that found room in memory, and what has room there"
    assert folder.unwritten() == {"metrics.jsonl": 47}
    folder.metric(kind="train", step=51)
    assert read_jsonl(folder.path / "metrics.jsonl")[-1]["step"] == 51


def test_a_line_that_is_longer_than_what_may_wait_is_written_where_there_is_room(
    folder: RunFolder, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAITING_BYTES", 100)
    moves = [{"player": f"pair-{i:02d}"} for i in range(50)]
    folder.event("swap", 3, moves=moves)
    assert [row["moves"] for row in read_jsonl(folder.path / "events.jsonl")] == [moves]
    assert folder.unwritten() == {}
    disk.room = 0
    folder.event("swap", 4, moves=moves)
    assert folder.unwritten() == {"events.jsonl": 1}, "it cannot wait, and is counted"
    disk.room = 1 << 30
    folder.event("swap", 5, moves=moves)
    assert [row["step"] for row in read_jsonl(folder.path / "events.jsonl")] == [3, 5]


def test_run_json_waits_and_is_written_with_the_next_line_that_can_be(
    folder: RunFolder, disk: Disk
) -> None:
    folder.status(status="starting")
    disk.room = 0
    assert folder.status(status="running", pid=7)["pid"] == 7, "who asks is told all the same"
    folder.samples(3, {})
    assert json.loads((folder.path / "run.json").read_text()) == {"status": "starting"}
    disk.room = 1 << 30
    folder.event("swap", 3)
    assert json.loads((folder.path / "run.json").read_text()) == {"status": "running", "pid": 7}


def test_the_end_tells_what_is_missing_in_all_lives(folder: RunFolder, disk: Disk) -> None:
    import numpy as np

    folder.status(status="running")
    for _ in range(2):
        disk.room = 0
        folder.samples(3, {"global": np.zeros(3)})
        disk.room = 1 << 30
        folder.status(status="done")
        folder.close()
        folder = RunFolder(folder.path)
        folder.telemetry.trouble = lambda name, error: None
    assert json.loads((folder.path / "run.json").read_text())["unwritten"] == {"samples": 2}


def test_each_file_is_told_once_and_the_warning_itself_may_have_to_wait(
    tmp_path: Path, disk: Disk
) -> None:
    folder, told = RunFolder.create(tmp_path, "run"), list[str]()

    def warn(name: str, error: OSError) -> None:
        told.append(name)
        folder.event("warning", 1, name="W203 file-not-written", text=f"{name}: {error.strerror}")

    folder.telemetry.trouble = warn
    disk.room = 0
    for step in range(3):
        folder.metric(kind="train", step=step)
    assert told == ["metrics.jsonl", "events.jsonl"]
    assert read_jsonl(folder.path / "events.jsonl") == []
    disk.room = 1 << 30
    folder.close()
    texts = [e["text"] for e in read_jsonl(folder.path / "events.jsonl")]
    assert texts == [
        "metrics.jsonl: No space left on device",
        "events.jsonl: No space left on device",
    ]


def test_before_a_run_is_under_way_a_failure_is_an_error(tmp_path: Path, disk: Disk) -> None:
    disk.room = 0
    for write in (
        lambda t: t.append("metrics.jsonl", b"{}\n"),
        lambda t: t.replace("run.json", b"{}"),
        lambda t: t.reserve(),
    ):
        with pytest.raises(OSError, match="No space"):
            write(Telemetry(lambda: tmp_path))


def fail_swaps(storage: Any, name: str, raw: bytes) -> None:
    if b'"kind": "swap"' in raw:
        raise OSError(errno.ENOSPC, "No space left on device", name)
    REAL_APPEND(storage, name, raw)


REAL_APPEND = LocalStorage.append


def test_a_swap_that_cannot_be_committed_ends_in_one_line_and_can_be_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = full_disk.bits(
        train(full_disk.config(), run_dir=tmp_path, name="whole", inline=True).path
    )
    with monkeypatch.context() as patch:
        patch.setattr(LocalStorage, "append", fail_swaps)
        with pytest.raises(RayganError, match=r"No space.*raygan resume") as error:
            train(full_disk.config(), run_dir=tmp_path, name="r", inline=True)
    assert "\n" not in str(error.value)
    assert full_disk.status(tmp_path / "r") in ("stopped", "failed")
    assert not (tmp_path / "r" / RESERVE).exists(), "what was kept free is given back"
    resume_run(tmp_path / "r", inline=True)
    assert full_disk.bits(tmp_path / "r") == expected


def test_without_any_telemetry_a_run_is_the_same_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = full_disk.bits(
        train(full_disk.config(), run_dir=tmp_path, name="whole", inline=True).path
    )
    real = module.write_within

    def only_at_first(root: Path, name: str, raw: bytes) -> None:
        if name == RESERVE:
            real(root, name, raw)
            monkeypatch.setattr(module.os, "write", no_room)
            return
        if module.os.write is no_room:
            no_room(0, b"")
        real(root, name, raw)

    def no_room(handle: int, raw: bytes) -> int:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(module, "write_within", only_at_first)
    run = train(full_disk.config(), run_dir=tmp_path, name="r", inline=True)
    assert full_disk.bits(run.path) == expected
    assert run.info["status"] == "done", "by what its driver knows"
    assert json.loads((run.path / "run.json").read_text())["status"] == "starting"
    assert run.info["warnings"]["W203 file-not-written"] >= 3
    assert set(run.info["unwritten"]) >= {"metrics.jsonl", "events.jsonl", "samples"}


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small disk")
def test_on_a_disk_that_is_really_full(tmp_path: Path) -> None:
    """benchmarks.faults.full_disk tries every size."""
    expected, need = full_disk.whole(tmp_path)
    try:
        with full_disk.disk(4096):
            pass
    except subprocess.CalledProcessError:
        pytest.skip("this root may not mount")
    outcomes = [full_disk.on_a_disk_of(size, expected) for size in (0, need // 3, 2 * need // 3)]
    assert [o.wrong for o in outcomes] == [(), (), ()]
    assert outcomes[0].end == "not begun"
    assert {o.end for o in outcomes[1:]} <= {"stopped", "failed"}
