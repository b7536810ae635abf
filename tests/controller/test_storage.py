"""What is durable when an operation returns, by the system calls that it makes; no link is
followed, nothing half-written stays.
"""

import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from raygan.controller import storage as module
from raygan.controller.storage import LocalStorage


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths that were fsynced, with the size that each had then."""
    out: list[str] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        real(handle)
        path = str(Path(f"/proc/self/fd/{handle}").readlink())
        out.append(path if Path(path).is_dir() else f"{path}:{os.fstat(handle).st_size}")

    monkeypatch.setattr(module.os, "fsync", fsync)
    return out


def test_content_is_on_disk_when_write_and_append_return(tmp_path: Path, synced: list[str]) -> None:
    disk = LocalStorage(tmp_path)
    disk.write("a", b"12345")
    assert synced == [f"{tmp_path}/a:5"]
    disk.append("a", b"678")
    assert synced[1:] == [f"{tmp_path}/a:8"]
    disk.write("a", b"9")
    assert disk.read("a") == b"9"
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600


def test_a_created_name_is_on_disk_with_the_folders_above_it(
    tmp_path: Path, synced: list[str]
) -> None:
    disk = LocalStorage(tmp_path)
    disk.create("journal/1")
    assert synced == [f"{tmp_path}/journal", str(tmp_path)]
    assert stat.S_IMODE((tmp_path / "journal/1").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "journal").stat().st_mode) == 0o700
    with pytest.raises(FileExistsError):
        disk.create("journal/1")
    disk.create("new/folders/2")
    assert synced[2:] == [f"{tmp_path}/new/folders", f"{tmp_path}/new"]


def test_names_are_on_disk_when_sync_returns_and_no_handle_is_left(
    tmp_path: Path, synced: list[str]
) -> None:
    disk = LocalStorage(tmp_path)
    before = len(list(Path("/proc/self/fd").iterdir()))
    disk.make_folder("a/b")
    disk.make_folder("a/b")
    disk.sync("a")
    assert synced == [f"{tmp_path}/a"]
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert stat.S_IMODE((tmp_path / "a/b").stat().st_mode) == 0o700


@pytest.mark.parametrize("fault", ["short", "fsync"])
def test_an_append_that_fails_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    disk = LocalStorage(tmp_path)
    disk.write("a", b"one\n")

    def fails(handle: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    class Short:
        """A file that takes three bytes a write."""

        def __init__(self, file: Any) -> None:
            self.file = file

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *args: object) -> None:
            self.file.close()

        def write(self, raw: bytes) -> int:
            return int(self.file.write(raw[:3]))

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

    if fault == "fsync":
        monkeypatch.setattr(module.os, "fsync", fails)
    else:
        real = Path.open
        monkeypatch.setattr(Path, "open", lambda self, *a, **kw: Short(real(self, *a, **kw)))
    with pytest.raises(OSError) as raised:
        disk.append("a", b"two\n")
    monkeypatch.undo()
    assert raised.value.errno == (errno.EIO if fault == "fsync" else errno.ENOSPC)
    assert raised.value.filename == str(tmp_path / "a")
    assert disk.read("a") == b"one\n"
    with pytest.raises(FileNotFoundError):
        disk.append("b", b"never made by an append")


def test_a_tail_is_the_end_of_a_file_or_all_of_it(tmp_path: Path) -> None:
    disk = LocalStorage(tmp_path)
    disk.write("a", b"0123456789")
    assert [disk.tail("a", size) for size in (1, 3, 10, 11)] == [
        b"9",
        b"789",
        b"0123456789",
        b"0123456789",
    ]
    disk.write("a", b"")
    assert disk.tail("a", 5) == b""


def test_no_link_is_read_listed_or_gone_through(tmp_path: Path) -> None:
    disk, away = LocalStorage(tmp_path / "run"), tmp_path / "away"
    disk.make_folder(".")
    away.mkdir()
    (away / "a").write_bytes(b"theirs")
    (tmp_path / "run/link").symlink_to(away)
    (tmp_path / "run/file").symlink_to(away / "a")
    (tmp_path / "run/broken").symlink_to(tmp_path / "nowhere")
    for name in ("link/a", "file"):
        for look in (disk.read, lambda n: disk.tail(n, 9)):
            with pytest.raises(OSError, match="is a link") as raised:
                look(name)
            assert raised.value.errno == errno.ELOOP
    assert disk.list(".") == []
    assert disk.list("nothing") == []
    assert all(disk.exists(n) for n in ("link", "file", "broken")), "a link takes its name"
    assert not disk.exists("other")
    for name in ("link", "file", "broken", "other"):
        disk.remove(name)
    assert (away / "a").read_bytes() == b"theirs", "the link goes, not what it leads to"
    assert not any(disk.exists(n) for n in ("link", "file", "broken"))


def test_what_is_removed_or_renamed_is_that_name_only(tmp_path: Path) -> None:
    disk = LocalStorage(tmp_path)
    for name in ("b", "a", "c"):
        disk.make_folder(f"{name}/deep")
        disk.write(f"{name}/deep/file", b"x")
    assert disk.list(".") == ["a", "b", "c"]
    disk.remove("b")
    assert disk.list(".") == ["a", "c"]
    disk.rename("c", "d")
    assert disk.list(".") == ["a", "d"]
    with pytest.raises(OSError, match="not empty"):
        disk.rename("d", "a")
