"""Samples that a run has kept, of as many steps as a picture can show."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from raygan.controller.files import open_plain
from raygan.controller.jsonl import NOTES
from raygan.service.runs.run import Run

COLUMNS = 6
"""Steps whose samples are shown."""
Show = dict[str, dict[int, npt.NDArray[np.generic]]]


def stored_samples(run: Run, wanted: Callable[[str], bool] = lambda player: True) -> Show:
    """wanted player -> step -> samples: of COLUMNS steps, evenly spread, and each player's last; a
    long run has kept more than fits.
    """
    files: dict[str, dict[int, Path]] = {}
    for path in (run.path / "samples").glob("*.npy"):
        number, _, player = path.stem.partition("-")
        if number.isdigit() and wanted(player):
            files.setdefault(player, {})[int(number)] = path
    steps = spread(sorted({step for by in files.values() for step in by}))
    out: Show = {}
    for player, by in files.items():
        found: dict[int, npt.NDArray[np.generic]] = {}
        # From the last step: that one is kept whatever the grid of steps says, since a player that
        # left has no other.
        for step in sorted(by, reverse=True):
            if (step in steps or not found) and (samples := _load(by[step])) is not None:
                found[step] = samples
        if found:
            out[player] = found
    return out


def spread(steps: Sequence[int]) -> list[int]:
    """
    >>> spread(range(0, 1001, 10))
    [0, 200, 400, 600, 800, 1000]
    """
    return (
        [steps[i] for i in sorted({round(x) for x in np.linspace(0, len(steps) - 1, COLUMNS)})]
        if steps
        else []
    )


def _load(path: Path) -> npt.NDArray[np.generic] | None:
    try:
        with os.fdopen(open_plain(path), "rb") as file:
            # Opened by us: no link, no pipe (a run folder may be a stranger's), and never a
            # pickle.
            samples: npt.NDArray[np.generic] = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError, MemoryError) as error:
        NOTES.warning("%s is damaged, and was passed over (%s)", path, error)
        return None
    return samples
