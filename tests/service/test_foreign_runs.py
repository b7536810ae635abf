"""Run folders that others made, that are damaged, or may only be read: each verb works or says one
line; nothing else changes.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import raygan
from raygan.cli import main
from raygan.controller.files import open_within, write_within
from raygan.errors import ConfigError
from raygan.service.resuming import resume_run
from raygan.service.runs.run import Run
from raygan.service.views.follow import FolderFeed
from raygan.service.views.report import write_report
from tests.conftest import TINY


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = {**TINY, "strategy": "independent"}
    return raygan.train(
        None, run_dir=tmp_path_factory.mktemp("runs"), name="made", inline=True, **settings
    ).path


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "run"))


def verb(argv: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    try:
        with pytest.raises(SystemExit) as stop:
            main(argv)
    finally:
        out, err = capsys.readouterr()
    return int(stop.value.code or 0), out, err


# --------------------------------------------------------------------------------------------------
# links


LINKED = ["run.json", "config.json", "metrics.jsonl", "events.jsonl", "samples", "journal",
          "checkpoints", "metrics.parquet",
          "summary.json", "samples/00000012-pair-00.npy"]  # fmt: skip


@pytest.mark.parametrize("name", LINKED)
def test_a_run_with_links_in_it_is_not_gone_on_with(run: Path, tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    (run / name).rename(victim)
    (run / name).symlink_to(victim)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(ConfigError, match=f"{name} is a link.*cp -rL"):
        resume_run(run, extra_steps=2, inline=True)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("name", ["report", "report/index.html", "report/index.html.tmp"])
def test_a_report_is_not_written_through_a_link(run: Path, tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    shutil.rmtree(run / "report", ignore_errors=True)
    if name == "report":
        victim.mkdir()
        (victim / "index.html").write_text("mine")
    else:
        (run / "report").mkdir()
        victim.write_text("mine")
    (run / name).symlink_to(victim)
    if name.endswith("tmp"):  # the link itself has to make room
        write_report(Run.load(run))
        assert not (run / name).is_symlink()
    else:
        with pytest.raises(ConfigError, match=r"is a link.* -o FILE"):
            write_report(Run.load(run))
    assert (victim / "index.html" if name == "report" else victim).read_text() == "mine"


def link(path: Path, victim: Path) -> None:
    path.symlink_to(victim)


def hard_link(path: Path, victim: Path) -> None:
    os.link(victim, path)


def pipe(path: Path, victim: Path) -> None:
    os.mkfifo(path)


def folder(path: Path, victim: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("what", [link, hard_link, pipe, folder])
def test_only_a_plain_file_with_one_name_is_added_to(tmp_path: Path, what: object) -> None:
    victim, root = tmp_path / "victim", tmp_path / "run"
    victim.write_text("mine")
    root.mkdir()
    what(root / "metrics.jsonl", victim)  # type: ignore[operator]
    with pytest.raises(OSError, match=r"is a link|second name|not a plain file|directory"):
        os.close(open_within(root, "metrics.jsonl", os.O_RDWR | os.O_CREAT | os.O_APPEND))
    assert victim.read_text() == "mine"


@pytest.mark.parametrize("what", [link, hard_link, pipe])
def test_a_whole_file_takes_a_name_of_its_own(tmp_path: Path, what: object) -> None:
    victim, root = tmp_path / "victim", tmp_path / "run"
    victim.write_text("mine")
    root.mkdir()
    what(root / "run.json.tmp", victim)  # type: ignore[operator]
    write_within(root, "run.json", b"{}")
    assert (victim.read_text(), (root / "run.json").read_text()) == ("mine", "{}")
    what(root / "x.json", victim)  # type: ignore[operator]
    if what is link:
        with pytest.raises(OSError, match="is a link"):
            write_within(root, "x.json", b"{}")
    else:
        write_within(root, "x.json", b"{}")
    assert victim.read_text() == "mine"


# -------------------------------------------------------------------------------------------------
# read-only folders


@pytest.fixture
def read_only(run: Path) -> Iterator[Path]:
    """Root is let through by modes: for root it is mounted so."""
    if os.geteuid() == 0:
        try:
            subprocess.run(["mount", "--bind", run, run], check=True, capture_output=True)
        except subprocess.CalledProcessError:
            pytest.skip("this root may not mount")
        subprocess.run(["mount", "-o", "remount,ro,bind", run], check=True)
        yield run
        subprocess.run(["umount", "-l", run], check=True)
    else:
        for path in [run, *(p for p in run.rglob("*") if p.is_dir())]:
            path.chmod(0o500)
        yield run
        for path in [run, *(p for p in run.rglob("*") if p.is_dir())]:
            path.chmod(0o700)


def test_a_run_that_can_only_be_read_is_looked_at_by_every_verb_that_looks(
    read_only: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    r, out = str(read_only), str(tmp_path / "out")
    for argv, code, says in (
        (["status", r], 0, ""),
        (["watch", r], 0, ""),
        (["compare", r, r], 0, ""),
        (["runs", "--run-dir", str(read_only.parent)], 0, ""),
        (["sample", r, "-n", "4", "-o", out + ".npz"], 0, ""),
        (["export", r, "-o", out], 0, ""),
        (["push", r, "hf://me/it", "--dry-run"], 0, ""),
        (["evaluate", r, "--samples", "1600", "--metrics", "modes"], 0, "is not stored in the run"),
        (["evaluate", r, "--samples", "64", "--metrics", "gam2"], 0, "is not stored in the run"),
        (["report", r], 2, f"raygan report {r} -o FILE"),
        (["report", r, "-o", out + ".html"], 0, ""),
        (["resume", r, "--steps", "+2"], 2, "can only be read"),
        (["sample", r, "-n", "4", "-o", f"{r}/x.npz"], 2, "x.npz"),
    ):
        found, _, err = verb(argv, capsys)
        assert found == code, (argv, err)
        assert says in err, (argv, err)
        assert "Traceback" not in err
        assert len([line for line in err.splitlines() if ": scoring " not in line]) <= 2, err


def test_what_is_asked_of_a_run_that_can_only_be_read_is_one_line(read_only: Path) -> None:
    with pytest.raises(ConfigError, match=r"stop.json cannot be written .*--address"):
        FolderFeed(read_only).ask({"verb": "stop"})


# --------------------------------------------------------------------------------------------------
# damaged


@pytest.mark.parametrize("name", ["run.json", "config.json"])
def test_a_run_without_one_of_its_files_is_one_line_for_every_verb(
    run: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / name).write_bytes((run / name).read_bytes()[:150])
    r = str(run)
    for argv in (["status", r], ["resume", r], ["sample", r], ["report", r], ["evaluate", r],
                 ["export", r], ["watch", r],
                 ["compare", r, r] if name == "run.json" else ["stop", r],
                 ["scale", r, "--pairs", "3"]):  # fmt: skip
        code, _, err = verb(argv, capsys)
        assert (code, err.count("\n")) == (2, 1), (argv, err)
        assert f"{name} is damaged" in err or "not running" in err, (argv, err)
    code, out, _ = verb(["runs", "--run-dir", str(tmp_path)], capsys)
    assert code == 0
    assert "damaged" in out


def test_damaged_lines_and_samples_are_told_by_who_reads_them(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for log in ("metrics.jsonl", "events.jsonl"):
        lines = (run / log).read_bytes().splitlines(keepends=True)
        (run / log).write_bytes(
            b"".join([*lines[:1], b'{"kind": "score", "pla\n', b"\xff\xfe{\n", *lines[1:]])
        )
    (run / "samples/00000012-pair-00.npy").write_bytes(b"\x93NUMPY")
    (run / "samples/x-y.npy").write_bytes(b"")
    r = str(run)
    expected = {"status": 2, "report": 3, "watch": 2, "resume": 1}
    for name, notes in expected.items():
        code, out, err = verb(
            [name, r, *(["--steps", "+2", "--quiet"] if name == "resume" else [])], capsys
        )
        assert (code, "Traceback" in err) == (0, False), (name, err)
        assert sum("passed over" in line for line in err.splitlines()) >= notes, (name, err)
        if name == "status":
            assert "damaged lines, passed over: metrics.jsonl 2" in out
    assert json.loads((run / "run.json").read_text())["status"] == "done"


@pytest.mark.parametrize(
    "raw",
    [b"{", b"[]", b'{"weights": {"pair-07": 1}}', b'{"weights": {"pair-00": "x", "pair-01": 1}}'],
)
def test_damaged_shares_are_one_line(run: Path, raw: bytes) -> None:
    (run / "mixture.json").write_bytes(raw)
    with pytest.raises(ConfigError, match=r"mixture.json is"):
        Run.load(run).generator("fitted")


def test_samples_with_a_foreign_name_or_content_do_not_stop_a_report(run: Path) -> None:
    from raygan.service.views.stored import stored_samples

    np.save(run / "samples/00000099-pair-00.npy", np.array([{}], dtype=object), allow_pickle=True)
    os.mkfifo(run / "samples/00000098-pair-00.npy")
    assert set(stored_samples(Run.load(run))["pair-00"]) == {6, 12}, "the last that can be read"
