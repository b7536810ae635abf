"""A run goes on when nobody can be told any more."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from raygan.cli.streams import Lasting, lasting

CHILD = """
import sys
from raygan.cli.streams import lasting
with lasting():
    for i in range(20000):
        print("progress", i, flush=True)
    print("and", file=sys.stderr)
    open(sys.argv[1], "w").write("done")
"""


@pytest.mark.parametrize(("end", "to"), [("pipe", ""), ("full", ">/dev/full"), ("closed", ">&-")])
def test_work_goes_on_when_stdout_ends(tmp_path: Path, end: str, to: str) -> None:
    command = [
        "sh",
        "-c",
        f'exec "$@" {to}',
        "sh",
        sys.executable,
        "-c",
        CHILD,
        str(tmp_path / "out"),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        if end == "pipe":
            child.stdout.readline()
        child.stdout.close()
        assert child.stderr.read() == b"and\n", "no complaint of Python's at the end"
    assert child.returncode == 0
    assert (tmp_path / "out").read_text() == "done"


def test_letters_that_the_terminal_does_not_know_are_replaced() -> None:
    raw = io.BytesIO()
    stream = Lasting(io.TextIOWrapper(raw, "ascii"))
    stream.write("caf\u00e9")
    stream.flush()
    assert raw.getvalue() == b"caf?"


def test_what_was_there_before_comes_back() -> None:
    before = sys.stdout, sys.stderr
    with lasting():
        assert sys.stdout is not before[0]
    assert (sys.stdout, sys.stderr) == before


def test_a_stream_that_was_closed_before_takes_everything() -> None:
    stream = Lasting(None)
    assert stream.write("x") == 1
    stream.flush()
    assert not stream.isatty()
    with pytest.raises(OSError, match="closed"):
        os.fstat(stream.fileno())
