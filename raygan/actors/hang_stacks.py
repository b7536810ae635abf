"""Where a process that hangs is: each of our actors can be made to tell, also while it waits for a
lock, is in a long C call, or was stopped, since faulthandler writes from the signal's handler,
without Python.

    actor: listen()    a nameless file in memory, and SIGUSR2 writes all threads' frames to it
    driver: envoy(place) --an actor on that node--> stack(pid): signal, then read /proc/PID/fd/N
                       --> stack_there

Its process takes seconds to start where the node is busy, so it is sent before the lease is over.
It does not look before: a process that was stopped goes on for that moment, and would seem to get
on.

py-spy would need the right to trace, which containers and Yama refuse. Where there is no stack the
text says why.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

NAME = "raygan-stack"
WITHIN_S = 2.0
"""For the process to write."""
THERE_S = 5.0
"""For another node to answer once the lease is over; the envoy was sent at half of it (`Pulse`)."""


def listen() -> None:
    """From now on SIGUSR2 tells where this process is."""
    # Linux, as all of Ray's clusters. A memfd has no name that could be taken or left over, and
    # faulthandler writes to it from within the signal, also in a long C call and on a lock
    if hasattr(os, "memfd_create"):
        faulthandler.register(signal.SIGUSR2, file=os.memfd_create(NAME), all_threads=True)


def stack(pid: int, within_s: float = WITHIN_S) -> str:
    """Frames of all threads of a process of this machine, or one line that says why there are none;
    with its state before.
    """
    try:
        state, waits = _state(pid), _read(f"/proc/{pid}/wchan")
        file = _file(pid)
    except OSError as error:
        return f"no stack: process {pid} cannot be looked at ({error.strerror})"
    head = f"process {pid}, state {state}" + (f", in {waits}" if waits.strip("0") else "")
    if file is None:
        return f"no stack: {head}; it has not begun to listen"
    before = file.stat().st_size
    try:
        text = _asked(pid, file, before, stopped=state[0] in "Tt", within_s=within_s)
    except OSError as error:
        return f"no stack: {head}; {error.strerror}"
    return f"{head}\n{text}" if text else f"no stack: {head}; nothing written within {within_s:g} s"


def _asked(pid: int, file: Path, before: int, stopped: bool, within_s: float) -> str:
    """What it writes; one that was stopped goes on for that moment, and is stopped again."""
    os.kill(pid, signal.SIGUSR2)
    # a stopped process handles no signal: it goes on for just that moment
    os.kill(pid, signal.SIGCONT)
    deadline, size = time.monotonic() + within_s, before
    while time.monotonic() < deadline:
        time.sleep(0.02)
        now = file.stat().st_size
        # no more comes
        if now == size > before:
            break
        size = now
    if stopped:
        os.kill(pid, signal.SIGSTOP)
        while _state(pid)[0] not in "TtZX" and time.monotonic() < deadline:
            time.sleep(0.01)
    with file.open("rb") as written:
        written.seek(before)
        return written.read().decode(errors="replace")


def _state(pid: int) -> str:
    """`S (sleeping)`, `T (stopped)`, ...: the kernel's word."""
    found = re.search(r"^State:\s*(.+)$", _read(f"/proc/{pid}/status"), re.MULTILINE)
    return found[1] if found else "?"


def _file(pid: int) -> Path | None:
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        # a handle that was closed meanwhile
        with contextlib.suppress(OSError):
            if NAME in str(handle.readlink()):
                return handle
    return None


def _read(path: str) -> str:
    return Path(path).read_text().strip()


class Envoy:
    """A process on another node that looks at those beside it; gone with its handle."""

    def stack(self, pid: int) -> str:
        """The stack of a process of the machine that the envoy runs on."""
        return stack(pid)


def envoy(place: tuple[str, int]) -> Any:
    """Sent to where the process lives (node, process); None where that is this node."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    if place[0] == ray.get_runtime_context().get_node_id():
        return None
    there = NodeAffinitySchedulingStrategy(place[0], soft=False)
    actor: Any = ray.remote(Envoy)
    return actor.options(num_cpus=0, max_restarts=0, scheduling_strategy=there).remote()


def stack_there(place: tuple[str, int] | None, sent: Any = None) -> str:
    """The stack of a process on any node of the cluster; None where nobody knows its place. sent:
    an envoy, earlier.
    """
    import ray
    from ray.exceptions import RayError

    if place is None:
        return "no stack: nobody knows yet where it lives"
    try:
        sent = sent or envoy(place)
        return (
            stack(place[1])
            if sent is None
            else str(ray.get(sent.stack.remote(place[1]), timeout=THERE_S))
        )
    except RayError as error:
        return f"no stack: node {place[0][:12]} does not answer ({type(error).__name__})"
