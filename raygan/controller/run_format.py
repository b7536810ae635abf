"""The format that a run folder is written in, and what has written it: lives on other machines are
told, newer formats refused.

1   releases before there was a number in run.json
2   checkpoints under names of their own, totals in the journal, `lives` in run.json
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raygan.controller.bucket_copies import shown
from raygan.errors import ConfigError

FORMAT = 2
WARNING = "W206 other-machine"
COMPARED = {
    "raygan": ("versions", "raygan"), "commit": ("git",), "torch": ("versions", "torch"),
    "numpy": ("versions", "numpy"), "python": ("versions", "python"),
    "CPU": ("machine", "processor"), "threads": ("machine", "threads"), "GPU": ("machine", "gpu"),
}  # fmt: skip
"""What may change the last bits of a sum; Ray only carries."""


def refuse_newer(folder: Path) -> None:
    """Raises ConfigError for a run folder of a format that is newer than this code."""
    try:
        found = json.loads((folder / "run.json").read_bytes()).get("format", 1)
    except (OSError, ValueError, AttributeError, RecursionError):
        # damaged: told by whoever reads what it says
        return
    if not isinstance(found, int) or found > FORMAT:
        raise ConfigError(
            f"run {shown(folder)!r} was made by a newer raygan (format {found}, this one reads up"
            f" to {FORMAT}): upgrade."
        )


def born(now: Mapping[str, Any], when: float) -> dict[str, Any]:
    """For a new run's run.json: its format, what makes it, and that as the first of its lives."""
    return {"format": FORMAT, **now, "lives": [life(now, when)]}


def resumed(
    info: Mapping[str, Any], now: Mapping[str, Any], when: float, step: int
) -> dict[str, Any]:
    """For the run.json of a run that is gone on with: the newest life on top, all of them in
    `lives`, oldest first.

    step: of the checkpoint that it goes on from; how the life before has ended is kept beside it.
    """
    before = info.get("lives")
    # of a release that did not keep them
    if not isinstance(before, list):
        before = [life(info, info.get("created"))] if "versions" in info else []
    before_this = {"status": info.get("status"), "elapsed": info.get("elapsed")}
    return {
        "format": FORMAT,
        **now,
        "lives": [*before, {**life(now, when), "step": step, "after": before_this}],
    }


def life(provenance: Mapping[str, Any], when: object) -> dict[str, Any]:
    """What is kept of each life."""
    return {"when": when, **{k: provenance.get(k) for k in ("versions", "machine", "git")}}


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs between two lives, as `torch 2.6.0 -> 2.13.0`; what one of them does not know is
    not compared.
    """
    out = []
    for name, path in COMPARED.items():
        a, b = _at(old, path), _at(new, path)
        if a is not None and b is not None and a != b:
            out.append(f"{name} {_short(name, a)} -> {_short(name, b)}")
    return out


def _at(values: object, path: tuple[str, ...]) -> object:
    for key in path:
        values = values.get(key) if isinstance(values, Mapping) else None
    return values


def _short(name: str, value: object) -> str:
    return str(value)[:7] if name == "commit" else str(value)


def compare(folder: Path, info: Mapping[str, Any], now: Mapping[str, Any], strict: bool) -> str:
    """What to warn of at a resume; "" where nothing has changed. Raises ConfigError where `strict`
    forbids it.
    """
    found = differences(info, now)
    if not found:
        return ""
    text = "; ".join(found)
    if strict:
        raise ConfigError(
            f"run {shown(folder)!r} was last written elsewhere ({text}): --strict refuses. Resume"
            " without it, or there."
        )
    return f"{text}: the bits may be another run's."
