"""SGAN with its locals at the other end of a cable: `python -m benchmarks cable [TURNS]` (3); root
only, writes results/cable.json.

Two nodes, one in a network namespace, and a cable of so many bits a second between them (tc's token
bucket): four MLP pairs of 4 x 512 in one process at one end, their global pair at the other, a
publication each at every step. Lockstep; in turn; seconds of the second half of the steps, twice.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import middle, second_half, show, write
from benchmarks.speed.plain import WORKS
from raygan.config import resolve
from raygan.service.training import train
from raygan.strategies.roles import GLOBAL
from tests.actors.partition import CABLE, SPACE, Nodes, cable

STEPS = 60
RATES = {"10 Gbit/s": "10gbit", "1 Gbit/s": "1gbit", "250 Mbit/s": "250mbit"}


def slow_down(rate: str) -> None:
    """Both ends send at most so much from now on."""
    tc = ["tc", "qdisc", "replace", "dev"]
    bucket = ["root", "tbf", "rate", rate, "burst", "4mb", "latency", "100ms"]
    subprocess.run([*tc, CABLE, *bucket], check=True)
    subprocess.run(["ip", "netns", "exec", SPACE, *tc, f"{CABLE}b", *bucket], check=True)


def crossed() -> int:
    """Bytes that have come through the cable."""
    return sum(
        int(Path(f"/sys/class/net/{CABLE}/statistics/{way}_bytes").read_text())
        for way in ("rx", "tx")
    )


def run(precision: str) -> dict[str, float]:
    """ms and MB a step; four locals in one actor, the global pair in another, on another node."""
    work = WORKS["toy"]
    short = {} if precision == "float32" else {"publish": precision}
    flags: dict[str, Any] = {
        **work.values(strategy={"name": "sgan", "max_lead": 10, "max_lag": 10, **short}),
        "num_pairs": 4, "steps": STEPS, "round_steps": 5, "resources.pairs_per_actor": 4,
        "resources.hub": False, "resources.placement": "SPREAD", "evaluation.every_steps": STEPS,
        "evaluation.samples": 1600, "checkpoint.every_steps": STEPS,
    }  # fmt: skip
    before = crossed()
    with tempfile.TemporaryDirectory() as folder:
        done = train(resolve(work.preset, flags=flags), run_dir=Path(folder), name="run")
        rows = [r for r in done.rows if r["kind"] == "train"]
        busy: dict[str, float] = done.info["busy_seconds"]
    return {
        "ms": second_half(rows, STEPS) / STEPS * 1e3,
        "MB": (crossed() - before) / STEPS / 1e6,
        "ms of the global pair": busy[GLOBAL] / STEPS * 1e3,
        "ms of the locals": sum(s for p, s in busy.items() if p != GLOBAL) / STEPS * 1e3,
    }


def main() -> None:
    """In turn, so that a slower minute is everybody's."""
    turns = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    precisions = sys.argv[2].split(",") if len(sys.argv) > 2 else ["float32", "bfloat16"]
    found: dict[str, list[dict[str, float]]] = {}
    with cable(), Nodes(1 << 30) as nodes:
        nodes.start_far()
        for _ in range(turns):
            for rate in RATES:
                slow_down(RATES[rate])
                for precision in precisions:
                    found.setdefault(f"{rate}, {precision}", []).append(run(precision))
                    print(rate, precision, found[f"{rate}, {precision}"][-1], flush=True)
    keys = list(next(iter(found.values()))[0])
    show(["four MLPs of 4 x 512", *(f"{k}, a step" for k in keys)], [
        [what, *(middle((r[k] for r in runs), ".0f", "") for k in keys)]
        for what, runs in found.items()
    ])  # fmt: skip
    write("cable", {"runs": found, "steps": STEPS})


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
