"""A folder for as long as its process lives. What one that was killed has left there (a terminal
that was closed is enough) goes when the next one is made.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

PREFIX = "raygan-copy-"


@contextlib.contextmanager
def own_folder() -> Iterator[Path]:
    """An empty one, locked: by that others know that somebody is there."""
    made = Path(tempfile.mkdtemp(prefix=f".{PREFIX}"))
    forget_left(made.parent)
    held = os.open(made, os.O_RDONLY | os.O_DIRECTORY)
    folder = made
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        # only now by the name that others look for: it is never seen without its lock
        folder = made.rename(made.with_name(made.name[1:]))
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def forget_left(root: Path) -> None:
    """Take away what processes of this user, here or in a container beside, have left."""
    for left in root.glob(f"{PREFIX}*"):
        # another user's cannot be opened, another's link is not followed
        with contextlib.suppress(OSError):
            held = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if os.fstat(held).st_uid == os.getuid():
                    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(held)
