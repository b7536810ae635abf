"""A run that fails before its first step: the folder says so, and nothing stays open."""

import json
import signal
import subprocess
from pathlib import Path
from typing import Any, ClassVar

import pytest

from raygan.config import resolve
from raygan.controller import jsonl
from raygan.controller.checkpoint_index import open_journal
from raygan.controller.listener import Listener, Running, as_listener
from raygan.controller.orders import Done
from raygan.controller.storage import LocalStorage
from raygan.errors import ConfigError, RayganError, StaleEpochError
from raygan.service import driving, measuring
from raygan.service.resuming import resume_run
from raygan.service.runs import summary
from raygan.service.runs.alive import process_start, running
from raygan.service.runs.run import Run
from raygan.service.training import train
from raygan.service.views.follow import FolderFeed, stop
from tests.conftest import TINY


class Heard(Listener):
    """Says whether it was closed."""

    closed = 0

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize(
    ("what", "error", "raised", "status"),
    [
        ("listeners_of", ConfigError("no such listener"), ConfigError, "failed"),
        ("Keeper", ValueError("a name is taken"), ValueError, "failed"),
        ("Controller", OSError(28, "No space left on device"), RayganError, "stopped"),
        ("mirror_of", KeyboardInterrupt(), KeyboardInterrupt, "failed"),
    ],
)
def test_what_fails_in_making_who_listens_is_told_in_the_folder(
    what: str,
    error: BaseException,
    raised: type[BaseException],
    status: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*args: Any, **options: Any) -> Any:
        raise error

    heard = Heard()
    kept = getattr(driving, what)
    monkeypatch.setattr(driving, what, fails)
    with pytest.raises(raised):
        train(resolve(flags=TINY), run_dir=tmp_path, name="mine", inline=True, listeners=[heard])
    monkeypatch.setattr(driving, what, kept)
    info = json.loads((tmp_path / "mine/run.json").read_text())
    assert (info["status"], heard.closed) == (status, 1)
    assert info["exit_code"]
    assert "ended" in info
    assert (
        train(resolve(flags=TINY), run_dir=tmp_path, name="mine", inline=True, resume="auto").info[
            "status"
        ]
        == "done"
    ), "it begins again"


class Breaks(Listener):
    """Fails at one of its methods, each time."""

    def __init__(self, at: str, error: BaseException) -> None:
        self.at, self.error = at, error

    def _at(self, what: str) -> None:
        if what == self.at:
            raise self.error

    def tick(self, run: Running) -> None:
        self._at("tick")

    def __call__(self, run: Running, done: Done) -> None:
        self._at("call")

    def trained(self) -> None:
        self._at("trained")

    def close(self) -> None:
        self._at("close")


def begun(tmp_path: Path, *listeners: Listener, **options: Any) -> Run:
    return train(
        resolve(flags=TINY), run_dir=tmp_path, name="mine", inline=True, listeners=listeners,
        **options,
    )  # fmt: skip


@pytest.mark.parametrize("at", ["tick", "call"])
@pytest.mark.parametrize("error", [OSError(116, "stale"), ConfigError("no"), KeyError()])
def test_who_looks_on_never_ends_a_run_and_is_told_once(
    at: str, error: Exception, tmp_path: Path
) -> None:
    after = Heard()
    run = begun(tmp_path, Breaks(at, error), after)
    assert (run.info["status"], after.closed) == ("done", 1)
    told = [e["text"] for e in run.events if str(e.get("name")).startswith("W210")]
    assert [text.partition(":")[0] for text in told] == ["Breaks"]
    assert type(error).__name__ in told[0]


def test_a_log_that_cannot_be_read_for_a_moment_ends_no_run_and_the_index_is_whole_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summary, "PERIOD_S", 0.0)
    opened, failed = jsonl.open_plain, list[Path]()

    def once(path: Path) -> int:
        if path.name == "events.jsonl" and path.exists() and not failed:
            failed.append(path)
            raise OSError(116, "Stale file handle")
        return opened(path)

    monkeypatch.setattr(jsonl, "open_plain", once)
    run = begun(tmp_path)
    assert failed
    assert run.info["status"] == "done"
    assert run.info["warnings"]["W210 listener-raised"] == 1
    index = json.loads((run.path / "summary.json").read_text())
    assert index["counts"]["checkpoint"] == sum(e["kind"] == "checkpoint" for e in run.events)


def test_one_that_raises_in_its_end_keeps_it_from_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    heard = [Heard(), Heard()]
    run = begun(tmp_path, heard[0], Breaks("close", OSError(5, "Input/output error")), heard[1])
    assert run.info["status"] == "done"
    assert [h.closed for h in heard] == [1, 1]
    assert "W210 listener-raised: Breaks, as it closed: OSError" in caplog.text


def test_ctrl_c_in_somebodys_end_ends_all_the_same_what_is_behind_it(tmp_path: Path) -> None:
    after = Heard()
    with pytest.raises(KeyboardInterrupt):
        begun(tmp_path, Breaks("close", KeyboardInterrupt()), after)
    assert after.closed == 1


