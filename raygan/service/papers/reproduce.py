"""`raygan reproduce NAME`: train a claim's runs, put both numbers of each seed side by side, and
say whether it holds.

holds        the difference within seeds is what the paper says, and its 95 % interval says so too
does not     the interval lies on the other side
not shown    neither: more seeds may tell

Runs lie in FOLDER/NAME/ARM-seedN. One that is there and done is taken as it is, one that was cut is
gone on with.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from raygan.config import Resolved, resolve
from raygan.controller.run_folder import write_atomically
from raygan.errors import ConfigError, did_you_mean
from raygan.service.papers.claims import CLAIMS, Arm, Claim
from raygan.service.training import train
from raygan.service.views.tables import format_number, text_table

SEEDS, QUICK_SEEDS = 5, 2
STUDENT = (12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179,
           2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064,
           2.060, 2.056, 2.052, 2.048, 2.045, 2.042)  # fmt: skip
"""Student's t, 97.5 %, of 1, 2, .. degrees of freedom; beyond, the last one."""


@dataclass(frozen=True)
class Outcome:
    """A claim and what was measured."""

    name: str
    verdict: str
    first: list[float]
    """A number a seed."""
    second: list[float]
    difference: float
    """Mean over seeds of first - second."""
    half: float
    """Half of its 95 % interval; infinite for one seed."""
    quick: bool


def claim_of(name: str) -> Claim:
    """The claim of this name. Raises ConfigError."""
    if name not in CLAIMS:
        raise ConfigError(f"no claim {name!r}. {did_you_mean(name, CLAIMS)}")
    return CLAIMS[name]


def reproduce(
    name: str,
    *,
    seeds: int = 0,
    quick: bool = False,
    run_dir: Path = Path("runs/reproduce"),
    address: str = "auto",
    inline: bool = True,
    told: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Train what is missing and judge; FOLDER/NAME/outcome.json keeps it. seeds = 0: five, of a
    quick try two. Raises a RayganError.
    """
    claim, count = claim_of(name), seeds or (QUICK_SEEDS if quick else SEEDS)
    folder = run_dir / (f"{name}-quick" if quick else name)
    first, second = list[float](), list[float]()
    for seed in range(count):
        runs = {}
        for label, arm in claim.arms.items():
            told(f"{name}: {label}, seed {seed} ({seed + 1} of {count})")
            resolved = settings(claim, arm, seed, quick)
            run = f"{label}-seed{seed}"
            runs[label] = train(
                # auto: a claim takes hours, and goes on where it was cut.
                resolved,
                run_dir=folder,
                name=run,
                resume="auto",
                address=address,
                inline=inline,
            )
        one, other = claim.measure(runs)
        first.append(one)
        second.append(other)
    outcome = judged(name, claim, first, second, quick)
    write_atomically(folder / "outcome.json", json.dumps(asdict(outcome), indent=1).encode())
    return outcome


def settings(claim: Claim, arm: Arm, seed: int, quick: bool) -> Resolved:
    """A run's; each arm of --quick has its share of the short run's steps."""
    flags = {**arm.flags, "seed": seed}
    if quick:
        steps = resolve(arm.preset, flags=arm.flags).config.steps
        least = min(resolve(a.preset, flags=a.flags).config.steps for a in claim.arms.values())
        flags |= {**claim.quick, "steps": claim.quick["steps"] * steps // least}
        flags["evaluation.every_steps"] = max(1, int(flags["steps"]) // 4)
    return resolve(arm.preset, flags=flags)


def judged(
    name: str, claim: Claim, first: Sequence[float], second: Sequence[float], quick: bool = False
) -> Outcome:
    """The verdict.

    >>> claim = CLAIMS["gap-fig3"]
    >>> judged("x", claim, [3, 3.1, 3.2], [1, 1.2, 1.1]).verdict
    'holds'
    >>> judged("x", claim, [1, 3, 2], [2, 1, 3]).verdict, judged("x", claim, [9], [1]).verdict
    ('not shown', 'not shown')
    >>> judged("x", claim, [3, math.nan, 3.2], [1, 1.2, 1.1]).verdict
    'not shown'
    """
    # Within seeds: what a seed decides (data, first weights) is the same in both arms, and
    # cancels.
    found = [a - b for a, b in zip(first, second, strict=True)]
    mean, n = statistics.fmean(found), len(found)
    half = math.inf
    # A seed without a number (a metric that failed there) leaves the claim open: no interval.
    if n > 1 and all(map(math.isfinite, found)):
        deviation = statistics.stdev(found)
        # Of few seeds that all differ by the same (a count at its most) no spread is known.
        if deviation or n >= SEEDS:
            # Student's, not 1.96: with five seeds the interval is 1.4 times as wide.
            half = STUDENT[min(n - 2, len(STUDENT) - 1)] * deviation / math.sqrt(n)
    low, high = mean - half, mean + half
    if claim.wants == "as high":
        holds, fails = low >= -claim.margin, high < -claim.margin
    elif claim.wants == "higher":
        holds, fails = low > 0, high < 0
    else:
        holds, fails = high < 0, low > 0
    verdict = "holds" if holds else "does not hold" if fails else "not shown"
    return Outcome(name, verdict, list(first), list(second), mean, half, quick)


def outcome_text(outcome: Outcome) -> str:
    """Both numbers of each seed and the verdict, as text."""
    claim = CLAIMS[outcome.name]
    rows = [
        [label, spread(values)]
        for label, values in ((claim.first, outcome.first), (claim.second, outcome.second))
    ]
    rows.append(["difference within seeds", f"{outcome.difference:+.3g} +- {outcome.half:.2g}"])
    note = "; --quick: a short run, no figure to be quoted" if outcome.quick else ""
    lines = [
        f"{claim.paper}: {claim.says}",
        text_table([claim.number, f"mean +- sd ({len(outcome.first)} seeds), least .. most"], rows),
        *([f"here: {claim.scope}"] if claim.scope else []),
        f"verdict: {outcome.verdict} (95 % interval of the difference{note})",
    ]
    return "\n".join(lines)


def spread(values: Sequence[float]) -> str:
    """mean +- standard deviation over seeds (least .. most).

    >>> spread([1, 2, 3]), spread([0.5])
    ('2 +- 1 (1 .. 3)', '0.5 +- 0 (0.5 .. 0.5)')
    """
    # Plain floats: `statistics` does not mix Python's with numpy's.
    found = [float(v) for v in values]
    deviation = 0.0 if len(found) < 2 else math.nan
    if len(found) > 1 and all(map(math.isfinite, found)):
        deviation = statistics.stdev(found)
    mean, low, high = (format_number(v) for v in (statistics.fmean(found), min(found), max(found)))
    return f"{mean} +- {deviation:.2g} ({low} .. {high})"


def listing(run_dir: Path = Path("runs/reproduce")) -> str:
    """All claims; the verdict of those that were tried here."""
    lines = []
    for name, claim in CLAIMS.items():
        found = earlier_verdict(run_dir / name) or "not tried here"
        lines.append(f"{name:14} about {claim.minutes:g} min of one core; {found}")
        lines.append(f"  {claim.paper}: {claim.says}")
    return "\n".join(lines)


def earlier_verdict(folder: Path) -> str:
    """The verdict in a folder; "" where there is none."""
    try:
        found: Mapping[str, Any] = json.loads((folder / "outcome.json").read_text())
        return f"{found['verdict']} ({len(found['first'])} seeds)"
    except (OSError, ValueError, KeyError, TypeError):
        return ""
