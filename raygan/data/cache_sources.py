"""What the cache knows of a source: what tells two states apart, and how it is read again."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.resources
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, ClassVar, Protocol

from raygan.config import load_component
from raygan.data.questions import settled
from raygan.data.split import fingerprint
from raygan.data.stored import Samplings
from raygan.errors import DataError

DECODERS = ("pillow", "numpy", "pyarrow", "h5py", "datasets")


class FileSource(Protocol):
    """What is kept: a data set that is read from files (`files.FileComponent`)."""

    not_read: ClassVar[frozenset[str]]
    """Settings that reading does not depend on."""

    @property
    def cache(self) -> str:
        """ "off": nothing of it is to be kept."""

    @property
    def path(self) -> str:
        """The file or folder that is read."""

    @property
    def name(self) -> str:
        """The name of the component that reads it."""

    def sources(self) -> Sequence[Path | str] | None:
        """Files, and what else tells two states of it apart; None where that cannot be told."""

    @property
    def model_dump(self) -> Callable[..., dict[str, Any]]:
        """What its settings are: they are a part of the key."""


@dataclass(frozen=True)
class Source:
    """A data set by its name and settings: what a process without the file reads it by."""

    spec: Mapping[str, Any]

    def again(self, sha256: str) -> Samplings:
        """Its samples as this machine reads them. Raises DataError where they are others."""
        source: Any = load_component("data", self.spec)

        def found() -> Samplings:
            array: Samplings = source.found().array
            return array

        array = settled(found, lambda array: fingerprint(array) == sha256)
        if (here := fingerprint(array)) != sha256:
            raise DataError(
                f"{source.where} holds other data on {os.uname().nodename} (sha256 {here[:12]}..,"
                f" the run's {sha256[:12]}..). Bring it the same, or share the folder."
            )
        return array


def told_apart(source: Path | str) -> Sequence[str | int]:
    """A file by its path, size, and when it or its entry was last changed."""
    if isinstance(source, str):
        return [source]
    try:
        # ctime as well: a file that was put in place with its old times is another entry
        about = source.stat()
    except (OSError, ValueError):  # a null byte; whoever reads it says so
        return [str(source)]
    return [str(source.absolute()), about.st_size, about.st_mtime_ns, about.st_ctime_ns]


def readers() -> list[str]:
    """What the same source's samples hang on: the modules that read it, and what they decode by."""
    # another decoder may give other pixels: then the source is read anew
    return [own_sources(), *map(version, DECODERS)]


@functools.cache
def own_sources() -> str:
    """A hash of the modules that read, the same all the time that they are loaded."""
    # of all of them, whose sources are read in a millisecond: of a list one would be forgotten
    return hashed(importlib.resources.files(__package__))


def hashed(folder: Traversable) -> str:
    """Of its modules, by their names and text."""
    digest = hashlib.sha256()
    for module in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if module.name.endswith((".py", ".pyc")):
            digest.update(f"{module.name} ".encode())
            digest.update(hashlib.sha256(module.read_bytes()).digest())
    return digest.hexdigest()


def version(package: str) -> str:
    """ "" where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
