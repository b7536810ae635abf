"""What others ask of a running run, as files in its folder, for whoever reaches that.

    scale-<when>-<token>.json   `raygan scale`: one a request, so that of two at once neither is
                                lost; the older one is answered first
    scale.json                  the same, as raygan asked before 0.3
    stop.json                   `raygan stop`: two of them ask for the same; {"epoch": N} names
                                the life of the run that is to end, by its first epoch

A request to scale stays, with what was decided of it, until a checkpoint has its members (see
membership.py). One to stop is of one life: what reaches the folder when that has ended stops no
later one.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from raygan.controller.files import remove_within, write_within
from raygan.controller.jsonl import read_json
from raygan.errors import ConfigError

STOP = "stop.json"
BEFORE = "scale.json"
SCALE = re.compile(r"scale-[0-9]{20}-[0-9a-f]{8}\.json")


def file_of(request: Mapping[str, Any]) -> str:
    """The file that a request goes into: {"verb": "stop"}, or {"verb": "scale", "id": ..., "pairs":
    ...}.
    """
    if request["verb"] == "stop":
        return STOP
    # the time only says who was first; of two within its resolution neither was, and the token
    # keeps them apart
    return f"scale-{time.time_ns():020d}-{secrets.token_hex(4)}.json"


def of(names: Iterable[str]) -> list[str]:
    """Those of some files that are requests, oldest first.

    >>> late, early = f"scale-{2:020d}-00000000.json", f"scale-{1:020d}-ffffffff.json"
    >>> of([late, "run.json", STOP, early, "scale.json"]) == [early, late, "scale.json", STOP]
    True
    """
    return sorted(name for name in names if name in (STOP, BEFORE) or SCALE.fullmatch(name))


def is_for(request: Mapping[str, Any], life: int | None) -> bool:
    """Does a request to stop mean the life that began with this epoch? One that names none, as of
    before 0.3, means whoever finds it.

    >>> is_for({"verb": "stop", "epoch": 1}, 3), is_for({"verb": "stop"}, 3)
    (False, True)
    """
    return request.get("epoch") in (None, life)


class Requests:
    """Of one run, as its driver sees them."""

    def __init__(self, folder: Path, life: int | None = None) -> None:
        """life: the first epoch of the driver's."""
        self.folder = folder
        self.life = life

    def stops(self) -> bool:
        """Was it asked to stop? Asked once, answered once; another life's is dropped."""
        if not (self.folder / STOP).exists():
            return False
        try:
            request = self.read(STOP)
        except ConfigError:
            # whatever it says, somebody has put it there
            request = {}
        remove_within(self.folder, STOP)
        return is_for(request, self.life)

    def waiting(self) -> list[str]:
        """Requests to scale that are not done with, oldest first."""
        try:
            found = of(path.name for path in self.folder.iterdir())
        except OSError:
            # a mount that is away: they are looked for again soon
            return []
        if BEFORE in found:
            # out of the way of the next one under that name
            name = file_of({"verb": "scale"})
            with contextlib.suppress(OSError):
                (self.folder / BEFORE).rename(self.folder / name)
                found.append(name)
        return sorted(name for name in found if SCALE.fullmatch(name))

    def read(self, name: str) -> dict[str, Any]:
        """What it says. Raises ConfigError."""
        return read_json(self.folder, name)

    def keep(self, name: str, request: Mapping[str, Any]) -> None:
        """With what was decided of it: whoever is taken back to before decides the same."""
        # a full disk: it stays as it was asked, and is decided anew, should it come to that
        with contextlib.suppress(OSError):
            write_within(self.folder, name, json.dumps(dict(request)).encode())

    def drop(self, name: str) -> None:
        """Remove the file of a request that is done with."""
        remove_within(self.folder, name)
