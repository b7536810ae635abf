import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from raygan.controller import jsonl as jsonl_module
from raygan.controller.files import STALE_S, sync_folder, write_within
from raygan.controller.run_folder import (
    JsonLines,
    RunFolder,
    check_name,
    find_run,
    inside,
    read_jsonl,
    write_atomically,
)
from raygan.errors import ConfigError, RayganError


@pytest.mark.parametrize(
    "name", ["../up", "a/b", "", ".hidden", "a b", "a\n", "x" * 101, "..", "a\0b", "ä"]
)
def test_names_that_could_escape_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="letters, digits"):
        RunFolder.create(tmp_path / "runs", name)
    assert not (tmp_path / "runs").exists(), "nothing half-written"


def test_usual_names_pass() -> None:
    for name in ("sgan-ring8-s0-001", "A.b_c", "7"):
        check_name(name)


def test_a_taken_name_is_refused_with_the_next_move(tmp_path: Path) -> None:
    RunFolder.create(tmp_path, "run")
    with pytest.raises(ConfigError, match="raygan resume"):
        RunFolder.create(tmp_path, "run")


def test_an_unwritable_parent_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="run-dir"):
        RunFolder.create(tmp_path / "file", "run")
    with pytest.raises(ConfigError, match="cannot write"):
        RunFolder.create(Path("/proc/raygan"), "run")


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "run.json"
    write_atomically(target, b"old")

    def fail(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_atomically(target, b"new")
    assert target.read_bytes() == b"old"


def test_a_torn_last_line_is_not_read_and_is_cut_before_appending(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "run")
    folder.event("swap", 1)
    folder.close()
    path = folder.path / "events.jsonl"
    with path.open("a") as file:
        file.write('{"time": 1, "st')
    assert [e["kind"] for e in read_jsonl(path)] == ["swap"]
    again = RunFolder(folder.path)
    again.event("death", 2)
    again.close()
    assert [e["kind"] for e in read_jsonl(path)] == ["swap", "death"]


def test_status_is_kept_and_updated(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "run")
    folder.status(status="running", pid=1)
    RunFolder(folder.path).status(status="done", exit_code=0)
    assert json.loads((folder.path / "run.json").read_text()) == {
        "status": "done",
        "pid": 1,
        "exit_code": 0,
    }


def test_samples_load_without_pickle(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "run")
    folder.samples(7, {"global": np.zeros((3, 2), np.float32)})
    assert np.load(folder.path / "samples/00000007-global.npy", allow_pickle=False).shape == (3, 2)
    assert folder.path.stat().st_mode & 0o077 == 0, "the run folder is the user's own"


def test_a_misspelt_run_is_told_which_one_was_meant(tmp_path: Path) -> None:
    RunFolder.create(tmp_path, "ring-run").status(status="done")
    with pytest.raises(ConfigError, match="Did you mean 'ring-run'"):
        find_run(tmp_path / "ring-rum")


def test_a_run_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it was given at its start: in runs/, by `latest`, or by as much of it as one run alone
    begins with.
    """
    monkeypatch.chdir(tmp_path)
    for name in ("ring8-a", "ring8-b", "mnist"):
        RunFolder.create(tmp_path / "runs", name).status(status="done")
    (tmp_path / "runs/latest").symlink_to("mnist")
    (tmp_path / "runs/.mnist2.host.1.making").mkdir()
    (tmp_path / "runs/.mnist2.host.1.making/run.json").write_text("{}")
    for given, there in (
        ("ring8-a", "ring8-a"),
        ("mn", "mnist"),
        ("ring8-b", "ring8-b"),
        ("runs/mnist", "mnist"),
    ):
        assert find_run(given).resolve() == tmp_path / "runs" / there
    assert find_run("latest").resolve() == tmp_path / "runs/mnist"
    with pytest.raises(ConfigError, match="2 runs begin like this: ring8-a, ring8-b"):
        find_run("ring8")
    for none in ("", ".", "runs/mn", "zebra"):
        with pytest.raises(ConfigError, match="is not a run folder"):
            find_run(none)
    RunFolder.create(tmp_path, "mnist").status(status="done")
    assert find_run("mnist") == Path("mnist"), "the folder that was named comes first"


def test_a_growing_file_is_parsed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`watch` looks each second at logs of hours."""
    path, parsed, loads = tmp_path / "log.jsonl", list[bytes](), json.loads
    monkeypatch.setattr(jsonl_module.json, "loads", lambda line: parsed.append(line) or loads(line))
    lines = JsonLines(path)
    assert lines.read() == []
    path.write_text('{"a": 1}\n{"a": 2}\n{"a"')
    first = lines.read()
    assert first == [{"a": 1}, {"a": 2}], "not the torn one"
    with path.open("a") as file:
        file.write(": 3}\n")
    assert lines.read() == [{"a": 1}, {"a": 2}, {"a": 3}]
    assert first == [{"a": 1}, {"a": 2}], "who has read before keeps what it got"
    assert len(parsed) == 3
    write_atomically(path, b'{"b": 1}\n{"b": 2}\n{"b": 3}\n{"b": 4}\n')
    assert lines.read() == [{"b": n} for n in (1, 2, 3, 4)], "another file of that name"
    path.write_text("")
    assert lines.read() == []


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "link/x", "a/../../x"])
def test_a_file_that_a_cluster_names_lies_in_the_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)
    with pytest.raises(RayganError, match="outside the run's folder"):
        inside(folder, name)
    assert inside(folder, "report/index.html") == folder / "report/index.html"


def test_names_in_a_folder_are_on_disk_when_it_is_synced_and_no_handle_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        synced.append(Path(f"/proc/self/fd/{handle}").readlink())
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    before = len(list(Path("/proc/self/fd").iterdir()))
    sync_folder(tmp_path)
    assert synced == [tmp_path]
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_several_that_write_one_file_at_once_leave_one_of_theirs_whole(tmp_path: Path) -> None:
    """Two looks at one run: each keeps what it has found."""
    failed: list[OSError] = []

    def often(letter: bytes) -> None:
        for _ in range(100):
            try:
                write_within(tmp_path, "best.json", letter * 20_000)
            except OSError as error:
                failed.append(error)

    threads = [threading.Thread(target=often, args=(letter,)) for letter in (b"a", b"b", b"c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert (tmp_path / "best.json").read_bytes() in {
        letter * 20_000 for letter in (b"a", b"b", b"c")
    }
    assert [p.name for p in tmp_path.iterdir()] == ["best.json"], "nothing half-written"


def test_what_a_killed_writer_left_goes_once_it_is_old(tmp_path: Path) -> None:
    left = tmp_path / "best.json.tmp"
    left.write_bytes(b"half")
    write_within(tmp_path, "best.json", b"whole")
    assert left.exists(), "its writer may be at it"
    old = left.stat().st_mtime - STALE_S - 1
    os.utime(left, (old, old))
    write_within(tmp_path, "best.json", b"again")
    assert [p.name for p in tmp_path.iterdir()] == ["best.json"]


def test_an_export_is_told_from_a_run(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/config.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"is an export, and no run folder. `raygan serve` and"):
        find_run(tmp_path / "model")
