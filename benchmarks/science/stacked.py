"""Stacked MNIST at equal total compute: independent, gap, sgan, pmgan with K generators, and one
generator.

    python -m benchmarks stacked [SECONDS [SEEDS [NETS [KS [STRATEGIES]]]]]

writes results/stacked.json after each run, and goes on there where SECONDS (200) and the machine
are the same.

Each run gets SECONDS of CPU time of training, all its players together, on one thread; scores over
26,000 samples. NETS: tiny-4 and tiny-2 (D's width 1/4 and 1/2 of G's, after the published
comparison), decent (D as wide as G). PMGAN's generators take 64 / K samples a step each, as its
judge does of each of them; everybody else's batch is 64.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import torch

from benchmarks.common import conditions, kept, show, spread, write
from raygan.config import Config, resolve
from raygan.controller.evaluator import Sampler
from raygan.controller.ledger import Ledger
from raygan.controller.orders import Done
from raygan.controller.worker import Shelves, host
from raygan.gan.random_streams import Streams
from raygan.gan.trainer import Trainer
from raygan.metrics.suite import Suite
from raygan.strategies.base import Plan, Setup, load_data, strategy_of
from raygan.strategies.orders import Swap
from raygan.strategies.roles import GLOBAL, JUDGE

NETS = {"tiny-4": (16, 4), "tiny-2": (16, 8), "decent": (32, 32)}
STRATEGIES: dict[str, Any] = {
    "independent": {"name": "independent"},
    "gap": {"name": "gap", "swap_every": 100},
    "sgan": {
        "name": "sgan",
        "messenger_lifetime": 100,
        "max_lead": 100,
        "share_generators": "weights",
    },
    "pmgan": {"name": "pmgan", "diversity": -2.0, "generator_batch": "share"},
}
SAMPLES = 26_000


def run(config: Config, seconds: float) -> dict[str, dict[str, float]]:
    """Train for so many CPU seconds in all; scores of the mixture, of a global generator, and of
    the first single one.
    """
    data = load_data(config)
    setup = Setup(config, data, torch.device("cpu"))
    strategy, board = strategy_of(config), Shelves()
    players = {n: strategy.build(n, setup) for n in strategy.players(config)}
    for p in players.values():
        p.open(board)
    plan, ledger, spent = Plan.of(config, len(data.train)), Ledger.begin(list(players), {}, {}), 0.0
    while spent < seconds:
        for order in strategy.decide(ledger.ready(list(players)), ledger.progress, plan):
            began = time.process_time()
            result: Any = {}
            if isinstance(order, Swap):
                parcels = {
                    p: players[p].offer(order.what, order.carry)  # type: ignore[attr-defined]
                    for p in order.players
                }
                for taker, source in order.moves.items():
                    players[taker].adopt(order.what, parcels[source])  # type: ignore[attr-defined]
                ledger.swapped |= {p: ledger.done[p] for p in order.players}
            else:
                result = host(players[order.player], order, board, 0)
                ledger.carried_out(Done(order, result, 0.0))
            spent += time.process_time() - began
    suite = Suite(data, ["modes"], n_fake=SAMPLES, n_real=1000)
    sampler, streams = Sampler(setup), Streams(config.seed, "stacked")
    out: dict[str, dict[str, float]] = {}
    singles = [n for n in players if n not in (GLOBAL, JUDGE)]
    each = -(-SAMPLES // len(singles))
    pool = []
    for name in [*singles, *([GLOBAL] if GLOBAL in players else [])]:
        player = players[name]
        assert isinstance(player, Trainer)
        vector = player.generator_vector()
        if name == GLOBAL or name == singles[0]:
            score = suite.score(sampler.draw(name, vector, SAMPLES, 0))
            out["global" if name == GLOBAL else "single"] = score
        if name != GLOBAL:
            pool.append(sampler.draw(name, vector, each, 1))
    if len(singles) > 1:
        out["mixture"] = suite.score(
            torch.cat(pool)[torch.randperm(each * len(singles), generator=streams.at("mix"))][
                :SAMPLES
            ]
        )
    for score in out.values():
        score["steps"] = float(min(ledger.done.values()))
    return out


def before(seconds: float) -> Any:
    """What an earlier command has found with the same budget on the same machine."""
    old = kept("stacked")
    same = old.get("seconds") == seconds and old["conditions"]["machine"] == conditions()["machine"]
    return old["results"] if same else {}


def main() -> None:
    """Run all, print after each."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 200.0
    seeds = range(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    nets = sys.argv[3].split(",") if len(sys.argv) > 3 else list(NETS)
    sizes = [int(k) for k in sys.argv[4].split(",")] if len(sys.argv) > 4 else [1, 4, 8, 12, 16]
    wanted = sys.argv[5].split(",") if len(sys.argv) > 5 else list(STRATEGIES)
    torch.set_num_threads(1)
    found: dict[str, dict[str, list[dict[str, float]]]] = before(seconds)
    for seed in seeds:
        for net in nets:
            width, width_d = NETS[net]
            for k in sizes:
                for name in wanted:
                    if k == 1 and name != "independent":
                        continue  # alone, there is nobody to help
                    if len(found.get(f"{net} / {name}, K = {k}", {}).get("single", [])) > seed:
                        continue  # has been run
                    flags = {
                        "seed": seed, "num_pairs": k, "steps": 10**7, "round_steps": 20,
                        "strategy": STRATEGIES[name], "batch_size": 64,
                        "network": {"name": "dcgan", "width": width, "width_d": width_d,
                                    "z_dim": 64},
                        "evaluation.every_steps": 10**7, "checkpoint.every_steps": 10**7,
                    }  # fmt: skip
                    config = resolve("stacked-mnist-pmgan", flags=flags).config
                    for who, score in run(config, seconds).items():
                        found.setdefault(f"{net} / {name}, K = {k}", {}).setdefault(who, []).append(
                            score
                        )
                    print(
                        net,
                        name,
                        k,
                        seed,
                        {
                            w: {m: round(v[-1][m], 3) for m in v[-1]}
                            for w, v in found[f"{net} / {name}, K = {k}"].items()
                        },
                        flush=True,
                    )
                    write("stacked", {"seconds": seconds, "seeds": seed + 1, "results": found})
    keys = ("modes", "modes@0.9", "reverse_kl", "confidence", "steps")
    rows = [
        [label, who, *(spread([s[m] for s in scores]) for m in keys)]
        for label, by in found.items()
        for who, scores in by.items()
    ]
    show(["net / strategy", "generator", *keys], rows)


if __name__ == "__main__":
    main()
