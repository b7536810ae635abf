"""Something is seen from the first second on, at least every five, and it leaves no trace."""

import itertools
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from raygan.cli.progress import Shown, progress_shown
from raygan.visible import say
from raygan.watching import command_seconds, counted, tell


class Terminal:
    """A stream that says it is a terminal."""

    def __init__(self, terminal: bool = True) -> None:
        self.terminal, self.text = terminal, ""

    def isatty(self) -> bool:
        return self.terminal

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        pass


def test_a_terminal_sees_it_at_once_and_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    err = Terminal()
    monkeypatch.setattr(sys, "stderr", err)
    with progress_shown(silent=False):
        tell("starting Ray")
        assert "starting Ray (0 s)" in err.text
        tell("")
        assert err.text.endswith("\r\x1b[K")
        assert list(counted("scoring", ["a", "b"])) == ["a", "b"]
        assert "scoring [----" in err.text
        assert err.text.endswith("\r\x1b[K")


def test_what_is_printed_never_stands_behind_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    err = Terminal()
    monkeypatch.setattr(sys, "stderr", err)
    with progress_shown(silent=False):
        tell("reading")
        say("the result")
        assert err.text.endswith("\r\x1b[K")
    assert capsys.readouterr().out == "the result\n"


@pytest.mark.parametrize("silent", [True, False])
def test_a_log_is_not_filled(silent: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    err = Terminal(terminal=False)
    monkeypatch.setattr(sys, "stderr", err)
    with progress_shown(silent=silent):
        for done in range(1000):
            tell("scoring", done, 1000)
    assert err.text == ""


def test_a_log_is_told_after_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    err = Terminal(terminal=False)
    monkeypatch.setattr(sys, "stderr", err)
    monkeypatch.setattr("raygan.cli.progress.EVERY_S", 0.0)
    shown = Shown()
    shown("starting Ray", 0, 0)
    shown.close()
    assert err.text.startswith("raygan: starting Ray (0 s)\n")


def test_a_terminal_that_is_gone_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = list[str]()

    class Gone(Terminal):
        def write(self, text: str) -> int:
            tried.append(text)
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(sys, "stderr", Gone())
    with progress_shown(silent=False):
        tell("reading")
        tell("")
    assert tried


def test_time_counts_from_the_command() -> None:
    assert command_seconds() is None
    with progress_shown(silent=True):
        assert 0 <= (command_seconds() or -1) < 60
    assert command_seconds() is None


@pytest.mark.timed
def test_no_silence_on_a_terminal(tmp_path: Path) -> None:
    """First output within a second of Python's own start, then never five seconds without any."""
    main, other = pty.openpty()
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "raygan.cli", "train", "--inline", "--steps", "20",
         "--num-pairs", "2"],
        cwd=tmp_path, stdin=other, stdout=other, stderr=other, close_fds=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "TERM": "xterm"},
    )  # fmt: skip
    os.close(other)
    times, text = list[float](), b""
    while select.select([main], [], [], 120)[0]:
        try:
            part = os.read(main, 65536)
        except OSError:  # the last one to hold its other end is gone
            break
        times.append(time.monotonic() - began)
        text += part
    os.close(main)
    assert process.wait(60) == 0, text[-2000:]
    assert times[0] < 1.0 + PYTHON_S, times[:3]
    assert max(b - a for a, b in itertools.pairwise(times)) < 5.0
    assert b"from the command to here" in text


def _python_seconds() -> float:
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.monotonic() - began


PYTHON_S = _python_seconds()
"""What an empty script takes on this machine, now."""
