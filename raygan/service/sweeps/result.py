"""What a sweep has found, in Python: `raygan.sweep(...)` returns it."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from raygan.service.runs.run import Run
from raygan.service.sweeps.file import Sweep
from raygan.service.sweeps.report import text, write
from raygan.service.sweeps.source import SweepSource
from raygan.service.sweeps.table import Frame, best_points, load, over_seeds, table
from raygan.service.sweeps.tune import TrialsFailed, sweep


def run_sweep(source: SweepSource, **asked: Any) -> SweepResult:
    """Run a sweep as `tune.sweep` does, and write its report, also where trials have failed (which
    is raised then). With nothing left to do reports are made anew from the runs.
    """
    try:
        folder = sweep(source, **asked)
    except TrialsFailed as error:
        write(error.folder)
        raise
    write(folder)
    return SweepResult(folder)


class SweepResult:
    """A sweep's folder as a table and runs. What is asked for is read once: `SweepResult.load` sees
    what has come since.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spec: Sweep = load(path)

    @classmethod
    def load(cls, path: str | Path) -> SweepResult:
        """Of a sweep's folder, also of one that still runs. Raises ConfigError."""
        return cls(Path(path))

    @cached_property
    def table(self) -> Frame:
        """A DataFrame, a row a run: settings, `metric`, `step`, costs, `status`."""
        return table(self.path)

    @cached_property
    def means(self) -> Frame:
        """A DataFrame, a row a setting: `metric` and `std` over `n` seeds, and mean costs."""
        return over_seeds(self.spec, self.table)

    @property
    def best(self) -> dict[str, Any]:
        """The setting with the best mean over seeds, the first of those that are level; empty where
        nothing is whole, or where only seeds are swept.
        """
        return next(iter(best_points(self.spec, self.means)), {})

    @cached_property
    def runs(self) -> dict[str, Run]:
        """The runs that are there, by their names (`table`'s column `run`)."""
        there = (self.path / "runs" / str(name) for name in self.table["run"])
        return {path.name: Run.load(path) for path in there if (path / "run.json").exists()}

    def __str__(self) -> str:
        return text(self.path)

    def __repr__(self) -> str:
        return f"<SweepResult {self.path}: {len(self.table)} trials>"

    def _repr_html_(self) -> str:
        """In a notebook: the means over seeds."""
        html: str = self.means.to_html(index=False, float_format="{:.4g}".format)
        return html
