"""Which checkpoints stay: promised in the record that makes others superfluous, and only then are
those removed. A kill between leaves more than is kept, never less.
"""

from __future__ import annotations

from collections.abc import Collection

from raygan.controller.history import Entry


def promise(
    index: list[Entry], keep: int | None, best: Collection[int], there: Collection[str]
) -> list[Entry]:
    """Which of these must be there from now on; the last is new. One that is lost from the disk
    counts for nothing, and stays promised: whoever comes to need it is told.
    """
    present = [e.folder for e in index if e.folder in there or e is index[-1]]
    kept = kept_of([e for e in index if e.folder in present], keep, best)
    return [
        Entry(
            e.step,
            e.folder,
            e.manifest,
            e.promised and (e.folder in kept or e.folder not in present),
        )
        for e in index
    ]


def kept_of(present: list[Entry], keep: int | None, best: Collection[int]) -> set[str]:
    """The folders of the newest `keep` of those that are there (None: all), and the newest of each
    step in `best`.
    """
    newest = {e.step: e.folder for e in present}
    return {*(e.folder for e in present[-(keep or 0) :]), *(newest[s] for s in best if s in newest)}
