"""`--require modes=8`: scores that a run must have, read before it starts, checked at its end."""

from __future__ import annotations

import math
import re

from raygan.controller.evaluator import Evaluator
from raygan.errors import (
    ConfigError,
    did_you_mean,
)
from raygan.own.names import short
from raygan.service.runs.run import Run
from raygan.strategies.base import Setup


def requirements(text: str) -> list[tuple[str, str, float]]:
    """`modes=8,score>=7` as (metric, sign, number); raises ConfigError for what cannot be meant,
    before anything is trained.

    >>> requirements("modes=8, reverse_kl<=.1")
    [('modes', '=', 8.0), ('reverse_kl', '<=', 0.1)]
    """
    from raygan.metrics.ranking import best_at, lower_is_better

    out = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*([\w@%.-]+?)\s*(=|>=|<=)\s*(\S+)\s*", part)
        try:
            limit = float(found[3]) if found else math.nan
        except ValueError:
            limit = math.nan
        if found is None or not math.isfinite(limit):
            raise ConfigError(f"--require {part!r}: write METRIC=NUMBER, as in modes=8.")
        # A width of 1 is right, .2 and 5 are wrong: `=` would have to mean both sides.
        if (best := best_at(found[1])) is not None:
            if found[2] == "=":
                raise ConfigError(
                    f"--require {part!r}: {found[1]} is best at {best:g}. Write"
                    f" {found[1]}>=.8,{found[1]}<=1.1."
                )
            out.append((found[1], found[2], limit))
            continue
        lower = lower_is_better(found[1])
        if found[2] == (">=" if lower else "<="):
            right = "<=" if lower else ">="
            raise ConfigError(
                f"--require {part!r}: of {found[1]} less is {'better' if lower else 'worse'}. Write"
                f" {right}."
            )
        out.append((found[1], found[2], limit))
    return out


def refuse_unscored(setup: Setup, wanted: str | None) -> None:
    """Raises ConfigError for data that cannot be scored as asked, and for a score in `--require`
    that this run will not have.
    """
    suite = Evaluator(setup).full
    own = tuple(short(metric.name) for metric in suite.own)
    for metric, sign, limit in requirements(wanted) if wanted else ():
        if metric not in suite.names and metric.partition(".")[0] not in own:
            raise ConfigError(
                f"--require '{metric}{sign}{limit:g}': this run has no score {metric!r}."
                f" {did_you_mean(metric, [*suite.names, *own])}"
            )


def require(run: Run, text: str) -> str | None:
    """Check `modes=8,score>=7` on the last scores of what the run is for (`Run.main_player`); the
    complaint, or None.

    `a=b` means at least b, or at most b for scores where lower is better. Raises ConfigError for an
    unknown score.
    """
    from raygan.metrics.ranking import best_at, better

    scores = run.scores().get(run.main_player, {})
    for metric, sign, limit in requirements(text):
        if metric not in scores:
            known = ", ".join(k for k, v in scores.items() if isinstance(v, float))
            raise ConfigError(
                f"--require '{metric}{sign}{limit:g}': write METRIC=NUMBER with one of: {known}."
            )
        value = float(scores[metric])
        if best_at(metric) is None:
            missed = better(metric, limit, value)
        else:
            missed = value < limit if sign == ">=" else value > limit
        # NaN is neither above nor below: a score that is no number is none that was required
        if missed or not math.isfinite(value):
            return f"{run.main_player}: {metric} = {value:g}, required {limit:g}"
    return None
