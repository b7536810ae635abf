"""Curves over steps and seconds: scores, training, the age of copies; and where the time went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from raygan.metrics.ranking import marked
from raygan.service.runs.downsampling import Curve
from raygan.service.runs.run import Run
from raygan.service.views import heat_maps
from raygan.service.views.chart import Chart, Level, Line, Panel, Rows, bands, line_of
from raygan.service.views.colours import MAIN, PAIRS, colour
from raygan.service.views.paper import STYLE, plt, png
from raygan.service.views.standing import FEW, Standing
from raygan.strategies.base import strategy_of
from raygan.strategies.roles import MIXTURE, ordered, role_of

OVER_STEPS, OVER_BOTH = {"step": "step"}, {"step": "step", "elapsed": "seconds"}


def lines(
    curves: Mapping[str, Rows],
    value: str,
    run: Run,
    found: Standing,
    axes: Mapping[str, str] = OVER_STEPS,
    wide: tuple[float, float] = (0.9, 1.8),
    marked: bool = False,
) -> list[Line]:
    """A line a player that has such a value, the main one first and wider; of many pairs the chosen
    ones are named.
    """
    roles, out = run.roles, list[Line]()
    named = {*found.of(curves, roles)}
    for player in ordered(curves, roles):
        main = role_of(player, roles).main
        rows = curves[player]
        if isinstance(rows, Curve):
            # To a curve; what is told of all players at one step needs rows that all of them have.
            rows = rows.peaks()
        line = line_of(
            rows, axes, value, player=player, label=found.told(player),
            colour=colour(player, roles), named=player in named, marked=marked, front=main,
            width=wide[main or (marked and player == MIXTURE)], dashes=found.dashes(player),
        )  # fmt: skip
        if line.values:
            out.append(line)
    return out


def crowds(
    curves: Mapping[str, Rows], value: str, found: Standing, axes: Mapping[str, str] = OVER_STEPS
) -> dict[str, Any]:
    """The bands of all pairs, where they are many."""
    if len(found.gone) <= FEW:
        return {}
    return bands({p: curves[p] for p in found.gone if p in curves}, axes, value)


def scores_over_time(
    run: Run,
    metrics: Sequence[str],
    floor: dict[str, float],
    ceiling: dict[str, float],
    found: Standing,
) -> Chart:
    """Each score against steps and against seconds; ceiling and floor dashed; of many pairs bands
    and the chosen ones.
    """
    scored = run.digest.scored
    panels = [
        Panel(
            marked([metric], floor, ceiling)[0],
            OVER_BOTH,
            lines(scored, metric, run, found, OVER_BOTH, (1.0, 2.2), marked=True),
            limits(metric, floor, ceiling),
            crowds(scored, metric, found, OVER_BOTH),
        )
        for metric in metrics
    ]
    return Chart(panels, 2.3)


def limits(metric: str, floor: dict[str, float], ceiling: dict[str, float]) -> list[Level]:
    """What real data and noise reach."""
    out = list[Level]()
    if metric in ceiling:
        out.append(Level("ceiling (real data)", ceiling[metric]))
    # Noise may be far off the picture (an FID of 500 beside 30), and would press all curves flat.
    if metric in floor and abs(floor[metric]) < 20 * (abs(ceiling.get(metric, 1)) + 1):
        out.append(Level("floor (noise)", floor[metric], "#999999", ":"))
    return out


TRAINING = {
    "loss_d": "loss of D",
    "loss_g": "loss of G",
    "d_accuracy": "accuracy of D (locals)",
    "grad_d": "first-layer gradient of D",
    "grad_g": "first-layer gradient of G",
}


def training_curves(run: Run, found: Standing) -> Chart | None:
    """Losses, D's accuracy and first-layer gradient sizes of every player; of many pairs bands and
    the chosen ones. None where nobody tells any of these, as a strategy of one's own may not.
    """
    trained = run.digest.trained
    fields = [f for f in TRAINING if any(f in r for some in trained.values() for r in some)]
    panels = [
        Panel(
            TRAINING[field],
            OVER_STEPS,
            lines(trained, field, run, found),
            bands=crowds(trained, field, found),
            # Gradients vanish and explode by powers of ten (training pitfalls).
            log=field.startswith("grad"),
        )
        for field in fields
    ]
    return Chart(panels, 2.2) if panels else None


def lag_over_time(run: Run) -> Chart | None:
    """How old the copies are that the global pair learns from, with the bound; None without a
    global pair.
    """
    pulls = run.digest.pulls.peaks()
    if not pulls:
        return None
    bound = strategy_of(run.config).lag_bound(run.config)
    main = next((p for p, role in run.roles.items() if role.main), "")
    axes = {"step": "step of the global pair"}
    line = line_of(pulls, axes, "lag", label=main, player=main, colour=MAIN, width=1.5)
    levels = [] if bound is None else [Level(f"bound {bound}", bound)]
    return Chart([Panel("mean lag (steps)", axes, [line], levels, from_zero=True)], 1.9, across=1)


def phases(run: Run) -> bytes:
    """Each player's time: training, and everything else (waiting for orders, versions, start); adds
    up to 100 %.
    """
    info = run.info
    total = float(info["elapsed"])
    roles = run.roles
    players = ordered(info["busy_seconds"], roles)
    # A bar a player has no room: the shares of all as one histogram.
    if len(players) > heat_maps.LANES:
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
