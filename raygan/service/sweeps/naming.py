"""A trial's name, made of its settings: `--resume` finds its run by it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LONGEST = 80
"""Letters of a trial's name: a run's has at most 100, and PBT appends to it."""


def value_text(value: Any) -> str:
    """A value in a few words.

    >>> value_text({"name": "gap", "swap_every": 10}), value_text(0.5)
    ('gap swap_every=10', '0.5')
    """
    if not isinstance(value, dict):
        return str(value)
    return " ".join(
        [str(value.get("name", "")), *(f"{k}={v}" for k, v in value.items() if k != "name")]
    )


def trial_name(point: Mapping[str, Any]) -> str:
    """A run's name, from its settings; the same at each start.

    >>> trial_name({"strategy": {"name": "gap", "swap_every": 50}, "pair.lr_g": 0.001, "seed": 0})
    'strategy-gap-swap_every-50_lr_g-0.001_seed-0'
    >>> trial_name({"loss.r1": 1e16}), trial_name({"loss.r1": 1e-16})
    ('r1-1e16', 'r1-1e-16')
    """
    return shortened(full_name(point))


def known_name(runs: Path, point: Mapping[str, Any]) -> str:
    """A point's run: under its name, or under the one that releases of format 1 gave it (cut at 100
    letters).
    """
    # Only where it says itself that it is this point: two long names may begin alike.
    old = full_name(point)[:100]
    with contextlib.suppress(OSError, ValueError):
        if json.loads((runs / old / "point.json").read_text()) == dict(point):
            return old
    return trial_name(point)


def full_name(point: Mapping[str, Any]) -> str:
    """A trial's name with every setting in it, however long."""
    # 1e+30 would be named 1e-30 else, which is another number
    words = {
        path: re.sub(r"(?<=\d)e\+(?=\d)", "e", value_text(value)) for path, value in point.items()
    }
    parts = [
        f"{path.rpartition('.')[2]}-{re.sub('[^A-Za-z0-9_.-]+', '-', word)}"
        for path, word in words.items()
    ]
    return "_".join(parts)


def shortened(name: str, most: int = LONGEST) -> str:
    """A name that a run may have: what does not fit is hashed, so that two that begin alike stay
    two.

    >>> shortened("lr_g-0.001_seed-0"), shortened("a" * 95 + "_seed-0", 24)
    ('lr_g-0.001_seed-0', 'aaaaaaaaaaaaa-933b58c681')
    """
    if len(name) <= most:
        return name
    return f"{name[: most - 11]}-{hashlib.sha256(name.encode()).hexdigest()[:10]}"
