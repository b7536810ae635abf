"""The pictures of a report: functions from a run to a PNG. Colours mean the same in all of them.

main (global) = red, mixture = teal, judge = gold, a single pair = its own of eight, any other
player = brown, real data = grey, floor and ceiling = dashed. All stand out from white by 3:1 and
more, and pairs from each other where red and green are one (a test measures it).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from raygan.data.base import Samples, to_uint8
from raygan.metrics.modes import mode_counts
from raygan.service.views.colours import MAIN, REAL, colour
from raygan.service.views.paper import STYLE, plt, png
from raygan.service.views.sheet import tile
from raygan.service.views.stored import Show, spread
from raygan.strategies.roles import Roles, ordered


def samples_over_time(show: Show, data: Samples, roles: Roles) -> bytes:
    """A row a generator and one for real data, a column a step."""
    players = ordered(show, roles)
    steps = spread(sorted({s for by in show.values() for s in by}))
    rows = [*players, "real data"] if data.whole else players
    # one frame for all panels: points that move are seen to move
    frame = None if data.is_images else frame_of(data, show)
    with plt.rc_context({**STYLE, "axes.grid": False}):
        figure, axes = plt.subplots(
            len(rows),
            len(steps),
            figsize=(1.75 * len(steps), 1.75 * len(rows)),
            squeeze=False,
            layout="constrained",
        )
        for i, player in enumerate(rows):
            for j, step in enumerate(steps):
                axis = axes[i][j]
                if player == "real data":
                    _draw(axis, _real(data), data, REAL, frame)
                elif step in show[player]:
                    _draw(axis, show[player][step], data, colour(player, roles), frame)
                else:
                    _empty(axis)
                if i == 0:
                    axis.set_title(f"step {step}", fontsize=9)
                if j == 0:
                    axis.set_ylabel(player, fontsize=9)
    return png(figure)


def _real(data: Samples) -> npt.NDArray[np.generic]:
    import torch

    batch = data.held_out_batch(64 if data.is_images else 1000, torch.Generator().manual_seed(0))
    return to_uint8(batch) if data.is_images else np.asarray(batch.numpy())


def _empty(axis: Any) -> None:
    """Nothing but its row's name and its column's step: axis("off") would hide those too."""
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[:].set_visible(False)
    axis.patch.set_visible(False)


Frame = tuple[npt.NDArray[Any], npt.NDArray[Any]]


def frame_of(data: Samples, show: Show) -> Frame:
    """(low, high) of each column: the real data's, so that all panels and steps have one scale;
    where nobody holds them, that of the middle 98 % of the last samples.
    """
    if data.whole:
        return data.held_out[:].min(0), data.held_out[:].max(0)
    last = np.concatenate([np.asarray(by[max(by)], float) for by in show.values()])
    low, high = np.quantile(last, [0.01, 0.99], axis=0)
    return low, high


def _draw(
    axis: Any, samples: npt.NDArray[np.generic], data: Samples, tint: Any, frame: Frame | None
) -> None:
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_visible(True)
        spine.set_color("#d0d0d0")
    if data.is_images:
        # vmin, vmax: matplotlib would stretch each picture to its own darkest and brightest.
        axis.imshow(tile(samples[:36], 6), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        return
    assert frame is not None, "points have one"
    low, high = frame
    pad = 0.25 * (high - low).max() or 1.0
    if data.shape == (1,):
        axis.hist(samples[:, 0], 50, (low[0] - pad, high[0] + pad), color=tint)
        return
    if data.modes is not None:
        axis.scatter(
            *data.modes.means.T, s=55, facecolors="none", edgecolors="#b5b5b5", linewidths=0.8
        )
    axis.scatter(samples[:, 0], samples[:, 1], s=2.0, color=tint, alpha=0.5, linewidths=0)
    axis.set_xlim(low[0] - pad, high[0] + pad)
    axis.set_ylim(low[1] - pad, high[1] + pad)
    axis.set_aspect("equal")


def panels(count: int) -> tuple[Any, Any]:
    """(figure, axes (rows, across)) of so many small panels, four a row."""
    rows = -(-count // 4)
    figure, axes = plt.subplots(
        rows,
        min(4, count),
        figsize=(9.6, 1.9 * rows),
        squeeze=False,
        layout="constrained",
        sharey=True,
    )
    for axis in axes.flat[count:]:
        axis.axis("off")
    return figure, axes


def mode_histograms(show: Show, data: Samples, roles: Roles) -> bytes | None:
    """Share of the high-quality points at each mode, a panel a generator; None for data without
    modes.
    """
    if data.modes is None:
        return None
    players = ordered(show, roles)
    count = len(data.modes.means)
    with plt.rc_context(STYLE):
        figure, axes = panels(len(players))
        for axis, player in zip(axes.flat, players, strict=False):
            last = show[player][max(show[player])]
            axis.bar(
                range(count),
                # over all points, those between modes included: bars need not add up to 1
                mode_counts(last.astype(np.float64), data.modes) / len(last),
                color=colour(player, roles),
            )
            axis.axhline(1 / count, color="#333333", linewidth=0.8, linestyle="--")
            axis.set_title(player, fontsize=9)
            axis.set_xticks(range(count) if count <= 10 else [0, count - 1])
        axes[0][0].set_ylabel("share of all points")
    return png(figure)


def save_grid(samples: npt.NDArray[np.float32], out: Path) -> None:
    """Write samples as one PNG grid: `raygan sample -o x.png`."""
    out.write_bytes(drawn_grid(samples))


def drawn_grid(samples: npt.NDArray[np.float32]) -> bytes:
    """PNG: images as a grid, points as a scatter."""
    import torch

    with plt.rc_context({**STYLE, "axes.grid": False}):
        figure, axis = plt.subplots(figsize=(6, 6), layout="constrained")
        if samples.ndim == 4:
            across = int(np.ceil(np.sqrt(len(samples))))
            axis.imshow(
                tile(to_uint8(torch.from_numpy(samples)), across), cmap="gray", vmin=0, vmax=255
            )
            axis.axis("off")
        elif samples.shape[1] == 1:
            axis.hist(samples[:, 0], 50, color=MAIN)
        else:
            axis.scatter(samples[:, 0], samples[:, 1], s=3, color=MAIN, alpha=0.6, linewidths=0)
            axis.set_aspect("equal")
        return png(figure)
