"""A run is a folder: everything append-only, or written under a temporary name, fsynced and renamed. No pickles.

run.json  config.yaml  command.txt  metrics.jsonl  events.jsonl  journal/  checkpoints/<step>/  samples/  report/
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from raygan.controller.versions import refuse_newer
from raygan.errors import ConfigError, RayganError, did_you_mean

NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")

REQUEST = "scale.json"
"""Asks the driver for other members; written by `raygan scale`."""
STOP = "stop.json"
"""Asks the driver to save and end; written by `raygan stop`."""


class RunFolder:
    """Writes one run; reading is `service.run.Run`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files: dict[str, IO[str]] = {}
        self._status: dict[str, Any] = {}
        self.fence: Callable[[], None] = lambda: None
        """Raises StaleEpochError when another process writes this run now; asked before every write."""

    @classmethod
    def create(cls, parent: Path, name: str) -> RunFolder:
        """Make `parent/name`; raises ConfigError for a bad name, one that is taken, or an unwritable parent."""
        check_name(name)
        path = parent / name
        try:
            parent.mkdir(parents=True, exist_ok=True)
            path.mkdir(mode=0o700)
            (path / "checkpoints").mkdir()
            (path / "samples").mkdir()
            sync_folder(path)
            sync_folder(parent)
        except FileExistsError:
            if not parent.is_dir():
                raise ConfigError(f"run folder: {str(parent)!r} is not a folder. Choose another --run-dir.") from None
            raise ConfigError(
                f"run folder: {str(path)!r} exists already. Choose another --name, or `raygan resume {path}`."
            ) from None
        except OSError as error:
            raise ConfigError(
                f"run folder: cannot write in {str(parent)!r} ({error.strerror}). Choose another --run-dir."
            ) from None
        return cls(path)

    # ------------------------------------------------------------------------------------------------- whole files

    def write(self, name: str, content: str | bytes) -> None:
        """Replace a file as a whole: all of it, or what was there before."""
        self.fence()
        write_atomically(self.path / name, content.encode() if isinstance(content, str) else content)

    def status(self, **changes: Any) -> None:
        """Update run.json."""
        if not self._status and (self.path / "run.json").exists():
            self._status = json.loads((self.path / "run.json").read_text())
        self._status |= changes
        self.write("run.json", json.dumps(self._status, indent=1, default=str) + "\n")

    def samples(self, step: int, arrays: dict[str, npt.NDArray[np.generic]]) -> None:
        """Keep some samples of each player at a step."""
        self.fence()
        for player, array in arrays.items():
            path = self.path / "samples" / f"{step:08d}-{player}.npy"
            temporary = path.with_suffix(".npy.tmp")
            with temporary.open("wb") as file:
                np.save(file, array, allow_pickle=False)
            temporary.rename(path)

    # -------------------------------------------------------------------------------------------------- append-only

    def metric(self, **row: Any) -> None:
        """One row of metrics.jsonl."""
        self._append("metrics.jsonl", row)

    def event(self, kind: str, step: int, **fields: Any) -> None:
        """One object of events.jsonl: what the run tells; what it rests on is in the journal."""
        self._append("events.jsonl", {"time": round(time.time(), 3), "step": step, "kind": kind, **fields})  # noqa: TID251  shown only

    def _append(self, name: str, row: dict[str, Any]) -> None:
        self.fence()
        file = self._files.get(name)
        if file is None:
            path = self.path / name
            cut_torn_line(path)
            file = self._files[name] = path.open("a")
        file.write(json.dumps(row, default=_plain) + "\n")
        file.flush()

    def close(self) -> None:
        """Close the open files."""
        for file in self._files.values():
            file.close()
        self._files.clear()


def inside(folder: Path, name: str) -> Path:
    """A file that another machine names, in a folder. Raises RayganError for one that would lie elsewhere."""
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise RayganError(f"the cluster sent a file outside the run's folder: {name!r}. Do not trust this cluster.")
    return path


def check_name(name: str) -> None:
    """Letters, digits, `.`, `_`, `-`; not beginning with a dot. Raises ConfigError."""
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"name = {name!r}: a run's name has 1 to 100 letters, digits, '.', '_' or '-' and does not begin with '.'."
        )


def write_atomically(path: Path, content: bytes) -> None:
    """Write under a temporary name, fsync, rename, fsync the folder."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make renames within a folder durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def cut_torn_line(path: Path) -> None:
    """A writer that was killed may have left half a line at the end: cut it off before appending."""
    if not path.exists():
        return
    raw = path.read_bytes()
    whole = raw.rfind(b"\n") + 1
    if whole != len(raw):
        with path.open("r+b") as file:
            file.truncate(whole)


class JsonLines:
    """The whole lines of a jsonl file that may still grow: each is read and parsed once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._forget()

    def _forget(self) -> None:
        self._objects: list[dict[str, Any]] = []
        self._end, self._file = 0, (0, 0)

    def read(self) -> list[dict[str, Any]]:
        """All of them, oldest first; to be looked at, not changed."""
        if not self.path.exists():
            self._forget()
            return []
        with self.path.open("rb") as file:
            facts = os.fstat(file.fileno())
            if (facts.st_dev, facts.st_ino) != self._file or facts.st_size < self._end:  # another file of that name
                self._forget()
                self._file = facts.st_dev, facts.st_ino
            file.seek(self._end)
            raw = file.read()
        whole = raw.rfind(b"\n") + 1
        self._objects += [json.loads(line) for line in raw[:whole].splitlines()]
        self._end += whole
        return list(self._objects)


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """All whole lines of a jsonl file; [] when it does not exist yet."""
    return JsonLines(path).read()


def find_run(path: str | Path) -> Path:
    """A run's folder; raises ConfigError with the runs that are there."""
    folder = Path(os.path.expanduser(path))  # noqa: PTH111  never fails, whoever's home it is
    if os.path.isfile(folder / "run.json"):  # noqa: PTH113  any name will do, also one that no file can have
        refuse_newer(folder)
        return folder
    there = [p.parent.name for p in folder.parent.glob("*/run.json")] if os.path.isdir(folder.parent) else []  # noqa: PTH112
    hint = did_you_mean(folder.name, there) if there else "`raygan runs` lists the runs."
    raise ConfigError(f"run {str(path)!r} is not a run folder (it has no run.json). {hint}")


def _plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else str(value)
