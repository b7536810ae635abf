"""A user without a home; files that are whole or not there."""

import errno
import pwd
from collections.abc import Callable
from pathlib import Path

import pytest

from raygan.cli import main
from raygan.data import search
from raygan.errors import ConfigError
from raygan.paths import expanded, home, whole


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """No HOME, and no entry in passwd."""

    def missing(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", missing)


def test_there_may_be_no_home(nobody: None) -> None:
    assert home() is None
    assert expanded("runs") == Path("runs")
    with pytest.raises(ConfigError, match=r"'~/runs': no home \(uid .* Write the whole path"):
        expanded("~/runs")


def test_somebody_who_is_not_there_has_none() -> None:
    with pytest.raises(ConfigError, match="no such user"):
        expanded("~nobody-of-this-name/x")


def test_data_is_looked_for_elsewhere_then(nobody: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYGAN_DATA", "/given")
    places = search.roots()
    assert places[0] == Path("/given")
    assert Path("/usr/share/datasets") in places
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert Path("/cache/raygan") in search.roots()


ADDRESSES = ["s4://bucket/runs", "gcs://b/r", "abfss://c@a/r", "hdfs://n:1/r", "http:/b"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_that_is_no_files_is_one_line_for_every_verb(
    address: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before, `--run-dir` made a folder of its name, and `runs` found none in it."""
    monkeypatch.chdir(tmp_path)
    for words in (
        ["train", "--inline", "--steps", "2", "--run-dir", address],
        ["runs", "--run-dir", address],
        *([verb, f"{address}/x"] for verb in ("status", "report", "resume", "sample", "evaluate")),
    ):
        with pytest.raises(SystemExit) as end:
            main(words)
        assert end.value.code == 2, words
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert address.partition(":")[0] + "://" in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("slashes", ["file:///", "file:/", "FILE:///"])
def test_a_files_address_is_its_path(slashes: str, tmp_path: Path) -> None:
    assert expanded(f"{slashes}{str(tmp_path).lstrip('/')}/runs") == tmp_path / "runs"
    assert expanded("C:/runs") == Path("C:/runs")


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_not_whole_is_not_there(kind: str, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def fill(error: Callable[[Path], OSError] | None = None) -> None:
        with whole(out) as hidden:
            if kind == "folder":
                hidden.mkdir()
            (hidden / "a" if kind == "folder" else hidden).write_text("some")
            if error:
                raise error(hidden)

    for number, name, told in ((errno.ENOSPC, None, "out"), (errno.EIO, "other", "other")):
        with pytest.raises(OSError, match="a disk") as found:
            fill(
                lambda hidden, number=number, name=name: OSError(
                    number, "a disk", name or str(hidden)
                )
            )
        assert Path(found.value.filename).name == told
        assert list(tmp_path.iterdir()) == []
    fill()
    assert list(tmp_path.iterdir()) == [out]
