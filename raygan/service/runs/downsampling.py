"""A long curve as few rows: evenly spread ones, and beside them its peaks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

MOST = 2000
"""Points of a curve."""
SPAN = 16
"""A stretch, in kept rows: of each stretch a field's least and greatest are kept."""
BLOCK = 64
"""Rows that are looked through at once, for speed."""
PLACES = frozenset({"kind", "player", "protocol", "step", "steps", "elapsed", "seconds", "time"})
"""Fields that no curve is drawn of."""
T = TypeVar("T")
Found = dict[int, dict[str, Any]]
"""Number of a row -> the row."""


class Thinned(Generic[T]):
    """At most `most` of the items that were added, evenly spread, and always the last one.

    >>> some = Thinned(4)
    >>> for i in range(11):
    ...     some.add(i)
    >>> list(some), some.every
    ([0, 4, 8, 10], 4)
    """

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self.every = 1
        """One of so many is kept."""
        self._kept: dict[int, T] = {}
        """By their numbers."""
        self._count = 0
        self.last: T | None = None

    def add(self, item: T) -> None:
        """Take the item that comes next."""
        if self._count % self.every == 0:
            self._kept[self._count] = item
            # Every second one goes, not the oldest: a picture shows the whole way, if more
            # coarsely.
            while len(self._kept) > self.most:
                self.every *= 2
                self._kept = {n: some for n, some in self._kept.items() if n % self.every == 0}
        self._count += 1
        self.last = item

    def keep(self, stays: Callable[[T], bool]) -> None:
        """Those for which it says so; the next one comes after the last of them."""
        self._keep({n for n, item in self._held().items() if stays(item)})

    def _keep(self, numbers: set[int]) -> None:
        held, self._count = self._held(), max(numbers, default=-1) + 1
        self.last = held[self._count - 1] if numbers else None
        self._kept = {n: item for n, item in self._kept.items() if n in numbers}

    def _held(self) -> dict[int, T]:
        """All that is here, by its number."""
        # The end of a curve is what is looked at first, and must not wait for its turn.
        return self._kept if self.last is None else {**self._kept, self._count - 1: self.last}

    def __iter__(self) -> Iterator[T]:
        yield from Thinned._held(self).values()

    def __bool__(self) -> bool:
        return self._count > 0


class Curve(Thinned[dict[str, Any]]):
    """Rows of one player. A peak may be one row wide, and is what a curve is looked at for: so with
    `peaks` there are also the rows where some field is at its least or greatest of a stretch, or is
    no finite number.

    >>> curve = Curve(32)
    >>> for i in range(1000):
    ...     curve.add({"step": i, "loss": 9.0 if i == 501 else 1.0})
    >>> 501 in {row["step"] for row in curve}, 501 in {row["step"] for row in curve.peaks()}
    (False, True)
    """

    def __init__(self, most: int = MOST) -> None:
        super().__init__(most)
        self._stretches: list[Found] = []
        self._long = 1
        """Rows of a stretch."""
        self._block: Found = {}

    def add(self, item: dict[str, Any]) -> None:
        """Take the row that comes next."""
        self._block[self._count] = item
        if len(self._block) >= BLOCK:
            self._take()
        super().add(item)

    def peaks(self) -> list[dict[str, Any]]:
        """All that is kept, as it came."""
        self._take()
        held = self._held() if self.every > 1 else super()._held()
        return [held[n] for n in sorted(held)]

    def _keep(self, numbers: set[int]) -> None:
        super()._keep(numbers)
        self._block, *self._stretches = (
            {n: row for n, row in rows.items() if n in numbers}
            for rows in (self._block, *self._stretches)
        )

    def _held(self) -> Found:
        out = {**super()._held(), **self._block}
        for stretch in self._stretches:
            out |= stretch
        return out

    def _take(self) -> None:
        groups: dict[int, Found] = {}
        for n, row in self._block.items():
            groups.setdefault(n // self._long, {})[n] = row
        for number, rows in groups.items():
            self._stretches += [{} for _ in range(number + 1 - len(self._stretches))]
            self._stretches[number] = extremes(self._stretches[number] | rows)
        self._block = {}
        while len(self._stretches) > max(2, self.most // SPAN):
            pairs = zip(self._stretches[::2], [*self._stretches[1::2], {}], strict=False)
            self._stretches, self._long = [extremes(a | b) for a, b in pairs], 2 * self._long


def extremes(rows: Found) -> Found:
    """Of each field the rows with its least and greatest value, and the first that is not finite.

    >>> sorted(extremes({1: {"a": 3}, 2: {"a": 2}, 3: {"a": 1}, 4: {"a": math.nan}}))
    [1, 3, 4]
    """
    out: Found = {}
    numbers, all_rows = [*rows], [*rows.values()]
    for field in set[str]().union(*all_rows) - PLACES:
        for i in _ends([row.get(field) for row in all_rows]):
            out[numbers[i]] = all_rows[i]
    return out


def _ends(values: list[Any]) -> list[int]:
    """Where they are least, greatest, and first no finite number."""
    try:
        # almost always, and fast: a log has millions of rows
        if math.isfinite(sum(values)):
            return [values.index(min(values)), values.index(max(values))]
    except TypeError:  # not all of them have a number
        pass
    there = [i for i, v in enumerate(values) if isinstance(v, int | float)]
    finite = [i for i in there if math.isfinite(values[i])]
    odd = [i for i in there if not math.isfinite(values[i])][:1]
    of = values.__getitem__
    return [min(finite, key=of), max(finite, key=of), *odd] if finite else odd
