"""Would `torch.compile` pay? `python -m benchmarks compiled [TURNS]` (3)

Writes results/compiled.json; needs a C++ compiler.

One pair in the plain loop, its two networks as they are and compiled, on one thread, in turn. The
compiler's own time is counted: the steps after which it has been won back.
"""

from __future__ import annotations

import statistics
import sys

import torch

from benchmarks.common import middle, show, write
from benchmarks.speed.plain import WORKS, Plain, timed

STEPS = {"toy": 40, "small": 200, "dcgan": 20}


def seconds(plain: Plain, steps: int) -> float:
    """Of so many steps."""
    return timed(lambda: plain.steps(steps))


def main() -> None:
    """Measure, print, keep."""
    turns = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    torch.set_num_threads(1)
    found = {}
    for name, steps in STEPS.items():
        # each by itself: the compiler gives up on code that it has compiled for eight situations
        torch._dynamo.reset()
        work = WORKS[name]
        eager, compiled = (Plain(work.setup(), "pair-00", work.lr) for _ in range(2))
        compiled.g, compiled.d = torch.compile(compiled.g), torch.compile(compiled.d)
        seconds(eager, 3)
        warm_up = seconds(compiled, 3)
        taken = [
            (seconds(eager, steps) / steps, seconds(compiled, steps) / steps) for _ in range(turns)
        ]
        before, after = (statistics.median(t) for t in zip(*taken, strict=True))
        gains = [e / c for e, c in taken]
        found[name] = {
            "eager_ms": before * 1e3,
            "compiled_ms": after * 1e3,
            "gains": gains,
            "warm_up_s": warm_up,
        }
        found[name]["steps_to_win_it_back"] = (
            warm_up / (before - after) if before > after else float("inf")
        )
        print(name, found[name], flush=True)
    show(
        ["one pair", "as it is", "compiled", "gain", "first three steps", "won back after"],
        [
            [
                name,
                f"{f['eager_ms']:.2f} ms",
                f"{f['compiled_ms']:.2f} ms",
                middle(f["gains"]),
                f"{f['warm_up_s']:.0f} s",
                f"{f['steps_to_win_it_back']:,.0f} steps"
                if f["compiled_ms"] < f["eager_ms"]
                else "never",
            ]
            for name, f in found.items()
        ],
    )
    write("compiled", {"found": found, "steps": STEPS})


if __name__ == "__main__":
    main()
