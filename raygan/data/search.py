"""Where data files are looked for, in order; a miss is one error that lists the places and the command that helps.

explicit path, $RAYGAN_DATA, ./shared/data, ../shared/data, the cache, torchvision's folders, /usr/share/datasets
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from raygan.errors import DataError
from raygan.paths import home


def roots() -> list[Path]:
    """All places that may hold data sets, best first."""
    given = os.environ.get("RAYGAN_DATA")
    own = home()
    named = os.environ.get("XDG_CACHE_HOME")
    cache = Path(named) if named else own and own / ".cache"
    return [
        *([Path(given)] if given else []),
        Path("shared/data"),
        Path("../shared/data"),
        *([cache / "raygan"] if cache else []),
        Path("data"),  # torchvision's usual `root`
        *([own / ".torchvision"] if own else []),
        Path("/usr/share/datasets"),
    ]


def find(name: str, folders: Sequence[str], files: Sequence[str], path: str | None, help_line: str) -> list[Path]:
    """The paths of `files`, all in one folder: `path` itself, or one of `folders` below a root.

    A file may also be there without its ".gz". Raises DataError with all places that were looked at.
    """
    places = [Path(path)] if path else [root / folder for root in roots() for folder in folders]
    for place in places:
        found = [_either(place, file) for file in files]
        if all(found):
            return [f for f in found if f is not None]
    looked = ", ".join(str(p) for p in places)
    raise DataError(f"data.{name}: {' and '.join(files)} not found in: {looked}. {help_line}")


def _either(folder: Path, file: str) -> Path | None:
    for candidate in (folder / file, folder / file.removesuffix(".gz")):
        if candidate.is_file():
            return candidate
    return None


def must_exist(name: str, path: str) -> Path:
    """The path, if something is there; raises DataError."""
    if not Path(path).exists():
        raise DataError(f"data.{name}: {path!r} does not exist. Check the path after '{name}:'.")
    return Path(path)
