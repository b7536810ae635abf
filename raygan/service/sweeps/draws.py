"""Ways to draw a setting's value."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

from raygan.errors import did_you_mean

DRAWS = ("uniform", "log_uniform", "randint", "choice")


def numbered(spec: Any) -> Any:
    """The same way to draw, with the ends of a range as numbers where they are written as such.

    >>> numbered({"log_uniform": ["1e-4", 1]}), numbered({"choice": ["1e-4"]}), numbered(["1e-4"])
    ({'log_uniform': [0.0001, 1]}, {'choice': ['1e-4']}, ['1e-4'])
    """
    if not isinstance(spec, Mapping):
        return spec
    return {
        kind: [_number(end) for end in ends]
        if kind in ("uniform", "log_uniform") and isinstance(ends, list)
        else ends
        for kind, ends in spec.items()
    }


def _number(end: Any) -> Any:
    written = isinstance(end, str) and re.fullmatch(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+", end)
    return float(end) if written else end


def check_values(path: str, values: Any) -> None:
    """Raises ValueError where what `space` says of a setting is neither a list of values nor one
    way to draw them.
    """
    if isinstance(values, dict):
        _check_draw(path, values)
    elif not isinstance(values, list) or not values:
        raise ValueError(f"space.{path}: write a list of values, or {{uniform: [a, b]}}")


def _check_draw(path: str, spec: dict[str, Any]) -> None:
    kind = next(iter(spec), "")
    if len(spec) != 1 or kind not in DRAWS:
        raise ValueError(f"space.{path}: {kind!r} is no way to draw. {did_you_mean(kind, DRAWS)}")
    ends = spec[kind]
    if not isinstance(ends, list) or not ends or (kind != "choice" and len(ends) != 2):
        raise ValueError(f"space.{path}: {kind} needs a list, of two ends or of choices")
    if kind != "choice" and (why := no_range(kind, ends)):
        raise ValueError(f"space.{path}: {kind} {ends}: {why}")


def no_range(kind: str, ends: Sequence[Any]) -> str:
    """Why nothing can be drawn between these; "" where something can."""
    numbers = int if kind == "randint" else int | float
    if not all(
        isinstance(e, numbers) and not isinstance(e, bool) and math.isfinite(e) for e in ends
    ):
        return "two whole numbers are needed" if kind == "randint" else "two numbers are needed"
    low, high = ends
    if low >= high:
        return f"from {low} to {high} there is nothing; write the smaller one first"
    return "both ends must be above 0" if kind == "log_uniform" and low <= 0 else ""


def draw(rng: random.Random, spec: Mapping[str, Any]) -> Any:
    """One value, from one end to the other."""
    kind, ends = next(iter(spec.items()))
    if kind == "choice":
        return rng.choice(ends)
    if kind == "randint":
        return rng.randint(int(ends[0]), int(ends[1]))
    low, high = float(ends[0]), float(ends[1])
    value = (
        math.exp(rng.uniform(math.log(low), math.log(high)))
        if kind == "log_uniform"
        else rng.uniform(low, high)
    )
    return within(spec, value)


def within(spec: Mapping[str, Any], value: Any) -> Any:
    """The value of a range that is nearest; floats to three digits, so that they can be read.

    >>> within({"uniform": [0.93, 0.97]}, 1.1567999999999998), within({"randint": [2, 8]}, 1)
    (0.97, 2)
    """
    kind, (low, high) = next(iter(spec.items()))
    if kind == "randint":
        return min(max(round(value), low), high)
    # rounded it may be past an end: .9999 to three digits is 1
    return min(max(float(f"{value:.3g}"), float(low)), float(high))
