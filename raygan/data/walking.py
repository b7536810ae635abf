"""Which files lie below a folder, and which of them are left out by their names; links are
followed, each folder and each file is read once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from raygan.data.questions import OTHERS, is_answered
from raygan.data.record import Record
from raygan.errors import DataError

JUNK = ("thumbs.db", "desktop.ini", ".ds_store")
JUNK_FOLDERS = ("__MACOSX", ".ipynb_checkpoints", "@eaDir", "$RECYCLE.BIN", "lost+found")
LEFT_BEHIND = "what file managers leave behind"


def unseen(name: str) -> str:
    """Why a file or a folder of this name is left out; "" for all others.

    >>> unseen("__MACOSX"), unseen(".thumbnails"), unseen("cats")
    ('what file managers leave behind', 'hidden files and folders', '')
    """
    if name in JUNK_FOLDERS:
        return LEFT_BEHIND
    # thumbnails, a bin, a version control's own: nobody sees that they are there
    return "hidden files and folders" if name.startswith(".") else ""


def unwanted(name: str, parents: Sequence[str], suffixes: Sequence[str]) -> str:
    """Why a file below these folders is left out; "" for one with one of the suffixes."""
    low = name.lower()
    if name.startswith("._") or low in JUNK:
        return LEFT_BEHIND
    if why := next(filter(None, map(unseen, [*parents, name])), ""):
        return why
    if low.endswith(tuple(suffixes)):
        return ""
    dot = low.rpartition(".")[2] if "." in low[1:] else ""
    return f"files with suffix .{dot}" if dot else "files without suffix"


def walk(
    kind: str,
    root: Path,
    record: Record,
    file: Callable[[str, Sequence[str]], str],
    folder: Callable[[str], str] = unseen,
) -> list[Path]:
    """All files below `root` by their paths, without those that `file` (name, parents) or `folder`
    has a reason to leave out. Raises DataError for a folder that cannot be read.
    """
    files: list[Path] = []
    seen: set[tuple[int, int]] = set()
    real, links = [root], list[Path]()
    while real or links:
        # real folders first: what can be reached both ways is read where it really lies
        here = real.pop() if real else links.pop(0)
        try:
            about = here.stat()
            entries = sorted(os.scandir(here), key=lambda e: e.name)
        except OSError as error:
            raise DataError(
                f"data.{kind}: {here} cannot be read ({error.strerror}). Allow it, or remove it."
            ) from None
        # by its inode: two paths to one folder would train on what is in it twice
        if (about.st_dev, about.st_ino) in seen:
            record.skip("links to folders that were read already", here)
            continue
        seen.add((about.st_dev, about.st_ino))
        parents = here.relative_to(root).parts
        for entry in entries:
            inner = is_folder(entry)
            if why := folder(entry.name) if inner else file(entry.name, parents):
                record.skip(why, entry.path if inner else "/".join([*parents, entry.name]))
            elif inner:
                (links if entry.is_symlink() else real).append(Path(entry.path))
            else:
                files.append(Path(entry.path))
    return sorted(files)


def once(files: Sequence[Path], record: Record) -> tuple[list[Path], list[tuple[Path, Path]]]:
    """(Those of these that are not the same file again by a link, (which is kept, which is left
    out) of the others). A real one is kept rather than a link to it.
    """
    # as many samples as there are names, where that is what was trained on
    if is_answered(OTHERS):
        return sorted(files), []
    where: dict[tuple[int, int], Path] = {}
    kept, again = list[Path](), list[tuple[Path, Path]]()
    for path in sorted(files, key=lambda path: (path.is_symlink(), path)):
        try:
            about = path.stat()
        except OSError:  # a link that leads nowhere: whoever reads it says so
            kept.append(path)
            continue
        first = where.setdefault((about.st_dev, about.st_ino), path)
        # the numbers of what has no second name are not trusted: some file systems repeat them
        if first is path or not (path.is_symlink() or about.st_nlink > 1):
            kept.append(path)
            continue
        record.skip("links to files that were read already", path)
        again.append((first, path))
    return sorted(kept), again


def is_folder(entry: os.DirEntry[str]) -> bool:
    """A link that leads round in a circle is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False
