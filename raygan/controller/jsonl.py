"""Reading what a run has told: logs that still grow, small JSON files; damaged ones too.

A damaged line is passed over, counted, and told (`raygan.notes`); a damaged file that nobody can do
without is one line.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from raygan.controller.bucket_copies import shown
from raygan.controller.files import open_plain, read_plain, say
from raygan.errors import ConfigError

NOTES = logging.getLogger("raygan.notes")
"""What a reader should know beside what it asked for; the command line shows it on stderr, once."""
BLOCK = 1 << 20
KNOWN_BY = 1 << 12
"""Bytes by which the place of a mark is known again; each line has a time."""
Object = dict[str, Any]


class Lines:
    """A cursor over the whole lines of a jsonl file: each is parsed once."""

    def __init__(
        self,
        path: Path,
        check: Callable[[Object], bool] = lambda row: True,
        containing: bytes = b"",
    ) -> None:
        """check: is an object what it claims to be? containing: only lines with this text are
        parsed, and given.
        """
        self.path = path
        self.check = check
        self.containing = containing
        self.damaged = 0
        """Lines that were passed over."""
        self._end, self._file = 0, (0, 0)

    def restarted(self) -> bool:
        """Is it another file of that name, or shorter than it was? Then it is read from its
        beginning, and what was made of it holds no more.
        """
        try:
            facts = self.path.stat()
            file, size = (facts.st_dev, facts.st_ino), facts.st_size
        except FileNotFoundError:
            file, size = (0, 0), 0
        # by inode and size: a run that was repaired, or a copy put back, is another file
        again = file != self._file or size < self._end
        if again:
            self._file, self._end, self.damaged = file, 0, 0
        return again

    def mark(self) -> Object:
        """How far it was read, for another process to go on from."""
        return {"end": self._end, "before": self._before(self._end), "damaged": self.damaged}

    def go_on(self, mark: Object) -> bool:
        """Read on from a mark, if the file has there what it had; else nothing changes. Raises
        KeyError, TypeError for no mark.
        """
        end, damaged = mark["end"] + 0, mark["damaged"] + 0
        if end < 0 or (before := self._before(end)) is None or before != mark["before"]:
            return False
        self.restarted()
        self._end, self.damaged = end, damaged
        return True

    def _before(self, end: int) -> str | None:
        """The hash of the last bytes before `end`; None where the file has not so many."""
        try:
            with os.fdopen(open_plain(self.path), "rb") as file:
                file.seek(max(0, end - KNOWN_BY))
                raw = file.read(min(end, KNOWN_BY))
        except OSError:
            raw = b""
        return hashlib.sha256(raw).hexdigest() if len(raw) == min(end, KNOWN_BY) else None

    def skip(self) -> None:
        """What is there now has been seen."""
        self.restarted()
        self._end = self.path.stat().st_size if self.path.exists() else 0

    def fresh(self) -> Iterator[Object]:
        """What has come since the last time, oldest first; a line that is still being written comes
        the next time.
        """
        if not self.path.exists():
            return
        before = self.damaged
        try:
            with os.fdopen(open_plain(self.path), "rb") as file:
                file.seek(self._end)
                yield from self._read(file)
        except OSError as error:
            raise ConfigError(f"{self.path} cannot be read ({say(error)}).") from None
        finally:
            if self.damaged > before:
                NOTES.warning("%s: %d damaged lines were passed over", self.path, self.damaged)

    def _read(self, file: Any) -> Iterator[Object]:
        rest = b""
        while block := file.read(BLOCK):
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                self._end += len(line) + 1
                if self.containing not in line:
                    # not parsed, for speed; a line that is no object is counted all the same
                    self.damaged += not (line.startswith(b"{") and line.endswith(b"}"))
                elif (row := parse(line)) is not None and self.check(row):
                    yield row
                else:
                    self.damaged += 1


class JsonLines:
    """All objects of a jsonl file that may still grow."""

    def __init__(self, path: Path, check: Callable[[Object], bool] = lambda row: True) -> None:
        self.lines = Lines(path, check)
        self._objects: list[Object] = []

    def read(self) -> list[Object]:
        """All of them, oldest first; to be looked at, not changed."""
        if self.lines.restarted():
            self._objects = []
        self._objects += self.lines.fresh()
        return list(self._objects)


def parse(line: bytes) -> Object | None:
    """A JSON object, or None."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


