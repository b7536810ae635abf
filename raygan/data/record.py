"""What a reader did with a source, for people: recognised, converted, left out; and the scaling
that leads back to its units.

A reader returns `Read`: the samples in their one checked form, and the record that a start prints
and run.json keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from raygan.visible import in_one_line

Array = npt.NDArray[Any]
NAMED = 5
"""Names that a record keeps of each kind; all are counted."""


@dataclass
class Record:
    """What a reader has done: counts, names and reasons."""

    source: str
    recognised: str = ""
    """What the samples are, and by what sign: "uint8 pictures (N, 3, 32, 32): channels first"."""
    converted: dict[str, int] = field(default_factory=dict)
    """What was done -> samples it was done to."""
    skipped: dict[str, int] = field(default_factory=dict)
    """Why it was left out -> files, rows, columns."""
    names: dict[str, list[str]] = field(default_factory=dict)
    """Why it was left out -> the first `NAMED` of them."""
    labels: str = ""
    """Where classes come from, and which there are; "" without."""
    kept: str = ""
    """Where large samples are kept, and how large they are; "" for those in memory."""

    columns: list[str] = field(default_factory=list)
    """Names of the points' features, where the source has them."""
    scale: str = ""
    """The rule (`data.scale`) that pictures were scaled by, given or told by their range; "" for
    those that their type alone tells.
    """

    def convert(self, what: str, count: int = 1) -> None:
        """Note that so many samples were changed in this way."""
        self.converted[what] = self.converted.get(what, 0) + count

    def skip(self, why: str, name: object) -> None:
        """Note one more that was left out, by its reason."""
        self.skipped[why] = self.skipped.get(why, 0) + 1
        if len(known := self.names.setdefault(why, [])) < NAMED:
            known.append(printable(name))

    def lines(self) -> list[str]:
        """For people, one thing a line.

        >>> left = {".csv": 1}, {".csv": ["a"]}
        >>> found = Record("folder:x", "8 pictures", {"turned as EXIF says": 2}, *left)
        >>> print(*found.lines(), sep="\\n")
        data folder:x: 8 pictures
        data converted: turned as EXIF says (2)
        data left out: .csv (1: a)
        """
        out = [f"data {printable(self.source)}: {self.recognised}"]
        out += [f"data converted: {what} ({count:,})" for what, count in self.converted.items()]
        for why, count in self.skipped.items():
            more = ", ..." if count > len(self.names[why]) else ""
            out.append(f"data left out: {why} ({count:,}: {', '.join(self.names[why])}{more})")
        if self.labels:
            out.append(f"data labels: {self.labels}; kept apart, never trained on")
        return out + [f"data kept: {printable(self.kept)}"] * bool(self.kept)

    def plain(self) -> dict[str, Any]:
        """What run.json keeps of it."""
        return {
            "source": printable(self.source),
            "recognised": self.recognised,
            "converted": dict(self.converted),
            "skipped": {
                why: {"count": n, "names": self.names[why]} for why, n in self.skipped.items()
            },
            **({"labels": self.labels} if self.labels else {}),
            **({"columns": [printable(name) for name in self.columns]} if self.columns else {}),
        }


def printable(name: object) -> str:
    """A file's name as text that can be written anywhere, also where it is not UTF-8; one line."""
    # names of files are bytes: one that is no UTF-8 would stop the writing of run.json
    return in_one_line(str(name).encode("utf-8", "backslashreplace").decode())


@dataclass(frozen=True)
class Scaling:
    """samples in the data's own units = offset + factor * samples as trained on."""

    offset: tuple[float, ...]
    """Of each feature; of one number where all have the same."""
    factor: tuple[float, ...]

    def back(self, samples: Array) -> Array:
        """float64, in the data's own units."""
        # in float64: times in seconds and other large offsets would lose their last digits
        out: Array = np.asarray(self.offset) + np.asarray(self.factor) * samples.astype(np.float64)
        return out

    def plain(self) -> dict[str, list[float]]:
        """What run.json keeps of it; `of` is the inverse."""
        return {"offset": list(self.offset), "factor": list(self.factor)}

    @staticmethod
    def of(values: Any) -> Scaling | None:
        """From run.json; None where there is none."""
        return Scaling(tuple(values["offset"]), tuple(values["factor"])) if values else None


@dataclass(frozen=True)
class Read:
    """Samples as read: points (N, features) float32, or pictures (N, C, H, W) uint8 or float32 in
    [-1, 1].
    """

    array: Any
    """In memory, or a `rows.Stored`."""
    record: Record
    scaling: Scaling | None = None
    classes: Sequence[str] | None = None
    """The class of each sample, where the source tells (folders)."""
    held: frozenset[str] = frozenset({"arrays"})
    """What was read, by the words of settings (`base.For`): those for others change nothing."""