def test_after_a_takeover_all_are_closed_and_nothing_of_the_other_ones_is_touched(
    tmp_path: Path,
) -> None:
    path, after, there = tmp_path / "mine", Heard(), dict[Path, bytes]()

    class Takes(Listener):
        def __call__(self, run: Running, done: Done) -> None:
            if not there:
                run.log.folder.telemetry.append("metrics.jsonl", b"{}")
                open_journal(LocalStorage(path))
                there.update({p: p.read_bytes() for p in path.rglob("*") if p.is_file()})

    with pytest.raises(StaleEpochError):
        begun(tmp_path, Takes(), after)
    assert after.closed == 1
    for file, raw in there.items():
        assert file.read_bytes() == raw, file
    assert path / ".room" in there, "the other one's last words"


# --------------------------------------------------------------------------------------------------
# what is measured when it has ended


@pytest.mark.parametrize("what", ["protocols", "parquet"])
def test_a_run_that_is_killed_while_it_is_measured_is_measured_when_it_is_resumed(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def dies(*args: Any, **options: Any) -> Any:
        raise Killed

    name = {"protocols": "tell_protocols", "parquet": "parquet"}[what]
    kept, heard = getattr(measuring, name), Heard()
    monkeypatch.setattr(measuring, name, dies)
    with pytest.raises(Killed):
        begun(tmp_path, heard)
    assert heard.closed == 1, "also of what is no error"
    run = Run.load(tmp_path / "mine")
    trained = len(run.training)
    assert (run.info["status"], run.info["measured"]) == ("done", False)
    assert not (run.path / "metrics.parquet").exists()
    monkeypatch.setattr(measuring, name, kept)
    again = resume_run(run.path)
    assert (again.info["status"], again.info["measured"]) == ("done", True)
    assert again.info["protocols"]
    assert (run.path / "metrics.parquet").exists()
    assert len(again.training) == trained, "nothing was left to train"
    before = (run.path / "run.json").read_bytes()
    resume_run(run.path)
    assert (run.path / "run.json").read_bytes() == before, "done already"


class Reads(Listener):
    """What run.json says when all is trained, and when it closes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seen = list[dict[str, Any]]()

    def trained(self) -> None:
        self.seen.append(json.loads((self.path / "run.json").read_text()))

    def close(self) -> None:
        self.trained()


@pytest.mark.parametrize("fails", [False, True])
def test_who_closes_finds_all_that_run_json_will_ever_say(
    fails: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tracker passes it on, the bucket keeps it."""

    def broken(*args: Any) -> Any:
        raise RuntimeError("no suite")

    if fails:
        monkeypatch.setattr(measuring, "Evaluator", broken)
    heard = Reads(tmp_path / "mine")
    begun(tmp_path, Breaks("trained", OSError(5, "Input/output error")), heard)
    trained, closed = heard.seen
    assert (trained["status"], trained["measured"]) == ("done", False), "safe before it is measured"
    assert (closed["status"], closed["measured"]) == ("degraded" if fails else "done", True)
    assert ("protocols" in closed) is not fails
    assert (heard.path / "metrics.parquet").exists()
    assert json.loads((heard.path / "run.json").read_text()) == closed


def test_a_function_that_listens_hears_that_all_is_trained(tmp_path: Path) -> None:
    class Own:
        heard: ClassVar[list[str]] = []

        def __call__(self, run: Running, done: Done) -> None: ...

        def trained(self) -> None:
            self.heard.append("trained")

        def close(self) -> None:
            self.heard.append("close")

    begun(tmp_path, as_listener(Own()))
    assert Own.heard == ["trained", "close"]


def test_a_terminal_that_is_closed_while_it_is_measured_keeps_the_end_from_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sends SIGHUP twice."""
    monkeypatch.setattr(measuring, "parquet", lambda path: signal.raise_signal(signal.SIGHUP))

    class Slow(Heard):
        def close(self) -> None:
            signal.raise_signal(signal.SIGHUP)
            super().close()

    heard = Slow()
    with pytest.raises(SystemExit) as ended:
        begun(tmp_path, heard)
    assert (ended.value.code, heard.closed) == (129, 1)


def test_a_run_that_is_being_measured_is_its_drivers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one would take it over, and the first would fail in its last seconds."""
    run = begun(tmp_path)
    facts = json.loads((run.path / "run.json").read_text())
    with subprocess.Popen(["sleep", "60"]) as other:
        try:
            theirs = {"pid": other.pid, "process_start": process_start(other.pid)}
            (run.path / "run.json").write_text(json.dumps(facts | theirs | {"measured": False}))
            with pytest.raises(ConfigError, match=f"is running \\(pid {other.pid}\\)"):
                resume_run(run.path, inline=True)
            assert running(Run.load(run.path).info)
            with pytest.raises(ConfigError, match="is done, not running"):
                stop(FolderFeed(run.path))
        finally:
            other.kill()
    assert not running(Run.load(run.path).info)
    assert resume_run(run.path, inline=True).info["measured"]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_it_is_measured_lets_all_hear_the_end(
    signum: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "parquet", lambda path: signal.raise_signal(signum))
    heard, before = Heard(), signal.getsignal(signum)
    with pytest.raises((SystemExit, KeyboardInterrupt)) as ended:
        begun(tmp_path, heard)
    assert getattr(ended.value, "code", 143) == 143
    info = json.loads((tmp_path / "mine/run.json").read_text())
    assert (info["status"], info["measured"], heard.closed) == ("done", False, 1)
    assert signal.getsignal(signum) is before
