"""GAM-II files of a run (gam2-seed*.json), and the one that says how its checkpoint is judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from raygan.controller.jsonl import NOTES, read_json
from raygan.errors import ConfigError
from raygan.service.runs.cast import outdated
from raygan.service.runs.run import Run

Found = Mapping[str, Any]


class Verdicts(NamedTuple):
    """What such a file has found, and of which checkpoint."""

    found: Found
    old: str
    """Of which checkpoint it is, where that is not the newest; "" where it is."""

    @property
    def note(self) -> str:
        """The same as a sentence; "" where there is nothing to say."""
        return f"Of {self.old}." if self.old else ""


def newest_verdicts(run: Run, *, compared: bool = False) -> Verdicts | None:
    """Of the newest checkpoint, else of the latest step, and of these the last that was made.
    compared: one with groups that are held against pairs that never met.
    """
    read = list[tuple[tuple[bool, int, float], Verdicts]]()
    for path in sorted(run.path.glob("gam2-seed*.json")):
        kinds = {"rates": list, "generators": list, "discriminators": dict, "verdicts": dict}
        try:
            found = read_json(run.path, path.name, **kinds)
            made = float(found.get("time") or path.stat().st_mtime)
            step = _step(run, found)
        except (ConfigError, OSError, ValueError, TypeError) as error:
            NOTES.warning("%s/%s is damaged, and was passed over (%s)", run.name, path.name, error)
            continue
        if not compared or found["verdicts"]:
            old = outdated(run.path, found)
            read.append(((not old, step, made), Verdicts(found, old)))
    return max(read, key=lambda each: each[0])[1] if read else None


def _step(run: Run, found: Found) -> int:
    """That its networks are of; older releases have it in the protocol only, or nowhere."""
    steps = (found.get("protocol") or {}).get("steps") or {}
    return int(found.get("step", steps.get(run.name, 0)))
