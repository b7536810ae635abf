"""How far apart may players be? `python -m benchmarks ahead [SEEDS] [KIND ...]` (3, all); writes
results/ahead.json

Presets in async with one player ten times slower than the others, and `max_ahead` from 10 to none.
In one process and in virtual time: training is real, the order that would be done first is done
first (tests/controller/test_max_ahead has the executor). Seconds are virtual: a step takes .01.
What is scored is what the strategy is for, as in benchmarks/science/uneven.py.
"""

from __future__ import annotations

import sys
from typing import Any

import torch

from benchmarks.common import gone_on, show, spread
from raygan.config import resolve
from raygan.controller.ledger import Ledger
from raygan.controller.orders import Done, Evaluate
from raygan.strategies.base import strategy_of
from raygan.strategies.pmgan import answers, judge
from tests.controller.test_max_ahead import Uneven, train

PRESETS = {
    "pmgan, a slow generator": ("ring8-pmgan", "gen-03"),
    "pmgan, the judge slow": ("ring8-pmgan", "judge"),
    "sgan, a slow local": ("ring8-sgan", "pair-03"),
    "sgan, the global pair slow": ("ring8-sgan", "global"),
    "gap, a slow pair": ("ring8-gap", "pair-01"),
}
BOUNDS = (10, 50, 10**6)
METRICS = ("modes", "modes@10%", "high_quality", "reverse_kl")
KINDS = [f"{kind}, max_ahead {bound}" for kind in PRESETS for bound in BOUNDS]


def one(kind: str, seed: int) -> dict[str, Any]:
    """Scores, the players' spread, and virtual seconds."""
    name, _, bound = kind.rpartition(", max_ahead ")
    preset, slow = PRESETS[name]
    flags: dict[str, Any] = {
        "tempo": "async",
        "seed": seed,
        "max_ahead": int(bound),
        "evaluation.every_steps": 2000,
    }
    if "pmgan" in name:  # a round of one step: who waits within a round waits for ever here
        flags |= {"round_steps": 1} | ({"strategy.max_lag": 10**4} if int(bound) > 10**4 else {})
    config = resolve(preset, flags=flags | {"resources.pairs_per_actor": 1}).config
    executor, apart = Uneven(config, slow), [0]

    def look(ledger: Ledger) -> None:
        steps = [s for p, s in ledger.done.items() if p != "judge"]
        apart[0] = max(apart[0], max(steps) - min(steps))

    train(config, executor, look)
    rows = scores(executor)
    who = {"pmgan": "mixture", "sgan": "global"}.get(name.partition(",")[0])
    scored = [rows[who]] if who else [r for p, r in rows.items() if p != "mixture"]
    means = {m: sum(r[m] for r in scored) / len(scored) for m in METRICS}
    return {**means, "spread": apart[0], "seconds": executor.now}


def scores(executor: Uneven) -> dict[str, dict[str, Any]]:
    """Of all generators, and of their mixture, at the end."""
    config, strategy = executor.setup.config, strategy_of(executor.setup.config)
    roles, rows = strategy.roles(config), dict[str, dict[str, Any]]()
    pairs = tuple(p for p, r in roles.items() if r.pair)
    for player in strategy.scored(config):
        executor.submit(Evaluate(player, config.steps, pairs))
        done: list[Done] = executor.wait(0)
        rows |= {row["player"]: row for row in done[0].result.rows}
    return rows


def main() -> None:
    """The table."""
    torch.set_num_threads(1)
    # Virtual time: nobody has to wait for anybody. Names as the two modules look them up.
    for module in (answers, judge):
        for pause in ("PATIENCE_S", "LOOK_S"):
            assert hasattr(module, pause), pause
            setattr(module, pause, 1e-4)
    seeds = next((int(a) for a in sys.argv[1:] if a.isdigit()), 3)
    words = [a for a in sys.argv[1:] if not a.isdigit()]
    kinds = [k for k in KINDS if not words or any(a in k for a in words)]
    found = gone_on("ahead", kinds, seeds, one)
    columns = (*METRICS, "spread", "seconds")
    show(["", *columns], [[k, *(spread([r[c] for r in found[k]]) for c in columns)] for k in kinds])


if __name__ == "__main__":
    main()
