"""`raygan sweep FILE --dry-run`: the trials, and what they will take, before anything starts."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raygan.config import Config, Resolved, full_dump, validate
from raygan.data.base import Samples
from raygan.service.places import outlined
from raygan.service.runs.identity import settled
from raygan.service.sweeps.costs import costs, light
from raygan.service.sweeps.file import Sweep
from raygan.service.sweeps.known import known
from raygan.service.sweeps.naming import trial_name
from raygan.strategies.base import strategy_of
from raygan.watching import tell

STEPS = 20
"""That the first trial is tried for."""
NAMES = 40
"""Trials that are listed."""


def text(spec: Sweep, folder: Path | None = None) -> str:
    """The trials, their steps, D updates and bytes, and about how long they take here. folder: of a
    sweep that is gone on with, whose data are known.
    """
    points = spec.points()
    names = [trial_name(p) for p in points]
    if spec.search != "grid":
        names = [
            f"{spec.samples} trials that {spec.search} draws; the first of a grid stands for all"
        ]
        points = points[:1] * spec.samples
    configs = [settled(spec.resolved(p)).config for p in points]
    seconds_a_step = per_step(configs[0], known(folder, configs[0]))
    # Costs build a trial's networks to count their bytes: of thousands that would take minutes.
    kept = costs_of(configs, folder) if len(configs) <= NAMES else []
    # Only the first trial is timed: to time all would take as long as their starts.
    took = sum(seconds_a_step * c.steps * members(c) / members(configs[0]) for c in configs)
    at_once = spec.max_concurrent or max(1, (os.cpu_count() or 1))
    lines = names[:NAMES] + ([f"... and {len(names) - NAMES} more"] if len(names) > NAMES else [])
    # PBT gives a trial another's state, and all of its steps.
    early = spec.scheduler not in ("none", "pbt")
    stops = f", less what {spec.scheduler} stops early" if early else ""
    lines += [
        f"{len(configs)} runs of {spread([c.steps for c in configs])} steps{stops}",
        (
            f"about {clock(took)} of one core ({clock(took / len(configs))} a run, by {STEPS} steps"
            f" of the first); {min(at_once, len(configs))} at once: about"
            f" {clock(took / min(at_once, len(configs)))} here, and the starts"
        ),
    ]
    if kept:
        updates = spread([round(k["d_updates"]) for k in kept])
        lines.append(
            f"{updates} updates of D a run; {sum(k['megabytes'] for k in kept):,.0f} MB between"
            " players in all"
        )
    return "\n".join(lines)


def members(config: Config) -> int:
    """How many players a run of this config trains."""
    return len(strategy_of(config).players(config))


def spread(values: list[int]) -> str:
    """
    >>> spread([1200, 2400, 1200]), spread([5])
    ('1,200 to 2,400', '5')
    """
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def clock(seconds: float) -> str:
    """
    >>> clock(42), clock(600), clock(9000)
    ('42 s', '10 min', '2.5 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def costs_of(configs: list[Config], folder: Path | None) -> list[dict[str, float]]:
    """Of whole trials; data that several have are read once."""
    read, out = dict[str, Samples](), list[dict[str, float]]()
    for config in configs:
        # all that the data, and how they are parted, follow from
        key = json.dumps([config.data, config.seed, config.ids], sort_keys=True)
        if key not in read:
            read[key] = light(outlined(config, True, known(folder, config)))
        out.append(costs(config, config.steps, 0.0, read[key]))
    return out


def per_step(config: Config, info: Mapping[str, Any] | None = None) -> float:
    """Seconds of one core that a step of everybody takes, by a short run in this process. info:
    run.json of one on the same data.
    """
    from raygan.service.training import train

    tell("timing a few steps of the first trial")
    values = full_dump(config) | {"steps": STEPS, "round_steps": STEPS}
    values["evaluation"] = {**values["evaluation"], "every_steps": STEPS}
    # Nobody is to hear of a run that is none.
    values |= {"track": [], "listeners": []}
    tried = Resolved(config=validate(Config, values), origins={})
    with tempfile.TemporaryDirectory(prefix="raygan-dry-") as folder:
        run = train(tried, run_dir=Path(folder), name="try", inline=True, known=info)
        return float(sum(run.info["busy_seconds"].values())) / STEPS
