"""A run that goes on, in lines: what starts, a player's row, how far all are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raygan.controller.bucket_copies import address_of
from raygan.metrics.ranking import headline
from raygan.own.names import label
from raygan.strategies.roles import MIXTURE
from raygan.visible import visible

if TYPE_CHECKING:
    from raygan.controller.listener import Running


def cells(run: Running, player: str) -> list[str]:
    """One player's row of the live table."""
    step, total = run.state.done.get(player, 0), run.state.plan.steps
    report = run.state.latest.get(player, {})
    filled = round(16 * step / total)
    # of its own work: whoever waits for others is not slow
    seconds = run.state.totals.busy[player]
    state = "done" if step >= total else ("ready" if player in run.state.ledger.idle else "train")
    lag = f"{report['lag']:.0f}" if "lag" in report else ""
    return [
        player,
        opponent(run, player),
        "#" * filled + "-" * (16 - filled),
        f"{step}/{total}",
        f"{step / seconds:.0f}" if seconds else "",
        f"{report['loss_d']:.3f}" if "loss_d" in report else "",
        f"{report['loss_g']:.3f}" if "loss_g" in report else "",
        short_score(run, player),
        lag,
        state,
    ]


def opponent(run: Running, player: str) -> str:
    """Whose discriminator it plays: the pool, the judge's, its own, or the one that it was given by
    a swap.
    """
    role = run.state.roles[player]
    if role.main:
        return "pool"
    if judge := next((p for p, r in run.state.roles.items() if r.judges), None):
        return "mixture" if player == judge else judge
    if not role.scored:
        return ""
    holds = run.state.holds.get(player, player)
    return "own D" if holds == player else f"D of {holds}"


def short_score(run: Running, player: str) -> str:
    """`8/8` modes and the high quality, or the headline score."""
    row = run.state.scores.get(player)
    if not row:
        return ""
    if "high_quality" in row:
        width = f" width {row['width']:.2f}" if "width" in row else ""
        return f"{row['modes']:.0f} modes {row['high_quality']:.0%}{width}"
    metric = headline(row)
    return f"{float(row[metric]):.2f}" if metric else ""


def progress_line(run: Running) -> str:
    """The last line of the table, and the one line of a plain console."""
    main = [p for p, role in run.state.roles.items() if role.main]
    total = run.state.plan.steps * len(run.state.players)
    done = sum(run.state.done.values())
    # of all together, waits included: it is what the end depends on
    rate = done / max(run.state.elapsed, 1e-9)
    parts = [
        f"{done / total:4.0%}",
        f"{rate:.0f} it/s",
        f"elapsed {run.state.elapsed:.0f} s",
        f"eta {(total - done) / rate:.0f} s" if done else "starting",
    ]
    parts += [
        f"{player} {text} (step {run.state.scores[player]['step']})"
        for player in (*main, MIXTURE)
        if (text := short_score(run, player))
    ]
    for player in main:
        if "lag" in run.state.latest.get(player, {}):
            parts.append(f"lag {run.state.latest[player]['lag']:.0f}")
    if run.state.totals.swaps:
        parts.append(
            f"swaps {run.state.totals.swaps}"
            + (f" ({run.state.totals.skipped} missed)" if run.state.totals.skipped else "")
        )
    if run.state.totals.warnings:
        parts.append(f"warnings {sum(run.state.totals.warnings.values())}")
    return visible("  ".join([*parts, address_of(run.log.folder.path) or str(run.log.folder.path)]))


def describe(run: Running) -> str:
    """One line about what starts."""
    c = run.state.config
    strategy, loss, data = (label(spec["name"]) for spec in (c.strategy, c.loss, c.data))
    data += f" {c.data['modes']}" if "modes" in c.data else ""
    return visible(
        f"raygan: {strategy} ({c.tempo}), {c.num_pairs} pairs, {data}, {loss}, {c.steps} steps,"
        f" seed {c.seed} -> {address_of(run.log.folder.path) or run.log.folder.path}"
    )
