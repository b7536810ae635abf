"""The stacks of a process that hung (actors/hang_stacks.py takes them):
in short for the event, whole in `logs/`.
"""

from __future__ import annotations

import re
from typing import Any

from raygan.controller.run_folder import RunFolder
from raygan.errors import PlayerDied

SHOWN = 6
"""Frames in the event; the file has all."""
LISTENER = "raygan/actors/process.py"
"""A thread that waits there does no work."""


def last_frames(text: str) -> list[str]:
    """Of the thread that works: the one with most frames of ours; innermost first. Else the line
    that says why there are none.

    >>> frame = '  File "/x/raygan/gan/steps.py", line 3 in step'
    >>> last_frames(f"Thread 0x1 (most recent call first):\\n{frame}\\n")
    ['steps.py:3 in step']
    """
    threads = re.split(r"^(?:Current thread|Thread) .*$", text, flags=re.MULTILINE)[1:]
    if not threads:
        return [text.strip()]
    busiest = max(threads, key=lambda t: (LISTENER not in t, t.count("/raygan/"), t.count("File ")))
    frames = re.findall(r'File "(?:.*/)?(.+?)", line (\d+) in (\S+)', busiest)
    if not frames:
        return ["no thread of it was in Python"]
    return [f"{file}:{line} in {name}" for file, line, name in frames[:SHOWN]]


def keep_stack(folder: RunFolder, failure: Exception, step: int) -> dict[str, Any]:
    """Where a player that hung was: a file in the run folder, and what the event says of it."""
    stack = getattr(failure, "stack", "")
    if not isinstance(failure, PlayerDied) or not stack:
        return {}
    name = f"logs/hang-{failure.player}-{step:08d}.txt"
    facts: dict[str, Any] = {"stack": last_frames(stack)}
    try:
        (folder.path / "logs").mkdir(exist_ok=True)
        folder.write(name, f"{failure.player}, step {step}: {failure.cause}\n{stack}\n")
    except OSError as error:
        return {**facts, "stack_lost": error.strerror}
    return {**facts, "stack_file": name}
