"""Reports of a player's rounds that will share one row of metrics.jsonl."""

from __future__ import annotations

from collections.abc import Mapping


class Pending:
    """Means over steps, sums of seconds, the last of each counter."""

    def __init__(self, begin: int) -> None:
        self.begin = begin
        self.steps = 0
        self._sums: dict[str, float] = {}
        self._weights: dict[str, float] = {}
        self._last: dict[str, float] = {}

    def add(self, steps: int, report: Mapping[str, float]) -> None:
        """Count a report in."""
        self.steps += int(report.get("steps_done", steps))
        for key, value in report.items():
            if key in ("bad_steps", "updates"):
                self._last[key] = value
            elif key != "steps_done":
                weight = 1.0 if key in ("seconds", "wait_s") else float(steps)
                self._sums[key] = self._sums.get(key, 0.0) + value * weight
                self._weights[key] = self._weights.get(key, 0.0) + weight

    def report(self) -> dict[str, float]:
        """The row's numbers."""
        means = {k: s if k in ("seconds", "wait_s") else s / self._weights[k] for k, s in self._sums.items()}
        return {**means, **self._last}
