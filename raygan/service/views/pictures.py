"""The pictures of a report: functions from a run to a PNG. Colours mean the same in all of them.

main (global) = red, mixture = teal, judge = gold, a single pair = its own of eight, any other
player = brown, real data = grey, floor and ceiling = dashed. All stand out from white by 3:1 and
more, and pairs from each other where red and green are one (a test measures it).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from raygan.controller.files import open_plain
from raygan.controller.lines import NOTES
from raygan.data.base import Samples, to_uint8
from raygan.metrics.modes import mode_counts
from raygan.metrics.ranking import marked
from raygan.service.runs.run import Run
from raygan.service.views import crowd
from raygan.service.views.paper import STYLE as STYLE
from raygan.service.views.paper import plt as plt
from raygan.service.views.paper import png as png
from raygan.service.views.sheet import tile
from raygan.service.views.standing import FEW, Standing
from raygan.strategies.base import strategy_of
from raygan.strategies.roles import MIXTURE, Roles, ordered, role_of

REAL, MAIN, MIXED, JUDGING, OTHER = "#8a8a8a", "#c8102e", "#00796b", "#9a6a00", "#7f5539"
PAIRS = ("#0072b2", "#8a8a3a", "#332288", "#c2699f", "#5c3c00", "#3a86ff", "#882255", "#cc6677")
"""A pair's colour is by its number: the same in every picture, with others shown or not."""
COLUMNS = 6
"""Steps whose samples are shown."""
Show = dict[str, dict[int, npt.NDArray[np.generic]]]


def colour(player: str, roles: Roles) -> Any:
    """A player's colour, in every picture."""
    role = role_of(player, roles)
    if player == MIXTURE:
        return MIXED
    if role.main or role.judges:
        return MAIN if role.main else JUDGING
    return shade(player, [p for p, r in roles.items() if r.pair]) if role.pair else OTHER


def shade(name: str, among: Sequence[str]) -> Any:
    """One of so many alike."""
    return PAIRS[among.index(name) % len(PAIRS)] if name in among else OTHER


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
            samples: npt.NDArray[np.generic] = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError, MemoryError) as error:
        NOTES.warning("%s is damaged, and was passed over (%s)", path, error)
        return None
    return samples


def samples_over_time(show: Show, data: Samples, roles: Roles) -> bytes:
    """A row a generator and one for real data, a column a step."""
    players = ordered(show, roles)
    steps = spread(sorted({s for by in show.values() for s in by}))
    rows = [*players, "real data"]
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
                    _draw(axis, _real(data), data, REAL)
                elif step in show[player]:
                    _draw(axis, show[player][step], data, colour(player, roles))
                else:
                    axis.axis("off")
                if i == 0:
                    axis.set_title(f"step {step}", fontsize=9)
                if j == 0:
                    axis.set_ylabel(player, fontsize=9)
    return png(figure)


def _real(data: Samples) -> npt.NDArray[np.generic]:
    import torch

    batch = data.held_out_batch(64 if data.is_images else 1000, torch.Generator().manual_seed(0))
    return to_uint8(batch) if data.is_images else np.asarray(batch.numpy())


def _draw(axis: Any, samples: npt.NDArray[np.generic], data: Samples, tint: Any) -> None:
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_visible(True)
        spine.set_color("#d0d0d0")
    if data.is_images:
        axis.imshow(tile(samples[:36], 6), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        return
    low, high = data.held_out[:].min(0), data.held_out[:].max(0)
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
                mode_counts(last.astype(np.float64), data.modes) / len(last),
                color=colour(player, roles),
            )
            axis.axhline(1 / count, color="#333333", linewidth=0.8, linestyle="--")
            axis.set_title(player, fontsize=9)
            axis.set_xticks(range(count) if count <= 10 else [0, count - 1])
        axes[0][0].set_ylabel("share of all points")
    return png(figure)


