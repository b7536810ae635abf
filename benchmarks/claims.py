"""What the scoreboard claims, and how each figure is taken out of a result file.

A source is a JSON file with the command that made it; a claim is a sentence, a figure and its
spread, taken out of that file. scoreboard.py makes the page.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.science.population import Member, good, rejected

Json = Any
Cell = tuple[str, str]
"""A figure and its spread."""


@dataclass(frozen=True)
class Source:
    """A result file, what made it, the log's entry, and {claim: figure and spread of the JSON}."""

    file: str
    command: str
    entry: str
    claims: dict[str, Callable[[Json], Cell]]


def number(value: float) -> str:
    """Three significant digits, without an exponent where a reader needs none.

    >>> number(8.0), number(0.88716), number(15947.8), number(8.4e-5)
    ('8', '0.887', '15,948', '8.4e-05')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def seeds(values: Iterable[float]) -> Cell:
    """Mean; standard deviation over seeds (min .. max), and how many."""
    all_ = [float(v) for v in values]
    if len(all_) == 1:
        return number(all_[0]), "1 seed"
    off = statistics.stdev(all_)
    ends = f"({number(min(all_))} .. {number(max(all_))})"
    return number(statistics.mean(all_)), f"+- {off:.2g} {ends}, {len(all_)} seeds"


def turns(values: Iterable[float], unit: str = "x") -> Cell:
    """Median of several turns (min .. max)."""
    all_ = sorted(values)
    if len(all_) == 1:
        return f"{number(all_[0])}{unit}", "1 turn"
    ends = f"({number(all_[0])} .. {number(all_[-1])})"
    return f"{number(statistics.median(all_))}{unit}", f"{ends}, {len(all_)} turns"


def once(value: float, unit: str = "", of: str = "1 run") -> Cell:
    """What was measured once, or is a count."""
    return f"{number(value)}{unit}", of


def good_runs(payload: Json, kind: str, of: Callable[[Member], Member] = dict) -> Cell:
    """Percent of all members that are good, over how many; `of`: as they are, or `rejected`."""
    populations = payload["results"][kind]
    members = [of(m) for run in populations for m in run]
    share = 100 * statistics.fmean(map(good, members))
    return once(share, " %", f"of {len(members)}, {len(populations)} populations")


def serving(p: Json) -> str:
    """Latencies that clients of an MLP met."""
    row = p["rows"]["ring8, an MLP"]
    return f"p50 {row['p50 ms']:.0f} ms, p99 {row['p99 ms']:.0f} ms"


def tail(found: Json, unit: str = " s") -> Cell:
    """A median with its tail: {n, p50, p99, max}."""
    worst = f"p99 {number(found['p99'])}, most {number(found['max'])}"
    return f"{number(found['p50'])}{unit}", f"{worst}, n = {found['n']}"


def over(path: str, score: str) -> Callable[[Json], Cell]:
    """`score` over the seeds below `path`; what stands behind " > " is a key of each seed's.

    "results|5 > global" goes through results, 5, the seeds, and in each of them to global.
    """
    keys, _, inner = path.partition(" > ")

    def taken(payload: Json) -> Cell:
        for key in keys.split("|"):
            payload = payload[key]
        return seeds((one[inner] if inner else one)[score] for one in payload)

    return taken


def ratio(payload: Json, net: str, who: str, to: str = "(a) plain loop") -> Cell:
    """How many times as fast as `to`, in each turn."""
    own, other = payload["seconds"][net][who], payload["seconds"][net][to]
    return turns(b[0] / a[0] for a, b in zip(own, other, strict=True))


def by_turn(times: Json, one: str, other: str) -> Cell:
    """How many times the time of `other` `one` takes, in each turn."""
    return turns(a / b for a, b in zip(times[one], times[other], strict=True))


def of_sequential(times: Json) -> Cell:
    """Share of the time that the same work takes in one process, one after the other."""
    return once(times["all cores"]["seconds"] / times["sequential"]["seconds"], "x of the time")


def wrong(payload: Json) -> Cell:
    """Faults after which something was torn, lost, repeated, or other bits."""
    count = payload.get("total") or payload.get("partitions") or payload["runs"]
    return once(sum(payload["wrong"].values()), "", f"of {count}")


def goodput(tempo: str, pick: Callable[[Sequence[float]], float]) -> Callable[[Json], Cell]:
    """Best or worst of the strategies and sizes."""

    def taken(payload: Json) -> Cell:
        of_tempo = [r for r in payload["rows"] if r["tempo"] == tempo]
        value = pick([r["goodput"] for r in of_tempo])
        row = next(r for r in of_tempo if r["goodput"] == value)
        who = f"{row['strategy']}, K = {row['pairs']}; {len(row['lost_s'])} kills"
        return f"{100 * value:.1f} %", who

    return taken


def cable(payload: Json, publish: str) -> Cell:
    """Milliseconds a step over 250 Mbit/s."""
    return turns((r["ms"] for r in payload["runs"][f"250 Mbit/s, {publish}"]), " ms")


def pulls(payload: Json) -> Cell:
    """Publish and pull over a raw put and get, as medians."""
    pull, raw = (statistics.median(payload[k]) for k in ("pull_s", "raw_s"))
    return f"{pull / raw:.2f}x", f"{1000 * pull:.1f} ms / {1000 * raw:.1f} ms"


def supervised(payload: Json, net: str) -> Cell:
    """Locals beside a global pair over locals beside ten others, in each turn."""
    runs = payload["runs"][net]
    pairs = zip(runs["global pair, 1 messenger update"], runs["beside ten others"], strict=True)
    return turns(a[0] / b[0] for a, b in pairs)


# fmt: off
ALONE = "single pair, 19959 steps (equal compute)"
SHARP, GRID, CLUSTERS = "results|ring8-sharp", "results|grid25-sharp", "results|r15-sharp"
R15, RING = "results|dragan 0.1", "ring of 8"
WINS = [
    Source("rejected",
           "python -m benchmarks rejected 10 ring8-sharp grid25-sharp r15-sharp", "sharp", {
        "the default run: global generator, sampled with rejection: modes":
            over(f"{SHARP}|global rejected", "modes@10%"),
        "its high quality (real data .988)": over(f"{SHARP}|global rejected", "high_quality"),
        "its width (real data 1)": over(f"{SHARP}|global rejected", "width"),
        "its reverse KL": over(f"{SHARP}|global rejected", "reverse_kl"),
        "share of its samples kept": over(f"{SHARP}|global rejected", "kept"),
        "its high quality without rejection": over(f"{SHARP}|global plain", "high_quality"),
        "its width without rejection": over(f"{SHARP}|global plain", "width"),
        "one of its locals, without rejection": over(f"{SHARP}|pair-00 plain", "high_quality"),
        "one of its locals, with rejection": over(f"{SHARP}|pair-00 rejected", "high_quality"),
        "grid of 25: modes, global generator, rejected": over(
            f"{GRID}|global rejected", "modes@10%"
        ),
        "its high quality there (real data .989)": over(f"{GRID}|global rejected", "high_quality"),
        "its width there": over(f"{GRID}|global rejected", "width"),
        "its reverse KL there": over(f"{GRID}|global rejected", "reverse_kl"),
        "its high quality there, without rejection": over(f"{GRID}|global plain", "high_quality"),
        "one of its locals there, without rejection": over(f"{GRID}|pair-00 plain", "high_quality"),
        "R15, 100 points: modes of 15, global generator, plain":
            over(f"{CLUSTERS}|global plain", "modes@10%"),
        "its high quality there (real data .99)": over(f"{CLUSTERS}|global plain", "high_quality"),
        "its width there (the 100 points .89)": over(f"{CLUSTERS}|global plain", "width"),
        "one of its locals there": over(f"{CLUSTERS}|pair-00 plain", "high_quality"),
        "its width there, with rejection (negative)":
            over(f"{CLUSTERS}|global rejected", "width"),
    }),
    Source("distil", "python -m benchmarks distil", "distil", {
        "four sites, one generator that learns from their mixture: modes":
            over("results|ring8 > one generator", "modes@10%"),
        "its high quality": over("results|ring8 > one generator", "high_quality"),
        "with rejection": over("results|ring8 > one generator, rejected", "high_quality"),
        "its reverse KL, plain": over("results|ring8 > one generator", "reverse_kl"),
        "the mixture itself: high quality": over("results|ring8 > mixture", "high_quality"),
    }),
    Source("population", "python -m benchmarks population 6", "population", {
        "random settings over three decades: good single pairs":
            lambda p: good_runs(p, "random"),
        "the same, sampled with rejection": lambda p: good_runs(p, "random", rejected),
        "members of a population of eight that are good (aim 90 %)":
            lambda p: good_runs(p, "population"),
        "of these, sampled with rejection": lambda p: good_runs(p, "population", rejected),
    }),
    Source("federated", "python -m benchmarks federated", "federated", {
        "four sites, two modes each, one generator (odds): modes":
            over("results|odds", "modes@10%"),
        "its high quality, 2,000 steps": over("results|odds", "high_quality"),
        "its high quality, 8,000 steps (aim .95: missed)":
            over("results|odds, 8,000 steps", "high_quality"),
        "summed losses, MD-GAN's rule (negative): modes of 8": over("results|sum", "modes@10%"),
        "averaged weights, FedGAN (negative): modes of 8": over("results|fedavg", "modes@10%"),
        "mixture of the four sites' pairs: high quality": over("results|mixture", "high_quality"),
        "one pair with all data, same steps: high quality":
            over("results|central", "high_quality"),
        "one pair with all data, the mixture's compute":
            over("results|central, 8,000 steps", "high_quality"),
        "parts found by k-means, mixture: high quality":
            over("results|divide", "high_quality"),
    }),
]
METHODS = [
    Source("seeds-mnist-best", "python -m benchmarks seeds mnist-best", "means", {
        "MNIST score, one generator by means (real 9.74)":
            over("scores|locals (mean)", "score"),
        "its FID (real .86)": over("scores|locals (mean)", "fid@cnn-mnist-f7720083"),
    }),
    Source("seeds-stacked-mnist-best", "python -m benchmarks seeds 3 stacked-mnist-best",
           "stacked-mnist-best", {
        "stacked MNIST, one generator by means: modes of 1,000":
            over("scores|locals (mean)", "modes"),
        "its reverse KL (real .024; aim .045)":
            over("scores|locals (mean)", "reverse_kl"),
    }),
    Source("seeds-ring8-sgan", "python -m benchmarks seeds ring8-sgan", "main-job", {
        f"SGAN, {RING}: modes of 8, global generator": over("scores|global", "modes@10%"),
        "its high quality": over("scores|global", "high_quality"),
        "high quality, mean of its five locals": over("scores|locals (mean)", "high_quality"),
    }),
    Source("printed", "python -m benchmarks printed", "printed", {
        "Algorithm 1 as printed: modes of 8 (negative)":
            over("scores|as printed (copied at each iteration, 1 step) > global", "modes@10%"),
        "messengers that live 20 iterations":
            over("scores|copied every 20 iterations, 1 step > global", "modes@10%"),
    }),
    Source("lifetime", "python -m benchmarks lifetime", "lifetime", {
        "SGAN, R15: modes of 15, global generator, R = 100": over("results|100 > global", "modes"),
        "the same, R = 5": over("results|5 > global", "modes"),
    }),
    Source("fig2d", "python -m benchmarks fig2d", "fig2d", {
        "share of modes that a pair alone leaves out": lambda p: seeds(s[0] for s in p["shares"]),
        "share that none of six pairs covers": lambda p: seeds(s[5] for s in p["shares"]),
        "share that one pair leaves after six times the steps": lambda p: seeds(p["longer"]),
        "each further pair leaves this much of them":
            lambda p: once(p["factor"], "", f"log-linear fit, R2 {p['r2']:.3f}"),
    }),
    Source("mnist", "python -m benchmarks mnist", "mnist", {
        "SGAN, MNIST score: global generator":
            lambda p: once(p["rows"]["global"]["score"], "", "1 seed"),
        "one pair at equal compute (negative)":
            lambda p: once(p["rows"][ALONE]["score"], "", "1 seed"),
    }),
    Source("gap-r15", "python -m benchmarks gap-r15", "gap-r15", {
        "GAP, R15, K = 200: high quality, one generator":
            over(f"{R15}|GAP, K = 200 > single", "high_quality"),
        "four independent pairs (negative: no gain)":
            over(f"{R15}|4 independent pairs > single", "high_quality"),
        "one pair at equal compute": over(f"{R15}|1 pair, equal compute > single", "high_quality"),
    }),
    Source("generalisation", "python -m benchmarks generalisation", "generalisation", {
        "GAP, std of D's held-out cost: swap every 10":
            lambda p: seeds(r["std"][0] for r in p["results"]["GAP, 4 pairs, K = 10"]),
        "four pairs that never meet":
            lambda p: seeds(r["std"][0] for r in p["results"]["4 independent pairs"]),
    }),
    Source("gam2-mnist", "python -m benchmarks gam2", "gam2", {
        "GAP on MNIST, score": lambda p: seeds(p["rows"]["GAP_D4, K = 100 updates"]["mnist score"]),
        "independent DCGANs (negative: level)":
            lambda p: seeds(p["rows"]["independent"]["mnist score"]),
    }),
    Source("seeds-ring8-pmgan", "python -m benchmarks seeds ring8-pmgan ring8-pmgan-10", "pmgan", {
        f"PMGAN, {RING}: modes of 8, mixture": over("scores|mixture", "modes@10%"),
        "its high quality": over("scores|mixture", "high_quality"),
        "its log-likelihood (real 4.19; noise -1.59: negative)":
            over("scores|mixture", "log_likelihood"),
        "modes of one of its generators (the method)": over("scores|locals (mean)", "modes@10%"),
    }),
    Source("seeds-ring8-pmgan-10",
           "python -m benchmarks seeds ring8-pmgan ring8-pmgan-10", "pmgan", {
        "PMGAN, ten generators: modes of 8, mixture": over("scores|mixture", "modes@10%"),
        "its reverse KL (two modes have two: .054)": over("scores|mixture", "reverse_kl"),
        "its log-likelihood (noise -1.59: negative)": over("scores|mixture", "log_likelihood"),
    }),
    Source("batch-norm", "python -m benchmarks batch-norm", "batch-norm", {
        "PMGAN, MNIST FID: statistics of each slot":
            over("results|batch norm, statistics own > mixture", "fid@cnn-mnist-f7720083"),
        "statistics of the mixture (negative)":
            over("results|batch norm, statistics mixture > mixture", "fid@cnn-mnist-f7720083"),
    }),
    Source("diversity", "python -m benchmarks diversity", "diversity", {
        "beta follows overlap, lambda = 0: rank correlation":
            over("results|0", "beta against overlap"),
    }),
    Source("balance", "python -m benchmarks balance", "balance", {
        "PMGAN, beta learned, K = 8: beta at the end (modes divided)":
            over("results|learned, K = 8", "beta"),
        "its high quality, mixture": over("results|learned, K = 8", "high_quality"),
        "the preset's decayed beta (no difference)":
            over("results|bounded, decayed (the preset), K = 8", "high_quality"),
        "K = 10: overlap at the end (target .05)": over("results|learned, K = 10", "overlap"),
        "K = 10: reverse KL (two modes have two)":
            over("results|learned, K = 10", "reverse_kl"),
    }),
    Source("stacked", "python -m benchmarks stacked 200 5 decent", "stacked-mnist", {
        "stacked MNIST, modes of 1,000: PMGAN, K = 4, mixture":
            over("results|decent / pmgan, K = 4|mixture", "modes"),
        "one pair at equal compute (negative)":
            over("results|decent / independent, K = 1|single", "modes"),
    }),
    Source("r3gan", "python -m benchmarks r3gan 2000", "r3gan", {
        f"R3GAN's loss, {RING}: high quality":
            lambda p: seeds(p["recipes"]["r3gan .1, 2000"]["high_quality"]),
        "DRAGAN (negative: no gain)":
            lambda p: seeds(p["recipes"]["dragan .1 (the preset's), 2000"]["high_quality"]),
    }),
    Source("r3gan-stacked",
           "python -m benchmarks r3gan stacked 300 stacked-r3gan stacked-mnist", "r3gan", {
        "stacked MNIST after 300 CPU s: R3GAN's loss without norm, reverse KL":
            lambda p: once(p["results"]["stacked-r3gan"]["reverse_kl"]),
        "batch norm, non-saturating (negative: no gain)":
            lambda p: once(p["results"]["stacked-mnist"]["reverse_kl"]),
    }),
]
SPEED = [
    Source("rivals", "python -m benchmarks rivals", "rivals", {
        "10 MLPs 4 x 512, two cores, over a plain loop":
            lambda p: ratio(p, "toy", "raygan, packs auto"),
        "10 MLPs 4 x 64": lambda p: ratio(p, "small", "raygan, packs auto"),
        "8 DCGANs of width 16": lambda p: ratio(p, "dcgan", "raygan, packs auto"),
        "10 MLPs 4 x 512: Ray Tune, no exchange": lambda p: ratio(p, "toy", "(c) Ray Tune"),
    }),
    Source("speed", "python -m benchmarks overhead", "speed", {
        "two pairs on two cores over a plain loop":
            lambda p: turns(a / b for a, b in p["two_pairs_s"]),
        "publish and pull 10 MB over a raw put and get": pulls,
    }),
    Source("packs", "python -m benchmarks packs", "packs", {
        "ten MLPs 4 x 64 as one model over one by one": lambda p: turns(p["ratios"]["MLP 4 x 64"]),
        "ten MLPs 4 x 512 (negative: no gain)": lambda p: turns(p["ratios"]["MLP 4 x 512"]),
    }),
    Source("guard", "python -m benchmarks guard", "packs", {
        "one pair over the plain loop, which a test guards":
            lambda p: once(p["ratios"]["pair"], "x"),
        "a pack of ten over the plain loop": lambda p: once(p["ratios"]["pack"], "x"),
    }),
    Source("swap-cost", "python -m benchmarks swap-cost", "swap-cost", {
        "a swap every 50 steps, share of the time: 4 x 512":
            lambda p: turns((100 * m for m in p["found"]["toy, auto"]["meeting"]), " %"),
        "MLPs 4 x 64 (negative: aim 2 %)":
            lambda p: turns((100 * m for m in p["found"]["small, auto"]["meeting"]), " %"),
    }),
    Source("supervisor", "python -m benchmarks supervisor", "supervisor", {
        "locals' time with a global pair, 4 x 512": lambda p: supervised(p, "toy"),
        "the same, 4 x 64": lambda p: supervised(p, "small"),
    }),
    Source("shards", "python -m benchmarks shards", "deputies", {
        "messengers in two processes over one, 4 x 512":
            lambda p: by_turn(p["seconds"]["toy"], "1", "2"),
    }),
    Source("parallel-pmgan", "python -m benchmarks parallel-pmgan", "parallel-pmgan", {
        "PMGAN, K = 8, async on two cores over sequential": lambda p: of_sequential(p["raw"]["8"]),
    }),
    Source("precision", "python -m benchmarks precision", "precision", {
        "DCGAN of width 64: bfloat16 and channels last":
            lambda p: once(p["times"]["DCGAN, width 64"]["both, 1 thread"], "x"),
    }),
    Source("compiled", "python -m benchmarks compiled", "precision", {
        "torch.compile, MLP 4 x 512 (negative)": lambda p: turns(p["found"]["toy"]["gains"]),
    }),
    Source("cable", "python -m benchmarks cable", "cable", {
        "a step over 250 Mbit/s": lambda p: cable(p, "float32"),
        "the same with `publish: bfloat16`": lambda p: cable(p, "bfloat16"),
    }),
    Source("direct-transport", "python -m benchmarks direct-transport", "direct-transport", {
        "Ray Direct Transport, 100 MB, over the store (negative)":
            lambda p: by_turn(p["ms"]["100 MB, gloo"], "gloo", "store"),
    }),
    Source("device-syncs", "python -m benchmarks device-syncs", "device-syncs", {
        "waits for a GPU, a pair's state (before: 72)":
            lambda p: once(p["counts"]["a pair: state (a round, a save)"]["syncs"], "", "counted"),
        "a pair's steps of a round, its look and its check (before: 3 a step, and 3)":
            lambda p: once(
                p["counts"]["a pair: a step of pair-00 (the last of a round)"]["syncs"]
                + p["counts"]["a pair: check (a round)"]["syncs"],
                "", "counted"
            ),
        "a step of a pack of four, the last of a round (before: 45)":
            lambda p: once(
                p["counts"]["a pack of 4: a step (the last of a round)"]["syncs"], "", "counted"
            ),
    }),
    Source("load", "python -m benchmarks load", "load", {
        "a fresh process loads an exported model and draws (aim 2 s)":
            lambda p: turns((t["s"] for t in p["found"]["torch, raygan.load, ten samples"]), " s"),
        "of which torch's own import":
            lambda p: turns((t["s"] for t in p["found"]["torch alone"]), " s"),
    }),
    Source("asked-once", "python -m benchmarks asked-once", "asked-once", {
        "a strategy made once a run over at each question":
            lambda p: turns(p["training"]["ratios"]),
    }),
]
SIZE = [
    Source("scale", "python -m benchmarks scale", "scale", {
        "controller, a round of 10,000 players":
            lambda p: once(p["counts"][-1]["controller_s"], " s"),
    }),
    Source("footprint", "python -m benchmarks footprint", "packs", {
        "40 pairs in processes of 20: memory of all":
            lambda p: once(p["forty"]["20"]["peak_mb"], " MB"),
        "40 pairs, a process each": lambda p: once(p["forty"]["1"]["peak_mb"], " MB"),
    }),
    Source("hub", "python -m benchmarks hub", "hub", {
        "the hub's CPU time, of all cores'":
            lambda p: turns((100 * s for s in p["cpu_share"]), " %"),
        "rows a second into the hub": lambda p: once(p["rows_per_second"]),
    }),
    Source("serve", "python -m benchmarks serve", "serve", {
        "samples a second of `raygan serve`, an MLP, 64 clients":
            lambda p: once(p["rows"]["ring8, an MLP"]["samples/s"], "", serving(p)),
        "answers that 64 clients missed while a newer checkpoint came":
            lambda p: once(p["rows"]["ring8, a checkpoint comes"]["errors"]),
    }),
    Source("ahead", "python -m benchmarks ahead 3", "ahead", {
        "PMGAN, async, the judge ten times slower: modes":
            over("results|pmgan, the judge slow, max_ahead 50", "modes@10%"),
        "the same without a bound (negative)":
            over("results|pmgan, the judge slow, max_ahead 1000000", "modes@10%"),
    }),
    Source("journal-length", "python -m benchmarks journal-length", "second-look", {
        "a checkpoint after 40,000 swaps over after 10":
            lambda p: once(p["ratio"], "x", "medians of 30"),
    }),
    Source("memory-growth", "python -m benchmarks memory-growth", "second-look", {
        "resident memory gained over 2,400 rounds":
            lambda p: once(p["looks"][-1][1] - p["looks"][0][1], " kB"),
    }),
    Source("durability", "python -m benchmarks durability", "never-lose-a-run", {
        "journal, copies and checkpoints, of the time":
            lambda p: once(100 * p["cost"]["share"], " %"),
    }),
]
SAFETY = [
    Source("simulate", "python -m benchmarks simulate 1000", "second-look", {
        "simulated runs with other bits at the end": lambda p: once(
            p["violations"], "", f"of {p['seeds']}, {sum(p['faults'].values()):,} faults"),
    }),
    Source("simulate-two", "python -m benchmarks simulate 1000 0 two", "second-look", {
        "two drivers on one run: wrong ends":
            lambda p: once(p["violations"], "", f"of {p['seeds']}"),
    }),
    Source("chaos", "python -m benchmarks chaos", "second-look", {
        "faults on real Ray that cost a bit": wrong,
        "a player killed: to the next order": lambda p: tail(p["recovery_s"]["SIGKILL"]),
        "a helper killed": lambda p: tail(p["recovery_s"]["SIGKILL helper"]),
        "Ray's raylet or GCS killed": lambda p: tail(p["recovery_s"]["head"]),
    }),
    Source("partitions", "python -m benchmarks partitions", "second-look", {
        "pulled cables that cost a bit": wrong,
        "a node lost: to the next order (aim 5 s)": lambda p: tail(p["recovery_s"]),
    }),
    Source("preemptions", "python -m benchmarks preemptions", "second-look", {
        "nodes with notice that cost more than a round":
            lambda p: once(p["more_than_a_round_lost"], "", f"of {p['runs']}"),
        "the run's players are gone after": lambda p: tail(p["left_s"]),
    }),
    Source("swaps", "python -m benchmarks swaps", "swaps", {
        "adoptions equal to their source, bit for bit":
            lambda p: once(p["equal"], "", f"of {p['adoptions']:,}, {p['deaths']:,} deaths"),
    }),
    Source("goodput", "python -m benchmarks goodput", "waits", {
        "time kept with a kill a minute, async, best": goodput("async", max),
        "async, worst (aim 95 %)": goodput("async", min),
        "lockstep, best": goodput("lockstep", max),
        "lockstep, worst (aim 80 %)": goodput("lockstep", min),
    }),
    Source("mutants", "python -m benchmarks mutants", "mutants", {
        "small bugs in what protects a run that no fast test sees":
            lambda p: once(p["all"]["survived"], "",
                           f"of {sum(p['all'].values())};"
                           f" {p['all']['equivalent']} are argued equal"),
    }),
    Source("soak", "python -m benchmarks soak 54", "third-look", {
        "growth of all processes but the hub, private memory, a round":
            lambda p: once(1e3 * sum(v["private_kb"] for k, v in p["slopes"].items()
                                     if k not in ("hub", "driver")) / 1e4, " B",
                           f"{p['rounds']:,} rounds"),
    }),
    Source("large-data", "python -m benchmarks large-data", "waits", {
        "60,000 pictures in a folder to the first step, first start":
            lambda p: once(p["first"]["seconds"], " s",
                           f"{p['first']['peak_mb'] - p['first']['imports_mb']:.0f} MB over the"
                           " imports"),
        "and later ones":
            lambda p: once(p["second"]["seconds"], " s", "from the cache"),
        "scores of 50,000 samples against 50,000":
            lambda p: once(p["scores"]["50000"]["seconds"], " s",
                           f"{p['scores']['50000']['peak_mb']:.0f} MB"),
    }),
    Source("long-run", "python -m benchmarks long-run", "third-look", {
        "`status` of a run with a million rows and a million events":
            lambda p: once(min(x["s"] for x in p["looks"] if x["look"] == "status" and x["index"]),
                           " s", "best of 3"),
    }),
    Source("uneven", "python -m benchmarks uneven 1 pmgan", "uneven", {
        "PMGAN, async, one generator stopped 9/10: modes of 8":
            over("results|pmgan, a slow generator", "modes@10%"),
    }),
    Source("preset_bits", "python -m benchmarks preset-bits --check", "preset-bits", {
        "presets whose bits are kept":
            lambda p: once(len(p["presets"]), "", f"{p['steps']} steps each"),
    }),
    Source("presets", "python -m benchmarks presets", "presets", {
        "toy presets trained to their end": lambda p: once(len(p["results"]), "", "1 seed each"),
    }),
    Source("store_pages", "python -m benchmarks store-pages", "speed", {
        "two processes write 10 MB each: floor of a swap":
            lambda p: turns((t["two_writes_ms"] for t in p["turns"]["0"]), " ms"),
    }),
]
GROUPS = {
    "What many pairs, and one, can do": WINS,
    "What the methods deliver": METHODS,
    "Speed": SPEED,
    "Size": SIZE,
    "Nothing is lost": SAFETY,
}
# fmt: on
