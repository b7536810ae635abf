"""The pictures that need no checkpoint: the report has them, and the live page draws them again and
again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from raygan.data.base import Samples
from raygan.metrics.ranking import cannot_tell
from raygan.service.runs.downsampling import Curve, Thinned
from raygan.service.runs.run import Run
from raygan.service.scores.score_table import SKIP
from raygan.service.views.chart import Chart
from raygan.service.views.standing import FEW, Standing, standing
from raygan.service.views.stored import Show

ROWS = 5
"""Pairs whose samples are all shown over time."""


@dataclass(frozen=True)
class Drawing:
    """A picture that can be drawn from a run's files, while it goes on too."""

    key: str
    title: str
    note: str
    make: Callable[[], bytes | Chart | None]
    """Curves are given before they are drawn: the report's reader may ask them things."""

    def draw(self) -> bytes | None:
        """The drawing as a PNG; None where there is nothing to draw."""
        from raygan.service.views.chart_png import drawn  # matplotlib takes half a second

        made = self.make()
        return drawn(made) if isinstance(made, Chart) else made


def drawings(run: Run, data: Samples, found: Standing, show: Show) -> list[Drawing]:
    """The pictures that need no checkpoint, of what is `pictured`: the report has them, and the
    live page draws them again and again.
    """
    # Here, not at the top: matplotlib takes half a second.
    from raygan.service.views import curves, heat_maps, meetings, pictures, slots

    digest, roles = run.digest, run.roles
    entry, out = entry_of(run), list[Drawing]()
    tracked = _tracked(run, entry, found.metric)
    if show and not data.text:
        out.append(
            Drawing(
                "samples",
                "Samples over time",
                "",
                lambda: pictures.samples_over_time(
                    {p: show[p] for p in found.of(show, roles, ROWS)}, data, roles
                ),
            )
        )
        note = "Dashed: the fair share. Points further than 3 std from every mode are not counted."
        out.append(
            Drawing("modes", "Modes", note, lambda: pictures.mode_histograms(show, data, roles))
        )
    if tracked:
        note = (
            "Against steps, and against seconds of wall time; the mixture is not a single"
            f" generator. {_rows_of(digest.scored)}"
        ).strip()
        floor, ceiling = entry["floor"], entry["ceiling"]
        out.append(
            Drawing(
                "scores",
                "Scores",
                note,
                lambda: curves.scores_over_time(run, tracked, floor, ceiling, found),
            )
        )
    metric = found.metric if found.metric in tracked else next(iter(tracked), None)
    if metric and len(run.pairs) > FEW:
        every = max(scores.every for scores in digest.scored.values())
        note = "A lane a pair, the best at the end first." + (
            f" One of {every} rows is drawn." if every > 1 else ""
        )
        out.append(
            Drawing(
                "pairs",
                "All pairs",
                note,
                lambda: heat_maps.heat(digest.scored, metric, found.order),
            )
        )
    if digest.trained:
        out.append(
            Drawing(
                "training",
                "Training",
                _rows_of(digest.trained),
                lambda: curves.training_curves(run, found),
            )
        )
    note = (
        "Mean over the local pairs' copies in use, in steps; dashed: the bound of this tempo."
        f" {_rows_of({'': digest.pulls})}"
    ).strip()
    out.append(
        Drawing(
            "lag",
            "Age of what the global pair learns from",
            note,
            lambda: curves.lag_over_time(run),
        )
    )
    note = (
        "A lane a seat, a colour a discriminator (by the pair of its birth); where it changes, two"
        " have swapped."
    )
    out.append(Drawing("swaps", "Who met whom", note, lambda: meetings.swap_ribbons(run)))
    note = (
        "PMGAN: how strongly each generator is pushed off the others, and how old the judge's view"
        f" of it was. {_rows_of({'': digest.slots})}"
    ).strip()
    out.append(
        Drawing("slots", "Balance and lag", note, lambda: slots.balance_over_time(run, found))
    )
    note = (
        "PMGAN: a lane a generator; how many steps its slot was behind the newest one that the"
        " judge used. Grey: not there."
    )
    out.append(Drawing("raster", "Slots", note, lambda: slots.slot_raster(run)))
    return out


def _rows_of(curves: Mapping[str, Thinned[Any]]) -> str:
    """How many of the logs' rows are drawn; "" where all are."""
    every = max((curve.every for curve in curves.values()), default=1)
    peaks = any(isinstance(curve, Curve) for curve in curves.values())
    ends = ", and of each stretch its least and its greatest value" if peaks else ""
    return f"One of {every} rows is drawn{ends}." if every > 1 else ""


def entry_of(run: Run) -> dict[str, Any]:
    """Floor and ceiling of the run's scores."""
    protocols, entry = (
        run.info.get("protocols", {}),
        {"floor": dict[str, Any](), "ceiling": dict[str, Any]()},
    )
    for row in run.scores().values():
        entry = protocols.get(row["protocol"], entry)
    return entry


def _tracked(run: Run, entry: dict[str, Any], first: str | None, most: int = 4) -> list[str]:
    """Scores that were followed through the run: the one that decides, others that can tell noise
    from real data, then the rest.
    """
    rows = next(iter(run.digest.scored.values()), ())
    there = [k for k in next(iter(rows), {}) if k not in SKIP]
    # A score by which noise is as good as real data comes last (decision 71).
    blind = cannot_tell(entry["floor"], entry["ceiling"])
    return sorted(there, key=lambda m: (m != first, m in blind, m not in entry["ceiling"]))[:most]


def pictured(run: Run) -> tuple[Standing, Show]:
    """How the pairs stand, and samples of the players that pictures show by name; the others' files
    are not read.
    """
    from raygan.service.views.stored import stored_samples

    found, roles = standing(run, entry_of(run)), run.roles
    # Once a player: it is asked of each file, and a long run has thousands.
    asked = cache(lambda player: bool(found.of([player], roles)))
    return found, stored_samples(run, asked)
