"""Where data files are looked for, in order; a miss is one error that lists the places and the
command that helps.

explicit path, $RAYGAN_DATA, ./shared/data, ../shared/data, the cache, torchvision's folders,
/usr/share/datasets
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from raygan.errors import DataError
from raygan.paths import cache, expanded, home, include_hint


def cache_root(name: str) -> Path:
    """Where files are kept that were fetched. Raises DataError for a user without a home."""
    if (root := cache()) is None:
        raise DataError(
            f"data.{name}: no home to keep files in. Name a folder with --data.path, or set"
            " XDG_CACHE_HOME."
        )
    return root


def roots() -> list[Path]:
    """All places that may hold data sets, best first."""
    given, own, fetched = os.environ.get("RAYGAN_DATA"), home(), cache()
    return [
        *([Path(given)] if given else []),
        Path("shared/data"),
        Path("../shared/data"),
        *([fetched] if fetched else []),
        Path("data"),  # torchvision's usual `root`
        *([own / ".torchvision"] if own else []),
        Path("/usr/share/datasets"),
    ]


def find(
    name: str, folders: Sequence[str], files: Sequence[str], path: str | None, help_line: str
) -> list[Path]:
    """The paths of `files`, all in one folder: `path` itself, or one of `folders` below a root.

    A file may also be there without its ".gz". Raises DataError with all places that were looked
    at.
    """
    places = [expanded(path)] if path else [root / folder for root in roots() for folder in folders]
    for place in places:
        found = [_either(place, file) for file in files]
        # all in one folder: images of one place and labels of another would be a silent mistake
        if all(found):
            return [f for f in found if f is not None]
    looked = [path] if path else [str(root) for root in roots()]
    below = "" if path else f" (below each: {', '.join(folders)})"
    raise DataError(
        f"data.{name}: no {' and '.join(files)} in {', '.join(looked)}{below}. {help_line}"
    )


def _either(folder: Path, file: str) -> Path | None:
    for candidate in (folder / file, folder / file.removesuffix(".gz")):
        if candidate.is_file():
            return candidate
    return None


def must_exist(name: str, path: str) -> Path:
    """The path, `~` as the home, if something is there; raises DataError."""
    found = expanded(path)
    try:
        there = found.exists()
    except (OSError, ValueError) as error:  # no access, a name too long, a null byte
        why = getattr(error, "strerror", None) or error
        raise DataError(
            f"data.{name}: {path!r} cannot be looked at ({why}). Check the path."
        ) from None
    if not there:
        raise DataError(
            f"data.{name}: {path!r} does not exist. Check the path after '{name}:'."
            f"{include_hint(path)}"
        )
    return found


def must_be_file(name: str, path: str) -> Path:
    """The path of a file; raises DataError for a folder, a pipe, or one that may not be read."""
    found = must_exist(name, path)
    if not found.is_file():
        hint = f" Use folder:{path}." if found.is_dir() else " Name a plain file."
        raise DataError(
            f"data.{name}: {path!r} is {'a folder' if found.is_dir() else 'no file'}.{hint}"
        )
    if not os.access(found, os.R_OK):
        raise DataError(
            f"data.{name}: {path!r} may not be read by this user. Change its permissions."
        )
    return found


def must_be_folder(name: str, path: str) -> Path:
    """The path of a folder; raises DataError for a file."""
    found = must_exist(name, path)
    if not found.is_dir():
        raise DataError(
            f"data.{name}: {path!r} is a file. Name the folder that it is in, or its kind: npz,"
            " zip, parquet, csv."
        )
    return found
