"""Every strategy against every other, by quality and by cost: `python -m benchmarks frontier
[SEEDS] [TASK ...]` (5, ring8); writes results/frontier.json and results/frontier-TASK.png

One recipe for all (networks, loss, rates of the preset that a task names); only the strategy and
the number of pairs are others. Two budgets, each spent to its end, with rates that fall to 0 there:

time      as many updates of D by the busiest player as one pair makes in STEPS: equal wall clock
          where each player has a worker of its own. SGAN's global pair makes two a local and step,
          PMGAN's judge one a generator
compute   as many updates of D in all as one pair makes in 4 x STEPS: more pairs, fewer steps each

What is looked at is one generator: the global one where there is one, else the mean over the
pairs' (what picking one blindly gives); beside it the mixture. A run has failed whose one generator
leaves a mode out or whose high quality is below half. Scores: 10,000 samples, no rejection.

In one process and in packs, whose bits are those of pairs one by one. What is done is not done
again. Bytes are what players would send each other.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.common import RESULTS, gone_on, kept, show
from raygan.config import Config, Resolved, resolve
from raygan.service.sweeps.costs import megabytes
from raygan.service.training import train
from raygan.strategies.base import load_data, strategy_of
from raygan.strategies.roles import GLOBAL, MIXTURE

TASKS = {"ring8": ("ring8-sharp", 2000, 8), "grid25": ("grid25-sharp", 4000, 25)}
"""Task -> the preset whose recipe it takes, STEPS, modes."""
STRATEGIES: Mapping[str, Mapping[str, Any]] = {
    "independent": {"strategy": {"name": "independent"}},
    "sgan": {"strategy": {"name": "sgan", "messenger_lifetime": 500, "max_lag": 500}},
    "gap": {"strategy": {"name": "gap", "swap_every": 100}},
    "pmgan": {"strategy": {"name": "pmgan", "decay": 0.001}},
    "fedavg": {"strategy": {"name": "fedavg"}},
    "mdgan": {"strategy": {"name": "mdgan"}},
    "population": {"strategy": {"name": "population"}},
    "clusters": {"strategy": {"name": "independent"}, "data.partition": "clusters"},
}
"""`clusters` is `divide`: parts by k-means, a pair each; its mixture is what it is for."""
SIZES, ALONE = (2, 4, 8), "independent"
"""Numbers of pairs; one pair alone is ALONE with 1."""
BUDGETS = {"time": 1, "compute": 4}
"""Budget -> steps that one pair alone has in it, in units of STEPS."""
SCORES = ("modes@10%", "high_quality", "width", "reverse_kl")


def cells(task: str) -> list[str]:
    """task/strategy/N/budget of all that is trained."""
    many = [f"{s}/{n}" for s in STRATEGIES for n in SIZES]
    return [f"{task}/{who}/{b}" for who in [f"{ALONE}/1", *many] for b in BUDGETS]


def busiest(config: Config) -> float:
    """Updates of D a step of the player that makes most of them."""
    strategy = strategy_of(config)
    total, pairs = strategy.d_updates(config), config.num_pairs
    match strategy.name:
        case "sgan":
            return total - pairs  # what the locals do not make is the global pair's
        case "pmgan":
            return total  # all of them are the judge's
    return total / pairs


def run_of(cell: str, seed: int) -> Resolved:
    """The settings of a cell's run."""
    task, strategy, n, budget = cell.split("/")
    preset, steps, _ = TASKS[task]
    flags: dict[str, Any] = {
        **STRATEGIES[strategy], "num_pairs": int(n), "seed": seed,
        # packs have the bits of pairs one by one, in less time
        "resources.pairs_per_actor": 1 if strategy in ("pmgan", "mdgan") else int(n),
        "evaluation": {"samples": 10_000, "reject": "never"},
    }  # fmt: skip
    draft = resolve(preset, flags=flags).config
    each = busiest(draft) if budget == "time" else strategy_of(draft).d_updates(draft)
    steps = round(BUDGETS[budget] * steps / each)
    flags |= {"steps": steps, "checkpoint": {"every_steps": steps}}
    flags["evaluation"] |= {"every_steps": steps}
    return resolve(preset, flags=flags)


def one(cell: str, seed: int) -> dict[str, Any]:
    """Train and score a cell; one whose two budgets are the same run only once."""
    resolved = run_of(cell, seed)
    twin = cell.replace("/compute", "/time")
    if twin != cell and run_of(twin, seed) == resolved:
        done: dict[str, Any] = kept("frontier")["results"][twin][seed]
        return done
    config = resolved.config
    with tempfile.TemporaryDirectory() as folder:
        run = train(resolved, run_dir=Path(folder), name="run", inline=True)
        rows = run.scores()
        single = [rows[GLOBAL]] if GLOBAL in rows else [rows[p] for p in run.pairs]
    return {
        "steps": config.steps,
        "d_updates": strategy_of(config).d_updates(config) * config.steps,
        "busiest": busiest(config) * config.steps,
        "megabytes": megabytes(config, load_data(config)) * config.steps,
        "single": {m: statistics.fmean(float(r.get(m, "nan")) for r in single) for m in SCORES},
        "mixture": {m: float(rows[MIXTURE].get(m, "nan")) for m in SCORES}
        if MIXTURE in rows
        else None,
    }


