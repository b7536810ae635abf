"""A disk that loses power: what was not synced is dropped or kept at random, in any order; and a
world that crashes at any call.
"""

from __future__ import annotations

import random
from pathlib import PurePosixPath

from raygan.controller.storage import Renaming


class Crash(Exception):
    """The machine went down in the middle of a call."""


class File:
    """Content, and how much of it is surely on the disk."""

    def __init__(self) -> None:
        self.content = b""
        self.safe = b""


class Folder:
    """Entries as they are seen, those surely on the disk, and the changes between the two."""

    def __init__(self) -> None:
        self.entries: dict[str, File | Folder] = {}
        self.safe: dict[str, File | Folder] = {}
        self.changes: list[dict[str, File | Folder | None]] = []
        """Each is atomic: name -> what it becomes."""

    def apply(self, change: dict[str, File | Folder | None]) -> None:
        """Seen at once, on the disk later."""
        edit(self.entries, change)
        self.changes.append(change)


def edit(entries: dict[str, File | Folder], change: dict[str, File | Folder | None]) -> None:
    """Apply one change."""
    for name, node in change.items():
        if node is None:
            entries.pop(name, None)
        else:
            entries[name] = node


class SimStorage(Renaming):
    """`Storage` in memory. `fuse`: calls until the power goes (None: never); `full_for`: writing
    calls that find no room; at each call `pause` may let others run.
    """

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.root = Folder()
        self.fuse: int | None = None
        self.full_for = 0
        self.calls = 0

    # ----------------------------------------------------------------------------------------------
    # the machine

    def pause(self) -> None:
        """Overridden where several processes share the disk."""

    def _call(self) -> bool:
        """Count a call; True when the power goes in the middle of this one."""
        self.pause()
        self.calls += 1
        if self.fuse is None:
            return False
        self.fuse -= 1
        if self.fuse < 0:
            raise Crash
        return self.fuse == 0

    def _room(self) -> None:
        if self.full_for > 0:
            self.full_for -= 1
            raise OSError(28, "No space left on device")

    def power_loss(self) -> None:
        """Keep what is safe, and any part of the rest."""
        self.fuse, self.full_for = None, 0
        todo = [self.root]
        while todo:
            folder = todo.pop()
            for change in folder.changes:
                if self.rng.random() < 0.5:
                    edit(folder.safe, change)
            folder.changes.clear()
            folder.entries = dict(folder.safe)
            for node in folder.entries.values():
                if isinstance(node, Folder):
                    todo.append(node)
                elif node.content != node.safe:
                    appended = node.content.startswith(node.safe)
                    start = (
                        len(node.safe) if appended else 0
                    )  # an append harms nothing that was synced
                    lost = bytearray(node.content[: self.rng.randint(start, len(node.content))])
                    if (
                        len(lost) > start and self.rng.random() < 0.3
                    ):  # blocks reach the disk in any order
                        lost[self.rng.randrange(start, len(lost))] ^= 0xFF
                    node.content = node.safe = node.safe if self.rng.random() < 0.5 else bytes(lost)

    def _folder(self, name: str) -> Folder:
        node: File | Folder = self.root
        for part in PurePosixPath(name).parts:
            assert isinstance(node, Folder)
            found = node.entries.get(part)
            if found is None:
                raise FileNotFoundError(2, "No such file or directory", name)
            node = found
        assert isinstance(node, Folder)
        return node

    def _split(self, name: str) -> tuple[Folder, str]:
        path = PurePosixPath(name)
        return self._folder(str(path.parent)), path.name

    # ----------------------------------------------------------------------------------------------
    # `Storage`

    def create(self, name: str) -> None:
        self._call()
        self._room()
        self.make_folder(str(PurePosixPath(name).parent))
        folder, last = self._split(name)
        if last in folder.entries:
            raise FileExistsError(17, "File exists", name)
        folder.apply({last: File()})
        if self._call():
            raise Crash
        self.sync(str(PurePosixPath(name).parent))
        self.sync(".")

    def append(self, name: str, raw: bytes) -> None:
        torn = self._call()
        self._room()
        folder, last = self._split(name)
        file = folder.entries[last]
        assert isinstance(file, File)
        if torn:
            file.content += raw[: self.rng.randint(0, len(raw))]
            raise Crash
        file.content += raw
        file.safe = file.content

    def write(self, name: str, raw: bytes) -> None:
        torn = self._call()
        self._room()
        folder, last = self._split(name)
        file = File()
        folder.apply({last: file})
        file.content = raw[: self.rng.randint(0, len(raw))] if torn else raw
        if torn:
            raise Crash
        file.safe = file.content

    def read(self, name: str) -> bytes:
        self._call()
        folder, last = self._split(name)
        file = folder.entries.get(last)
        if not isinstance(file, File):
            raise FileNotFoundError(2, "No such file or directory", name)
        return file.content

    def tail(self, name: str, size: int) -> bytes:
        return self.read(name)[-size:]

    def exists(self, name: str) -> bool:
        self._call()
        try:
            folder, last = self._split(name)
        except FileNotFoundError:
            return False
        return last in folder.entries

    def list(self, folder: str) -> list[str]:
        self._call()
        try:
            return sorted(self._folder(folder).entries)
        except FileNotFoundError:
            return []

    def make_folder(self, name: str) -> None:
        self._call()
        self._room()
        node = self.root
        for part in PurePosixPath(name).parts:
            if part not in node.entries:
                node.apply({part: Folder()})
            below = node.entries[part]
            assert isinstance(below, Folder)
            node = below

    def rename(self, old: str, new: str) -> None:
        torn = self._call()
        source, a = self._split(old)
        target, b = self._split(new)
        assert source is target, "raygan renames within one folder"
        if a not in source.entries:
            raise FileNotFoundError(2, "No such file or directory", old)
        if b in target.entries:
            raise OSError(39, "Directory not empty", new)
        source.apply({a: None, b: source.entries[a]})
        if torn:
            raise Crash

    def remove(self, name: str) -> None:
        torn = self._call()
        try:
            folder, last = self._split(name)
        except FileNotFoundError:
            return
        node = folder.entries.get(last)
        if isinstance(node, Folder) and torn:  # half of what is in it
            for inside in list(node.entries)[: self.rng.randint(0, len(node.entries))]:
                node.apply({inside: None})
            raise Crash
        if node is not None:
            folder.apply({last: None})

    def sync(self, folder: str) -> None:
        if self._call():
            raise Crash
        node = self._folder(folder)
        for change in node.changes:
            edit(node.safe, change)
        node.changes.clear()
