"""One Billion Word sentences (Chelba et al., 2013) as 32 characters, one-hot: (characters, 32)."""

from __future__ import annotations

import gzip
import zlib
from collections import Counter
from pathlib import Path
from typing import BinaryIO, Literal, cast

import numpy as np
import numpy.typing as npt
from pydantic import Field

from raygan.data.base import DataComponent, Samples, freeze
from raygan.data.free_memory import read_stream, within_room
from raygan.data.search import find
from raygan.data.split import fingerprint
from raygan.errors import DataError

FILES = ("heldout-dev.txt.gz", "heldout-test.txt.gz")
HELP = (
    "Put two shards of the benchmark there, a sentence a line, or name their folder with"
    " --data.path or $RAYGAN_DATA."
)
COPIES = 8.0
"""Memory for a byte of text: as it was read, decoded, in lines, joined, in pieces, as indices."""
PAD, UNKNOWN = "`", "~"
"""Behind a short sentence; in the place of a rare character."""


class Lm1b(DataComponent):
    """Trains on the first shard; the second one is held out."""

    path: str | None = Field(None, description="Folder of the shards; None = search.")
    length: int = Field(32, gt=0, description="Characters a sample.")
    characters: int = Field(
        64,
        ge=4,
        le=250,
        description="Distinct characters: the most frequent ones, padding and unknown.",
    )
    cut: Literal["start", "windows"] = Field(
        "windows", description="Each sentence's first characters, or all of it in pieces."
    )

    def load(self, seed: int) -> Samples:
        """Indices (N, length) uint8; `batch` gives one-hot float32 (N, characters, length)."""
        with within_room("data.lm1b"):
            return self._load()

    def _load(self) -> Samples:
        texts = [read_lines(f) for f in find(self.name, ["lm1b"], FILES, self.path, HELP)]
        counted = Counter("".join(texts[0]))
        common = [c for c, _ in counted.most_common(self.characters) if c not in (PAD, UNKNOWN)]
        # sorted: the same alphabet from the same characters, whichever is more frequent
        alphabet = "".join([PAD, UNKNOWN, *sorted(common[: self.characters - 2])])
        train, held_out = (encode(self._pieces(lines), alphabet, self.length) for lines in texts)
        freeze(train, held_out)
        return Samples(
            "lm1b",
            train,
            held_out,
            text=alphabet,
            split="held-out shard",
            sha256=fingerprint(train, held_out),
        )

    def _pieces(self, lines: list[str]) -> list[str]:
        n = self.length
        if self.cut == "start":
            return [line[:n] for line in lines]
        # a rest shorter than half a piece is left out: it would be padding mostly
        return [line[i : i + n] for line in lines for i in range(0, max(1, len(line) - n // 2), n)]


def read_lines(path: Path) -> list[str]:
    """All lines of a text file, gzipped or not; raises DataError."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            raw = read_stream(f"data.lm1b: {path}", cast(BinaryIO, file), COPIES)
        return [line for line in raw.decode().splitlines() if line]
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise DataError(
            f"data.lm1b: {path} cannot be read as text ({error}). Get the file again."
        ) from None


def encode(pieces: list[str], alphabet: str, length: int) -> npt.NDArray[np.uint8]:
    """Text to indices into the alphabet (N, length); short pieces are padded.

    >>> encode(["ab", "xb"], "`~ab", 3).tolist()
    [[2, 3, 0], [1, 3, 0]]
    """
    index = {c: i for i, c in enumerate(alphabet)}
    unknown = index[UNKNOWN]
    out = np.full((len(pieces), length), index[PAD], np.uint8)
    for row, piece in zip(out, pieces, strict=True):
        row[: len(piece)] = [index.get(c, unknown) for c in piece]
    return out


def decode(indices: npt.NDArray[np.generic], alphabet: str) -> list[str]:
    """Indices (N, length) to text, without the padding behind it."""
    return ["".join(alphabet[int(i)] for i in row).rstrip(PAD) for row in indices]