def failed(row: Mapping[str, Any], modes: int) -> bool:
    """Has its one generator lost a mode, or is it mostly beside them?"""
    return row["single"]["modes@10%"] < modes or row["single"]["high_quality"] < 0.5


def summary(task: str, results: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    """A row a cell: means over seeds."""
    out, (_, _, modes) = [], TASKS[task]
    for cell in cells(task):
        rows = results.get(cell, [])
        if not rows:
            continue
        _, strategy, n, budget = cell.split("/")
        quality = [r["single"]["high_quality"] for r in rows]
        mixed = [r["mixture"]["high_quality"] for r in rows if r["mixture"]]
        out.append({
            "strategy": strategy, "n": int(n), "budget": budget, "seeds": len(rows),
            "steps": rows[0]["steps"], "d_updates": rows[0]["d_updates"],
            "busiest": rows[0]["busiest"],
            "megabytes": rows[0]["megabytes"],
            "quality": statistics.fmean(quality), "least": min(quality), "most": max(quality),
            "width": statistics.fmean(r["single"]["width"] for r in rows),
            "mixture": statistics.fmean(mixed) if mixed else None,
            "failed": sum(failed(r, modes) for r in rows),
        })  # fmt: skip
    return out


def tables(task: str, rows: list[dict[str, Any]]) -> None:
    """A table a budget, the best first."""
    for budget in BUDGETS:
        print(f"\n{task}, equal {budget}:\n")
        show(
            ["strategy", "N", "steps", "updates of D", "MB sent", "one generator", "width",
             "mixture", "failed"],
            [[r["strategy"], str(r["n"]), f"{r['steps']:,}", f"{r['d_updates']:,.0f}",
              f"{r['megabytes']:.0f}",
              f"{r['quality']:.3f} ({r['least']:.3f} .. {r['most']:.3f})", f"{r['width']:.2f}",
              "-" if r["mixture"] is None else f"{r['mixture']:.3f}", f"{r['failed']}/{r['seeds']}"]
             for r in sorted(rows, key=lambda r: -r["quality"]) if r["budget"] == budget],
        )  # fmt: skip


def picture(task: str, rows: list[dict[str, Any]]) -> bytes:
    """Quality of one generator against all updates of D, and the busiest player's."""
    from raygan.service.views.colours import MAIN, PAIRS
    from raygan.service.views.paper import STYLE, legend, plt, png

    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, 2, figsize=(10.5, 3.8), sharey=True, layout="constrained")
        costs = {"d_updates": "all players", "busiest": "busiest player"}
        for axis, (cost, whose) in zip(axes, costs.items(), strict=True):
            for tint, strategy in zip(PAIRS, STRATEGIES, strict=True):
                mine = [r for r in rows if r["strategy"] == strategy]
                axis.scatter([r[cost] for r in mine], [r["quality"] for r in mine], color=tint,
                             s=[14 + 9 * r["n"] for r in mine], alpha=0.8, label=strategy,
                             linewidths=0)  # fmt: skip
            front, best = [], -1.0
            for row in sorted(rows, key=lambda r: (r[cost], -r["quality"])):
                if row["quality"] > best:
                    best = row["quality"]
                    front.append(row)
            axis.step([r[cost] for r in front], [r["quality"] for r in front], where="post",
                      color=MAIN, linewidth=1, label="nobody is better for less")  # fmt: skip
            axis.set_xscale("log")
            axis.set_xlabel(f"updates of D, {whose}")
        axes[0].set_ylabel("high quality, one generator")
        figure.suptitle(f"{task}: each dot a strategy with N pairs (larger: more), mean over seeds",
                        fontsize=10)  # fmt: skip
        legend(figure, axes[0])
    return png(figure)


def main() -> None:
    """Train what is missing, print, draw."""
    seeds = next((int(a) for a in sys.argv[1:] if a.isdigit()), 5)
    for task in [a for a in sys.argv[1:] if not a.isdigit()] or ["ring8"]:
        gone_on("frontier", cells(task), seeds, one)
        rows = summary(task, kept("frontier")["results"])
        tables(task, rows)
        (RESULTS / f"frontier-{task}.png").write_bytes(picture(task, rows))


if __name__ == "__main__":
    main()
