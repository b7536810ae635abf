"""Pictures over steps and seconds: scores, training, the age of copies, where the time went."""

from __future__ import annotations

from collections.abc import Sequence

from raygan.metrics.ranking import marked
from raygan.service.runs.run import Run
from raygan.service.views import crowd
from raygan.service.views.colours import MAIN, PAIRS, colour
from raygan.service.views.paper import STYLE, legend, plt, png
from raygan.service.views.standing import FEW, Standing
from raygan.strategies.base import strategy_of
from raygan.strategies.roles import MIXTURE, ordered, role_of


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
                        [r[x] for r in mine], [r[metric] for r in mine],
                        color=colour(player, roles), linewidth=wide, linestyle=found.dashes(player),
                        marker="o", markersize=2.5, label=found.told(player),
                        zorder=3 if main else 2,
                    )  # fmt: skip
                if metric in ceiling:
                    axis.axhline(
                        ceiling[metric],
                        color="#222222",
                        linestyle="--",
                        linewidth=0.8,
                        label="ceiling (real data)",
                    )
                # Noise may be far off the picture (an FID of 500 beside 30), and would press all
                # curves flat.
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
        legend(figure, axes[0][1])
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
                    [r["step"] for r in mine], [r[field] for r in mine],
                    color=colour(player, roles), linewidth=1.8 if main else 0.9,
                    linestyle=found.dashes(player), label=found.told(player),
                    zorder=3 if main else 2,
                )  # fmt: skip
            axis.set_title(TRAINING[field], fontsize=9)
            # Gradients vanish and explode by powers of ten (training pitfalls).
            if field.startswith("grad"):
                axis.set_yscale("log")
        legend(figure, axes.flat[0])
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
    # A bar a player has no room: the shares of all as one histogram.
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
