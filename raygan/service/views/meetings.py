"""Pictures of who met whom: swaps, and the verdicts of GAM-II."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from raygan.service.runs.run import Run
from raygan.service.views import heat_maps
from raygan.service.views.colours import shade
from raygan.service.views.paper import STYLE, png

import matplotlib.pyplot as plt  # isort: skip  (pictures chooses the backend)
from matplotlib.collections import LineCollection  # isort: skip
from matplotlib.colors import ListedColormap  # isort: skip
from matplotlib.patches import Rectangle  # isort: skip


def swap_ribbons(run: Run) -> bytes | None:
    """A lane a seat, a ribbon a discriminator (coloured by its birth), over steps; crossings are
    swaps.
    """
    seats = run.digest.seats
    if not seats.count:
        return None
    lanes = {p: i for i, p in enumerate(dict.fromkeys([*run.pairs, *sorted(seats.seen)]))}
    with plt.rc_context({**STYLE, "axes.grid": False}):
        figure, axis = plt.subplots(
            figsize=(9.6, heat_maps.height(len(lanes), 0.34)), layout="constrained"
        )
        # The digest has thinned them: ribbons need every move, columns do not.
        if seats.count > len(seats.moves):
            _seats_as_columns(axis, seats.columns, lanes, run.config.steps)
        else:
            _seats_as_ribbons(axis, seats.moves, lanes, run.config.steps)
        heat_maps.lanes(axis, list(lanes))
        axis.set_xlim(0, run.config.steps)
        axis.set_xlabel("step")
    return png(figure)


def _seats_as_ribbons(
    axis: Any,
    moves: Sequence[tuple[int, Sequence[Mapping[str, Any]]]],
    lanes: Mapping[str, int],
    end: int,
) -> None:
    names = list(lanes)
    holds, since = {p: p for p in names}, dict.fromkeys(names, 0)
    ribbons, crossings = list[tuple[Any, Any]](), list[tuple[Any, Any]]()
    for step, taken in moves:
        for move in taken:
            # By the move's own word, not from what was at its source: that may have come by a swap
            # which was undone.
            seat, source, held = move["player"], move["from"], move["identity"]
            ribbons.append(
                ([(since[seat], lanes[seat]), (step, lanes[seat])], shade(holds[seat], names))
            )
            crossings.append(
                ([(step, lanes.get(source, lanes[seat])), (step, lanes[seat])], shade(held, names))
            )
            holds[seat], since[seat] = held, step
    ribbons += [([(since[p], lanes[p]), (end, lanes[p])], shade(holds[p], names)) for p in names]
    for lines, width in ((ribbons, 5), (crossings, 0.6)):
        axis.add_collection(
            LineCollection(
                [ends for ends, _ in lines],
                colors=[tint for _, tint in lines],
                linewidths=width,
                capstyle="butt",
            )
        )


def _seats_as_columns(
    axis: Any, columns: Sequence[tuple[int, Mapping[str, str]]], lanes: Mapping[str, int], end: int
) -> None:
    """More swaps than a picture can show: who sat where at one in so many of them."""
    names = list(lanes)
    births = {
        name: i
        for i, name in enumerate(
            dict.fromkeys([*names, *(h for _, held in columns for h in held.values())])
        )
    }
    held = np.array([[births[seats.get(p, p)] for _, seats in columns] for p in names])
    edges = [step for step, _ in columns]
    axis.pcolormesh(
        [*edges, max(end, edges[-1] + 1)], np.arange(len(names) + 1) - 0.5, held, vmin=0,
        vmax=len(births), cmap=ListedColormap([shade(b, names) for b in births]),
    )  # fmt: skip


def gam2_matrix(found: Mapping[str, Any]) -> bytes:
    """A GAM-II matrix: bright: many samples taken for real; hatched: the two have met."""
    rates = np.array([[np.nan if v is None else v for v in row] for row in found["rates"]])
    with plt.rc_context({**STYLE, "axes.grid": False}):
        figure, axis = plt.subplots(
            figsize=(min(1.8 + 0.55 * rates.shape[1], 9.6), min(1.6 + 0.3 * rates.shape[0], 6.0)),
            layout="constrained",
        )
        image = axis.imshow(
            np.ma.masked_invalid(rates),
            cmap="viridis",
            vmin=0,
            vmax=max(0.5, np.nanmax(rates)),
            aspect="auto",
        )
        for i, j in zip(*np.nonzero(np.isnan(rates)), strict=True):
            axis.add_patch(
                Rectangle(
                    (j - 0.5, i - 0.5),
                    1,
                    1,
                    fill=False,
                    hatch="////",
                    edgecolor="#bbbbbb",
                    linewidth=0,
                )
            )
        heat_maps.lanes(axis, list(found["discriminators"]))
        # One name in so many: 128 generators' names would be a black bar.
        every = -(-rates.shape[1] // heat_maps.LANES)
        axis.set_xticks(
            range(0, rates.shape[1], every), found["generators"][::every], rotation=90, fontsize=6
        )
        figure.colorbar(image, ax=axis, label="share taken for real")
    return png(figure)
