"""What the cache knows of a source: what tells two states apart, and how it is read again."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

from raygan.config import load_component
from raygan.data.split import fingerprint
from raygan.data.stored import Samplings
from raygan.errors import DataError


class FileSource(Protocol):
    """What is kept: a data set that is read from files (`files.FileComponent`)."""

    not_read: ClassVar[frozenset[str]]
    """Settings that reading does not depend on."""

    @property
    def cache(self) -> str:
        """ "off": nothing of it is to be kept."""

    @property
    def path(self) -> str:
        """File or folder."""

    @property
    def name(self) -> str:
        """Of its reader."""

    def sources(self) -> Sequence[Path | str] | None:
        """Files, and what else tells two states of it apart; None where that cannot be told."""

    @property
    def model_dump(self) -> Callable[..., dict[str, Any]]:
        """Its settings."""


@dataclass(frozen=True)
class Source:
    """A data set by its name and settings: what a process without the file reads it by."""

    spec: Mapping[str, Any]

    def again(self, sha256: str) -> Samplings:
        """Its samples as this machine reads them. Raises DataError where they are others."""
        source: Any = load_component("data", self.spec)
        array: Samplings = source.found().array
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


def versions() -> list[str]:
    """Of what decodes."""
    from PIL import __version__ as pillow

    # another decoder may give other pixels: then the source is read anew
    return [pillow, np.__version__]
