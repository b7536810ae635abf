"""A run at this moment, as plain values and as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from raygan.own.names import label
from raygan.service.runs.alive import running
from raygan.service.runs.run import Run
from raygan.strategies.roles import role_of
from raygan.visible import finite, visible

Row = dict[str, Any]
ENDED = ("done", "degraded", "stopped", "failed")


def state(run: Run) -> dict[str, Any]:
    """A run at this moment, as plain values: for `status`, `watch`, and the live page."""
    from raygan.service.views.tables import lives, waiting_line

    info, config, summary, roles = run.info, run.config, run.summary, run.roles
    trained, scores, there = summary.newest, summary.scores, run.players
    # Who had left before a run went back to when it was there is no more gone.
    gone = {p: how for p, how in summary.gone.items() if p not in there}
    players: list[dict[str, Any]] = []
    holds = summary.holds
    for player in [*there, *(p for p in gone if p in trained)]:
        row = trained.get(player, {})
        step = int(row.get("step", 0))
        players.append({
            "player": player, "main": role_of(player, roles).main, "step": step,
            "holds": holds.get(player, player), **_pace(row),
            "loss_d": row.get("loss_d"), "loss_g": row.get("loss_g"), "lag": row.get("lag"),
            "score": _headline(scores.get(player)),
            "state": gone.get(player) or ("done" if step >= config.steps else "train"),
        })  # fmt: skip
    status = _status(info)
    done = _progress(players, config.steps)
    elapsed = summary.elapsed
    mixture = scores.get("mixture")
    seen = {
        "name": run.name, "status": status, "exit_code": info.get("exit_code"),
        "error": info.get("error"), "strategy": label(config.strategy["name"]),
        "tempo": config.tempo, "data": label(config.data["name"]), "seed": config.seed,
        "steps": config.steps, "progress": done, "elapsed": elapsed,
        "eta": elapsed * (1 - done) / done if done and status == "running" else None,
        "players": players,
        "mixture": {k: v for k, v in (mixture or {}).items() if isinstance(v, float)},
        "swaps": summary.counts["swap"],
        "deaths": summary.counts["death"],
        "warnings": dict(sorted(summary.warnings.items())),
        "events": list(summary.recent),
        "player_seconds": summary.player_seconds,
        "damaged": summary.damaged,
        "waiting": waiting_line(info),
        "lives": lives(info),
    }  # fmt: skip
    # NaN is no JSON: a browser's parser refuses the whole state for one loss.
    return {key: finite(value) for key, value in seen.items()}


def _status(info: Row) -> str:
    """What run.json says, unless nobody runs it who could have ended it."""
    known = running(info) or info["status"] in ENDED
    return str(info["status"]) if known else "lost"


def _pace(row: Row) -> Row:
    """Steps a second of a player's last round, and the share of its time that it waited."""
    seconds, held = row.get("seconds", 0.0), row.get("held_s", 0.0)
    return {
        "rate": row["steps"] / seconds if seconds else None,
        "wait": (row.get("wait_s", 0.0) + held) / (seconds + held) if seconds else None,
    }


def _headline(score: Row | None) -> str | None:
    """The one score that tells most, where there are any."""
    from raygan.metrics.ranking import headline

    metric = headline(score) if score else None
    return f"{metric} {score[metric]:.4g}" if score and metric else None


def _progress(players: Sequence[Row], steps: int) -> float:
    """The share of all steps that is done."""
    # Who has left counts neither as done nor as missing.
    here = [p for p in players if p["state"] not in ("retire", "leave")]
    return float(sum(p["step"] for p in here) / (steps * max(1, len(here))))


def state_text(seen: dict[str, Any]) -> str:
    """The state of a run as text for a terminal."""
    from raygan.service.views.tables import LIFE, text_table

    def number(value: float | None, form: str) -> str:
        return "" if value is None else format(value, form)

    header = ["pair", "holds", "step", "it/s", "wait", "loss D", "loss G", "score", "lag", "state"]
    rows = [
        [
            p["player"], p["holds"], f"{p['step']}/{seen['steps']}", number(p["rate"], ".0f"),
            number(p["wait"], ".0%"), number(p["loss_d"], ".3f"), number(p["loss_g"], ".3f"),
            p["score"] or "", number(p["lag"], ".0f"), p["state"],
        ]
        for p in seen["players"]
    ]  # fmt: skip
    exit_code = "" if seen["exit_code"] is None else f" (exit code {seen['exit_code']})"
    lines = [
        (
            f"{seen['name']}: {seen['status']}{exit_code}, {seen['strategy']} ({seen['tempo']}),"
            f" {seen['data']}, seed {seen['seed']}"
        ),
        text_table(header, rows),
        f"{seen['progress']:.0%}  elapsed {seen['elapsed']:.0f} s"
        + (f"  eta {seen['eta']:.0f} s" if seen["eta"] is not None else "")
        + (f"  swaps {seen['swaps']}" if seen["swaps"] else "")
        + (f"  deaths {seen['deaths']}" if seen["deaths"] else "")
        + "".join(f"  {name} {count}x" for name, count in seen["warnings"].items()),
    ]
    lines += [
        f"damaged lines, passed over: {name} {count}" for name, count in seen["damaged"].items()
    ]
    lines += [seen["waiting"]] if seen["waiting"] else []
    if seen["lives"]:
        lines += ["", text_table(LIFE, seen["lives"])]
    if seen["error"]:
        lines.append(f"error  {seen['error']}")
    return visible("\n".join(lines))
