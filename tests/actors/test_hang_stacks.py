"""A process that hangs tells where it is: waiting for a lock, in a long C call, stopped; or it is
told why it cannot.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from raygan.actors.hang_stacks import stack
from raygan.controller.hang_stacks import last_frames

HEAD = "import sys, threading, time; from raygan.actors.hang_stacks import listen\n"
LOCK = """
def stuck():
    lock = threading.Lock()
    lock.acquire()
    print("there", flush=True)
    lock.acquire()
thread = threading.Thread(target=stuck)
thread.start()
thread.join()
"""
C_CALL = """
def long_sum():
    print("there", flush=True)
    sum(range(10 ** 11))
long_sum()
"""


@contextmanager
def process(code: str, listens: bool = True) -> Iterator[int]:
    """One that has printed that it is there; ended at last."""
    begin = HEAD + ("listen()\n" if listens else "")
    child = subprocess.Popen([sys.executable, "-c", begin + code], stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"there\n"
        time.sleep(0.05)  # from the print to the place where it hangs
        yield child.pid
    finally:
        child.kill()
        child.communicate()


def status(pid: int) -> str:
    return Path(f"/proc/{pid}/status").read_text()


@pytest.mark.parametrize(("code", "name"), [(LOCK, "stuck"), (C_CALL, "long_sum")])
@pytest.mark.parametrize("stopped", [False, True])
def test_it_names_the_place(code: str, name: str, stopped: bool) -> None:
    with process(code) as pid:
        if stopped:
            os.kill(pid, signal.SIGSTOP)
            while "State:\tT" not in status(pid):
                time.sleep(0.01)
        began = time.monotonic()
        first, again = stack(pid), stack(pid)
        assert time.monotonic() - began < 4
        for text in (first, again):
            assert f" in {name}" in text
            assert f"state {'T' if stopped else ''}" in text
        assert again.count("most recent call first") == first.count("most recent call first"), (
            "not those of before"
        )
        assert any(name in frame for frame in last_frames(text))
        if stopped:
            assert "State:\tT" in status(pid), "it was stopped, and is"


def test_it_says_why_there_is_none() -> None:
    with process('print("there", flush=True); time.sleep(99)', listens=False) as pid:
        assert "it has not begun to listen" in stack(pid)
        os.kill(pid, 0)  # and it was left alone
    assert stack(pid).startswith(f"no stack: process {pid} cannot be looked at (No such")
    deaf = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])\n"
    with process(deaf + 'print("there", flush=True); time.sleep(99)') as pid:
        assert stack(pid, within_s=0.2).endswith("nothing written within 0.2 s")
