"""Where a process that hangs is: each of our actors can be made to tell, also while it waits for a lock, is in a long C call, or
was stopped, since faulthandler writes from the signal's handler, without Python.

    actor: listen()                                         a nameless file in memory, and SIGUSR2 writes all threads' frames to it
    driver: stack_there(place) --Ray task on that node--> stack(pid): signal, then read /proc/PID/fd/N

py-spy would need the right to trace, which containers and Yama refuse. Where there is no stack the text says why.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import re
import signal
import time
from pathlib import Path

NAME = "raygan-stack"
WITHIN_S = 2.0
"""For the process to write."""
THERE_S = 5.0
"""For the other node to answer, the start of a process there included."""


def listen() -> None:
    """From now on SIGUSR2 tells where this process is."""
    if hasattr(os, "memfd_create"):  # Linux, as all of Ray's clusters
        faulthandler.register(signal.SIGUSR2, file=os.memfd_create(NAME), all_threads=True)


def stack(pid: int, within_s: float = WITHIN_S) -> str:
    """Frames of all threads of a process of this machine, or one line that says why there are none; with its state before."""
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
    os.kill(pid, signal.SIGCONT)
    deadline, size = time.monotonic() + within_s, before
    while time.monotonic() < deadline:
        time.sleep(0.02)
        now = file.stat().st_size
        if now == size > before:  # no more comes
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
        with contextlib.suppress(OSError):  # closed meanwhile
            if NAME in str(handle.readlink()):
                return handle
    return None


def _read(path: str) -> str:
    return Path(path).read_text().strip()


def stack_there(place: tuple[str, int] | None) -> str:
    """The same of a process on any node of the cluster; (node, process), None where nobody knows."""
    import ray
    from ray.exceptions import RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    if place is None:
        return "no stack: nobody knows yet where it lives"
    node, pid = place
    if node == ray.get_runtime_context().get_node_id():
        return stack(pid)
    there = NodeAffinitySchedulingStrategy(node, soft=False)
    try:
        asked = ray.remote(stack).options(num_cpus=0, max_retries=0, scheduling_strategy=there).remote(pid)
        return str(ray.get(asked, timeout=THERE_S))
    except RayError as error:
        return f"no stack: node {node[:12]} does not answer ({type(error).__name__})"
