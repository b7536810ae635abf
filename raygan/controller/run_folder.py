"""A run is a folder: everything append-only, or written under a temporary name, fsynced and
renamed. No pickles.

run.json  config.yaml  command.txt  metrics.jsonl  events.jsonl  schedule.jsonl  summary.json
journal/  checkpoints/<step>/  samples/  report/
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from raygan.controller import bucket_copies
from raygan.controller.files import write_atomically as write_atomically
from raygan.controller.jsonl import JsonLines, read_json
from raygan.controller.log_writer import Telemetry
from raygan.controller.new_run import NameTaken, hidden, is_made_now, made, publish
from raygan.controller.run_format import refuse_newer
from raygan.errors import ConfigError, RayganError, StaleEpochError, did_you_mean
from raygan.paths import expanded, in_bucket, on_disk

NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")


class RunFolder:
    """Writes one run; reading is `service.run.Run`."""

    def __init__(self, path: Path) -> None:
        # whoever writes holds the folder itself: a link may lead elsewhere meanwhile, as `latest`
        # does at the next run, and this process may move to another folder
        self.path = Path(os.path.realpath(path))
        self.telemetry = Telemetry(lambda: self.path)
        self._status: dict[str, Any] = {}
        self._unwritten: dict[str, int] = {}
        """By earlier lives, as run.json says."""
        self.fence: Callable[[], None] = lambda: None
        """Raises StaleEpochError when another process writes this run now; asked before every
        write.
        """
        self.mirror: Callable[[], None] = lambda: None
        """Sends what was written by now to where the run lies; asked before a checkpoint is."""

    @classmethod
    def create(cls, parent: Path, name: str) -> RunFolder:
        """Make `parent/name`; raises ConfigError for a bad name, one that is taken, or an
        unwritable parent.
        """
        check_name(name)
        return cls(made(parent, name))

    @classmethod
    def refuse(cls, parent: Path, name: str) -> None:
        """Raises ConfigError where no run of this name can be made there; nothing is written."""
        check_name(name)
        if bucket_copies.taken(path := on_disk(parent) / name):
            raise NameTaken(
                f"run folder: {bucket_copies.shown(path)!r} exists already. Choose another --name,"
                f" or `raygan resume {bucket_copies.typed(path)}`."
            )

    @classmethod
    @contextlib.contextmanager
    def being_made(cls, parent: Path, name: str) -> Iterator[RunFolder]:
        """`parent/name` is there once the block has ended well, whole; until then it has a hidden
        name, and whoever is killed meanwhile leaves no run behind. Raises ConfigError as `create`.
        """
        cls.refuse(parent, name)
        for left in parent.glob(f".{name}.*.making"):
            # left by a start that was killed
            if not is_made_now(left.name):
                shutil.rmtree(left, ignore_errors=True)
        folder = cls(made(parent, hidden(name)))
        try:
            yield folder
            there = folder.path.with_name(name)
            publish(folder.path, there)
            folder.path = there
        except BaseException:
            # a full disk: the folder goes all the same
            with contextlib.suppress(OSError):
                folder.close()
            shutil.rmtree(folder.path, ignore_errors=True)
            raise

    # ----------------------------------------------------------------------------------------------
    # whole files

    def write(self, name: str, content: str | bytes) -> None:
        """Replace a file as a whole: all of it, or what was there before."""
        self.fence()
        self.telemetry.replace(
            name, content.encode(errors="backslashreplace") if isinstance(content, str) else content
        )

    def status(self, **changes: Any) -> dict[str, Any]:
        """Update run.json; returns what it says, or would where there is no room for it."""
        self.fence()
        if not self._status and (self.path / "run.json").exists():
            self._status = read_json(self.path, "run.json")
            self._unwritten = dict(self._status.get("unwritten", {}))
        self.telemetry.flush()
        self._status |= changes
        self._status["unwritten"] = {
            name: count for name, count in self.unwritten().items() if name != "run.json"
        }
        if not self._status["unwritten"]:
            del self._status["unwritten"]
        self.write("run.json", json.dumps(self._status, indent=1, default=str) + "\n")
        return self._status

    def unwritten(self) -> dict[str, int]:
        """file -> lines (or files, of samples) that found no room in all lives of the run."""
        now = self.telemetry.unwritten()
        return {
            name: self._unwritten.get(name, 0) + now.get(name, 0)
            for name in sorted({*self._unwritten, *now})
        }

    def samples(self, step: int, arrays: dict[str, npt.NDArray[np.generic]]) -> None:
        """Keep some samples of each player at a step."""
        self.fence()
        self.telemetry.keep(
            {f"samples/{step:08d}-{player}.npy": _npy(array) for player, array in arrays.items()}
        )

    # ----------------------------------------------------------------------------------------------
    # append-only

    def metric(self, **row: Any) -> None:
        """Append one row to metrics.jsonl."""
        self._append("metrics.jsonl", row)

    def event(self, kind: str, step: int, **fields: Any) -> None:
        """One object of events.jsonl: what the run tells; what it rests on is in the journal."""
        self._append(
            "events.jsonl",
            # the clock is for people: nothing is ordered or measured by it
            {"time": round(time.time(), 3), "step": step, "kind": kind, **fields},  # noqa: TID251
        )

    def _append(self, name: str, row: dict[str, Any]) -> None:
        self.fence()
        self.telemetry.append(name, json.dumps(row, default=_plain).encode() + b"\n")

    def close(self) -> None:
        """Close the open files; run.json has the last count of what could not be written. Of a run
        that somebody else writes now nothing is touched.
        """
        try:
            self.fence()
        except StaleEpochError:
            self.telemetry.abandon()
            return
        self.telemetry.close()
        if self._status.get("unwritten", {}) != self.unwritten():
            self.status()


def inside(folder: Path, name: str) -> Path:
    """A file that another machine names, in a folder. Raises RayganError for one that would lie
    elsewhere.
    """
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise RayganError(
            f"the cluster sent a file outside the run's folder: {name!r}. Do not trust this"
            " cluster."
        )
    return path


def check_name(name: str) -> None:
    """Letters, digits, `.`, `_`, `-`; not beginning with a dot. Raises ConfigError."""
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"name = {name!r}: a run's name has 1 to 100 letters, digits, '.', '_' or '-' and does"
            " not begin with '.'."
        )


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """All whole lines of a jsonl file; [] when it does not exist yet."""
    return JsonLines(path).read()


RUNS = "runs"
"""Where runs are unless another folder is given."""


def find_run(path: str | Path) -> Path:
    """A run's folder: `path`, or, for a name alone, the run of that name in `runs/` (`latest` too),
    or the only one that begins so.

    Of one in a bucket its local copy, brought up to date. Raises ConfigError with the runs that are
    there.
    """
    if address := in_bucket(path):
        place = bucket_copies.view(address)
        refuse_newer(place)
        return place
    # os.path: it never fails, whoever's home it is
    folder = Path(os.path.expanduser(on_disk(path)))  # noqa: PTH111
    bare = str(path) == folder.name and folder.name not in ("", ".", "..")
    found = next(filter(_is_run, [folder, Path(RUNS) / folder] if bare else [folder]), None)
    if found is None:
        around = _runs_in([Path(RUNS), Path()] if bare else [folder.parent])
        begun = [p for p in around if bare and p.name.startswith(folder.name)]
        if len(begun) != 1:
            raise _no_run(path, folder, around, begun)
        found = begun[0]
    refuse_newer(found)
    return found


def _runs_in(parents: Iterable[Path]) -> list[Path]:
    """The runs that lie in these folders."""
    return [
        p.parent
        for parent in parents
        if os.path.isdir(parent)  # noqa: PTH112
        for p in parent.glob("[!.]*/run.json")
    ]


def _no_run(
    path: str | Path, folder: Path, around: Sequence[Path], begun: Sequence[Path]
) -> ConfigError:
    """The line for what is no run's name. around: runs where it would lie; begun: those of them
    whose names begin so.
    """
    if begun:
        names = sorted(p.name for p in begun)
        shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
        return ConfigError(
            f"run {str(path)!r}: {len(begun)} runs begin like this: {shown}. Write more of the"
            " name."
        )
    if is_export(folder):
        return ConfigError(
            f"run {str(path)!r} is an export, and no run folder. `raygan serve` and"
            " raygan.load(...) take it; for all else name the run that it was made of."
        )
    hint = "`raygan runs` lists the runs."
    if around:
        hint = did_you_mean(folder.name, [p.name for p in around])
    return ConfigError(f"run {str(path)!r} is not a run folder (it has no run.json). {hint}")


def is_export(folder: str | Path) -> bool:
    """Has `raygan export` written it? A run folder has a config too, and a run.json."""
    there = expanded(folder)
    # os.path: a name that is too long is no file, and no error
    return os.path.isfile(there / "config.json") and not os.path.exists(  # noqa: PTH110, PTH113
        there / "run.json"
    )


def _is_run(folder: Path) -> bool:
    # os.path: any name will do, also one that no file can have
    return os.path.isfile(folder / "run.json")  # noqa: PTH113


def _plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else str(value)


def _npy(array: npt.NDArray[np.generic]) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=False)
    return out.getvalue()
