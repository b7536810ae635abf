"""Algorithm 1 as printed against variants of the messenger, five seeds each, at the default
preset's other settings.

Printed: messengers are copied anew at every iteration and take one step. The default keeps them for
5 iterations.
"""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.common import show, spread, write
from raygan.config import resolve
from raygan.controller.evaluator import Sampler
from raygan.controller.inline import InlineExecutor
from raygan.gan.bundle import unpack
from raygan.gan.random_streams import sample_prior
from raygan.gan.states import load_network
from raygan.metrics.modes import mode_scores
from raygan.service.verify import final_states
from raygan.strategies.base import Setup, load_data, strategy_of

SEEDS, STEPS = 5, 1000
CASES: dict[str, dict[str, Any]] = {
    "as printed (copied at each iteration, 1 step)": {"strategy.messenger_lifetime": 1},
    "simplified (no messengers)": {
        "strategy.messenger_lifetime": 1,
        "strategy.variant": "simplified",
    },
    "copied at each iteration, 3 steps": {
        "strategy.messenger_lifetime": 1,
        "strategy.messenger_steps": 3,
    },
    "copied every 5 iterations, 1 step (default)": {},
    "copied every 20 iterations, 1 step": {"strategy.messenger_lifetime": 20},
}


def one(case: dict[str, Any], seed: int) -> dict[str, dict[str, float]]:
    """Scores of the global generator and the locals' mean."""
    config = resolve("ring8-sgan", flags={"steps": STEPS, "seed": seed, **case}).config
    data = load_data(config)
    assert data.modes is not None
    setup = Setup(config, data, torch.device("cpu"))
    states = final_states(config, lambda: InlineExecutor(setup))
    sampler = Sampler(setup)
    found = {}
    for player, raw in states.items():
        network = sampler.network(player)
        load_network("ema", network, unpack(raw))
        # One stream a player, begun anew: every generator is given the same z.
        stream = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            z = sample_prior(config.pair.prior, (2500, config.network["z_dim"]), stream)
            found[player] = mode_scores(network(z).numpy(), data.modes)
    locals_ = [found[p] for p in strategy_of(config).locals(config)]
    return {
        "global": found["global"],
        "locals": {k: sum(s[k] for s in locals_) / len(locals_) for k in locals_[0]},
    }


def main() -> None:
    """Run, print, keep."""
    kept: dict[str, Any] = {}
    rows = []
    metrics = ("modes@10%", "high_quality", "reverse_kl")
    for name, case in CASES.items():
        kept[name] = [one(case, seed) for seed in range(SEEDS)]
        rows.append([name, *(spread([k["global"][m] for k in kept[name]]) for m in metrics)])
        print(rows[-1], flush=True)
    any_case = next(iter(kept.values()))
    rows.append(
        [
            "locals (the same in all rows)",
            *(spread([k["locals"][m] for k in any_case]) for m in metrics),
        ]
    )
    show(["global generator", *metrics], rows)
    write("printed", {"steps": STEPS, "scores": kept})


if __name__ == "__main__":
    main()