def scores_over_time(
    run: Run,
    metrics: Sequence[str],
    floor: dict[str, float],
    ceiling: dict[str, float],
    found: Standing,
) -> bytes:
    """Each score against steps and against seconds; ceiling and floor dashed; of many pairs bands
    and the chosen ones.
    """
    scored = run.digest.scored
    roles = run.roles
    players = found.of(ordered(scored, roles), roles)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            len(metrics),
            2,
            figsize=(9.6, 2.3 * len(metrics)),
            squeeze=False,
            layout="constrained",
            sharey="row",
        )
        for i, metric in enumerate(metrics):
            for j, (x, label) in enumerate((("step", "step"), ("elapsed", "seconds"))):
                axis = axes[i][j]
                if len(found.gone) > FEW:
                    crowd.band(axis, {p: scored[p] for p in found.gone if p in scored}, x, metric)
                for player in players:
                    mine = [r for r in scored[player] if metric in r]
                    main = role_of(player, roles).main
                    wide = 2.2 if main or player == MIXTURE else 1.0
                    axis.plot(
                        [r[x] for r in mine], [r[metric] for r in mine], color=colour(player, roles), linewidth=wide,
                        linestyle=found.dashes(player), marker="o", markersize=2.5,
                        label=found.told(player), zorder=3 if main else 2,
                    )  # fmt: skip
                if metric in ceiling:
                    axis.axhline(
                        ceiling[metric],
                        color="#222222",
                        linestyle="--",
                        linewidth=0.8,
                        label="ceiling (real data)",
                    )
                if metric in floor and abs(floor[metric]) < 20 * (abs(ceiling.get(metric, 1)) + 1):
                    axis.axhline(
                        floor[metric],
                        color="#999999",
                        linestyle=":",
                        linewidth=1.0,
                        label="floor (noise)",
                    )
                if i == len(metrics) - 1:
                    axis.set_xlabel(label)
            axes[i][0].set_ylabel(marked([metric], floor, ceiling)[0])
        axes[0][1].legend(fontsize=7, loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    return png(figure)


TRAINING = {
    "loss_d": "loss of D",
    "loss_g": "loss of G",
    "d_accuracy": "accuracy of D (locals)",
    "grad_d": "first-layer gradient of D",
    "grad_g": "first-layer gradient of G",
}


def training_curves(run: Run, found: Standing) -> bytes:
    """Losses, D's accuracy and first-layer gradient sizes of every player; of many pairs bands and
    the chosen ones.
    """
    trained = run.digest.trained
    roles = run.roles
    players = found.of(ordered(trained, roles), roles)
    fields = [f for f in TRAINING if any(f in r for some in trained.values() for r in some)]
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            -(-len(fields) // 2),
            2,
            figsize=(9.6, 2.2 * -(-len(fields) // 2)),
            squeeze=False,
            layout="constrained",
        )
        for axis in axes.flat[len(fields) :]:
            axis.axis("off")
        for axis, field in zip(axes.flat, fields, strict=False):
            if len(found.gone) > FEW:
                crowd.band(axis, {p: trained[p] for p in found.gone if p in trained}, "step", field)
            for player in players:
                mine, main = [r for r in trained[player] if field in r], role_of(player, roles).main
                axis.plot(
                    [r["step"] for r in mine], [r[field] for r in mine], color=colour(player, roles),
                    linewidth=1.8 if main else 0.9, linestyle=found.dashes(player), label=found.told(player),
                    zorder=3 if main else 2,
                )  # fmt: skip
            axis.set_title(TRAINING[field], fontsize=9)
            if field.startswith("grad"):
                axis.set_yscale("log")
        axes.flat[0].legend(fontsize=7, frameon=False, ncols=2)
    return png(figure)


def lag_over_time(run: Run) -> bytes | None:
    """How old the copies are that the global pair learns from, with the bound; None without a
    global pair.
    """
    pulls = list(run.digest.pulls)
    if not pulls:
        return None
    bound = strategy_of(run.config).lag_bound(run.config)
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(9.6, 1.9), layout="constrained")
        axis.plot([e["step"] for e in pulls], [e["lag"] for e in pulls], color=MAIN, linewidth=1.5)
        if bound is not None:
            axis.axhline(bound, color="#222222", linestyle="--", linewidth=0.8)
            at, where = (1, bound), ("axes fraction", "data")
            axis.annotate(f"bound {bound}", at, xycoords=where, ha="right", va="bottom", fontsize=8)
        axis.set_ylim(0, max(bound or 0, *(e["lag"] for e in pulls)) * 1.25 + 0.5)
        axis.set_xlabel("step of the global pair")
        axis.set_ylabel("mean lag (steps)")
    return png(figure)


def phases(run: Run) -> bytes:
    """Each player's time: training, and everything else (waiting for orders, versions, start); adds
    up to 100 %.
    """
    info = run.info
    total = float(info["elapsed"])
    roles = run.roles
    players = ordered(info["busy_seconds"], roles)
    if len(players) > crowd.LANES:
        return _phases_of_many({p: info["busy_seconds"][p] / total for p in players})
    busy = [100 * info["busy_seconds"][p] / total for p in players]
    with plt.rc_context({**STYLE, "axes.grid": False}):
        figure, axis = plt.subplots(figsize=(9.6, 0.6 + 0.28 * len(players)), layout="constrained")
        axis.barh(players, busy, color=[colour(p, roles) for p in players])
        axis.barh(players, [100 - b for b in busy], left=busy, color="#eeeeee")
        for i, b in enumerate(busy):
            axis.text(
                101,
                i,
                f"{b:.0f} % training, {100 - b:.0f} % starting and waiting",
                va="center",
                fontsize=8,
            )
        axis.set_xlim(0, 100)
        axis.invert_yaxis()
        axis.set_xlabel("% of the run's wall time")
    return png(figure)


def _phases_of_many(shares: dict[str, float]) -> bytes:
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(9.6, 2.0), layout="constrained")
        axis.hist(
            [100 * share for share in shares.values()], bins=20, range=(0, 100), color=PAIRS[0]
        )
        axis.set_xlabel("% of the run's wall time that a player trained")
        axis.set_ylabel("players")
    return png(figure)


def save_grid(samples: npt.NDArray[np.float32], out: Path) -> None:
    """`raygan sample -o x.png`."""
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