NEEDED: dict[str, dict[str, type | tuple[type, ...]]] = {
    "train": {"player": str, "steps": int},
    "score": {"player": str, "protocol": str},
    "swap": {"moves": list, "time": (int, float)},
    "warning": {"name": str, "text": str, "time": (int, float)},
    "pull": {"lag": (int, float)},
    "slot": {"beta": dict, "spread": (int, float)},
    "death": {"player": str, "time": (int, float)},
    "retire": {"player": str, "time": (int, float)},
    "leave": {"player": str, "time": (int, float)},
    "join": {"player": str, "time": (int, float)},
    "by_part": {"player": str, "coverage": dict, "classes": dict},
    "origin": {"player": str, "generator": list, "discriminator": list},
}
"""kind -> what readers take for granted of a line of metrics.jsonl or events.jsonl."""


def told_by_a_run(row: Object) -> bool:
    """Is this a line as a run writes it?

    >>> told_by_a_run({"kind": "train", "step": 5, "player": "pair-00", "steps": 5})
    True
    >>> told_by_a_run({"kind": "train", "step": 5})
    False
    """
    kind, step = row.get("kind"), row.get("step")
    if not isinstance(kind, str) or not isinstance(step, int | float):
        return False
    whole = all(
        isinstance(row.get(name), wanted)
        for name, wanted in NEEDED.get(kind, {"time": (int, float)}).items()
    )
    return whole and all(_is_move(move) for move in (row["moves"] if kind == "swap" else ()))


def _is_move(move: object) -> bool:
    return isinstance(move, dict) and all(
        isinstance(move.get(key), str) for key in ("player", "from", "identity")
    )


def read_json(run: Path, name: str, **needed: type) -> Object:
    """A JSON file of a run, with what it needs to have. Raises ConfigError for one that is damaged
    or gone.
    """
    try:
        found = json.loads(read_plain(run / name))
        for key, kind in needed.items():
            if not isinstance(found[key], kind):
                raise ValueError(f"{key} = {found[key]!r}")
        if not isinstance(found, dict):
            raise ValueError("it holds no settings")
    except OSError as error:
        raise ConfigError(
            f"run {shown(run)!r}: {name} cannot be read ({error.strerror})."
        ) from None
    # RecursionError: a file of nothing but brackets
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        why = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise ConfigError(
            f"run {shown(run)!r}: {name} is damaged ({why}). Put back a copy of it."
        ) from None
    return found


def read_info(run: Path) -> Object:
    """run.json, with its parts as they should be where they are there."""
    found = read_json(run, "run.json", status=str)
    for key, kind in {
        "protocols": dict,
        "busy_seconds": dict,
        "waited_seconds": dict,
        "warnings": dict,
        "roster": list,
        "shape": list,
        "pid": int,
    }.items():
        if not isinstance(found.get(key, kind()), kind):
            raise ConfigError(
                f"run {shown(run)!r}: run.json is damaged ({key} = {found[key]!r}). Put back a copy"
                " of it."
            )
    return found


def tail(path: Path, offset: int, most: int) -> bytes:
    """Whole lines of a file from `offset` on, at most `most` bytes of them; b"" without a file."""
    if most <= 0 or not path.exists():
        return b""
    with os.fdopen(open_plain(path), "rb") as file:
        file.seek(offset)
        raw = file.read(most)
    return raw[: raw.rfind(b"\n") + 1]
