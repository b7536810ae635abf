"""Files of a data set from the network, only where a config asks for it (`data.download: true`),
each held to the SHA-256 of what is in it before it gets its name.
"""

from __future__ import annotations

import gzip
import hashlib
import http.client
import os
import urllib.error
import urllib.request
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from raygan.data.search import cache_root
from raygan.errors import DataError
from raygan.watching import tell

TIMEOUT_S = 20.0
LARGEST = 64 << 20
PORTION = 1 << 18
UNPACKED = 100 << 20


@dataclass(frozen=True)
class Source:
    """Where files lie, and the SHA-256 of each, unpacked (a mirror may have packed it anew)."""

    folder: str
    sums: Mapping[str, str]


MNIST = Source(
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    {
        "train-images-idx3-ubyte.gz": (
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
        ),
        "train-labels-idx1-ubyte.gz": (
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
        ),
        "t10k-images-idx3-ubyte.gz": (
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
        ),
        "t10k-labels-idx1-ubyte.gz": (
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
        ),
    },
)
FASHION = Source(
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    {
        "train-images-idx3-ubyte.gz": (
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
        ),
        "train-labels-idx1-ubyte.gz": (
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
        ),
        "t10k-images-idx3-ubyte.gz": (
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
        ),
        "t10k-labels-idx1-ubyte.gz": (
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"
        ),
    },
)


def fetch(name: str, source: Source, files: Sequence[str], folder: Path | None = None) -> Path:
    """The folder that has all of `files` now: those that are missing come from the source. Raises
    DataError, and leaves no half of a file.
    """
    folder = folder or cache_root(name) / name.replace("_", "-")
    missing = [f for f in files if not (folder / f).exists()]
    for number, file in enumerate(missing, 1):
        what = f"{name}: downloading {file} ({number} of {len(missing)})"
        packed = _get(name, source.folder + file, what, folder)
        # before it is written: a page of a proxy's, or half a file, never gets the data set's name
        if (found := _sum(packed)) != source.sums[file]:
            raise DataError(
                f"data.{name}: {source.folder}{file} has SHA-256 {found[:12]}.. unpacked, not"
                f" {source.sums[file][:12]}..: nothing was kept. Try again, or copy the file into"
                f" {folder}."
            )
        _keep(name, folder / file, packed)
    return folder


def _get(name: str, address: str, what: str, folder: Path) -> bytes:
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT_S) as answer:
            total, parts, done = int(answer.headers.get("Content-Length") or 0), list[bytes](), 0
            while (part := answer.read(PORTION)) and done <= LARGEST:
                parts.append(part)
                done += len(part)
                tell(what, done, max(total, done))
            return b"".join(parts)
    except (OSError, ValueError, http.client.HTTPException) as error:
        why = getattr(error, "reason", None) or error
        raise DataError(
            f"data.{name}: cannot download {address} ({why}). Copy the file into {folder} from a"
            " machine with a network, or name its folder with --data.path."
        ) from None


def _sum(packed: bytes) -> str:
    """SHA-256 of what is packed; of nothing where that is damaged, or far too much."""
    try:
        # unpacked at most to the size that is known: a bomb of a few kilobytes is refused
        unpacked = zlib.decompressobj(wbits=31).decompress(packed, UNPACKED)
    except (zlib.error, gzip.BadGzipFile):
        unpacked = b""
    return hashlib.sha256(unpacked).hexdigest()


def _keep(name: str, path: Path, packed: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(packed)
        # by rename: two that download at once both end with a whole file
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise DataError(
            f"data.{name}: cannot write {path} ({error.strerror}). Make room, or name another"
            " folder with --data.path."
        ) from None
