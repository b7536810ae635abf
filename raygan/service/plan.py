"""`raygan plan`: what a run would need, before anything starts."""

from __future__ import annotations

import os
from dataclasses import replace

import torch

from raygan.actors.capacity import Outlook, total
from raygan.actors.placement import place_in
from raygan.config import Config, Resolved
from raygan.controller.inline import InlineExecutor
from raygan.controller.ledger import Ledger
from raygan.controller.turns import turns
from raygan.data.reading import source_text
from raygan.gan.weights import num_words
from raygan.service.autopack import not_batched
from raygan.service.places import refuse_without_gpu
from raygan.service.runs.identity import settled
from raygan.strategies.base import (
    Plan,
    Setup,
    homes,
    load_data,
    megabytes,
    num_processes,
    strategy_of,
)
from raygan.strategies.batching.fits import to_batch
from raygan.strategies.orders import Train
from raygan.strategies.sources import component_of, own_component, sources_of

PROBE = 3
"""Steps that the time is measured on."""
PROCESS_MB = 260
"""Private memory of an actor with torch and Adam, measured on Ray 2.60."""

ASKED = (
    "               and what its held-out samples say of generated ones: counts, by class too, a"
    " bit for each of these"
)


def plan_text(resolved: Resolved, address: str) -> str:
    """Players, placement, bytes and memory as text. Raises InfeasibleError when the cluster can
    never hold it.
    """
    config = settled(resolved).config
    strategy = strategy_of(config)
    strategy.check_new(config)
    players = strategy.players(config)
    data = load_data(config)
    setup = Setup(config, data, torch.device("cpu"))
    parts = setup.parts(players[0])
    seen, where = cluster_size(address, config.resources.scale)
    found = homes(config, players)
    placement = place_in(num_processes(config), config.resources, seen)
    refuse_without_gpu(config, placement.gpus)
    resources = total(seen.rooms(num_processes(config)))
    # float32, whatever a network computes in (decision 41).
    g, d = num_words(parts.generator) * 4, num_words(parts.discriminator) * 4
    checkpoint = len(players) * (1 + config.pair.optimizer_words) * (g + d)
    lines = [
        f"players        {len(players)} ({', '.join(players)}), an evaluator and a board",
        (
            f"each actor     {placement.cpus:g} CPU, {placement.gpus:g} GPU,"
            f" {config.resources.num_threads} thread(s), {placement.strategy}; {where}:"
            f" {resources['CPU']:g} CPUs, {resources['GPU']:g} GPUs"
            f"{', as far as it may grow' if seen.grows else ''}"
        ),
        (
            f"data           {data.name}: {len(data.train):,} training samples of shape"
            f" {data.shape}, {megabytes(data.train.nbytes + data.held_out.nbytes)} once a node"
            if data.whole
            else f"data           parts of shape {data.shape}, each where its pair lives"
        ),
        (
            f"networks       G {g // 4:,} and D {d // 4:,} numbers ({megabytes(g)}, {megabytes(d)})"
            " a player"
        ),
        (
            f"memory         about {(placement.players + 1) * PROCESS_MB:,} MB in"
            f" {placement.players + 1} processes"
        ),
        (
            f"checkpoint     {megabytes(checkpoint)} every {config.checkpoint.every_steps} steps,"
            f" the last {config.checkpoint.keep} are kept"
        ),
    ]
    lines += _gpu_lines(config, placement.gpus, checkpoint // len(players))
    lines += _pack_lines(setup, found)
    lines += strategy.traffic(setup)
    lines += _part_lines(setup)
    return "\n".join([*lines, _time_line(config, setup, placement.cpus)])


def _gpu_lines(config: Config, share: float, nbytes: int) -> list[str]:
    """What a player keeps on its GPU; activations are not known before they are there."""
    if config.device == "cpu" or not share:
        return []
    return [
        (
            f"GPU memory     {megabytes(2 * nbytes)} a player for networks, optimizers and the copy"
            f" to go back to, besides activations and CUDA's own 300 to 500 MB; cap: {share:.0%} of"
            " its GPU"
        ),
        "               times and packs are measured on this machine's CPU: a GPU has others",
    ]


def _part_lines(setup: Setup) -> list[str]:
    """Who trains on what, and what of it goes to other processes."""
    component = component_of(setup.config)
    if component.partition == "shared":
        return []
    if isinstance(component.partition, str):
        parts = ", ".join(f"{p} {part.train:,}" for p, part in setup.data.parts.items())
        line = (
            f"{component.partition}: training samples {parts}; each actor reads the source and"
            " keeps its part"
        )
    else:
        own = ", ".join(
            f"{p} {source_text(own_component(setup.config, p))}" for p in sources_of(setup.config)
        )
        here = "by nobody here" if component.whole else "here for its shape only"
        line = f"{own}; read by its actor, {here}"
    return [
        f"parts          {line}",
        (
            "leaves an actor networks (swaps, scores, checkpoints), losses, counts; of its samples:"
            " how many, their shape and classes,"
        ),
        "               SHA-256s, what was converted, left out or is odd, by counts; and of points",
        "               each column's mean and deviation",
        *(() if component.whole else [ASKED]),
    ]


def _pack_lines(setup: Setup, found: list[list[str]]) -> list[str]:
    if setup.config.resources.pairs_per_actor == "auto":
        return ["packs          auto: measured at the start, at most one actor a pair"]
    if (largest := len(max(found, key=len))) == 1:
        return []
    d = setup.parts(strategy_of(setup.config).locals(setup.config)[0]).discriminator
    how = (
        "as one batched model"
        if to_batch(setup.config.resources.batched, d)
        else "one after the other"
    )
    if (slow := not_batched(setup)) is not None:
        how = f"one after the other: {slow[1]}"
    return [f"packs          {largest} pairs in one actor train {how}"]


def _time_line(config: Config, setup: Setup, cpus: float) -> str:
    """Seconds from a few steps of one local and of the global pair, measured here on one thread."""
    strategy = strategy_of(config)
    players = strategy.players(config)
    plan = replace(Plan.of(config, setup.num_samples), steps=PROBE + 1, round_steps=1)
    # Else all of a pack share one time.
    apart = config.resources.model_copy(update={"pairs_per_actor": 1})
    setup = replace(setup, config=config.model_copy(update={"resources": apart}))
    ledger, executor = Ledger.begin(players, {}, {}), InlineExecutor(setup)
    ms: dict[str, float] = {}
    try:
        executor.start(players, {})
        for item in turns(strategy, plan, ledger, executor, players):
            order = item.order
            # Each one's first warms up.
            if isinstance(order, Train) and ledger.done[order.player] > order.steps:
                # The least of a few, as for packs: other work only adds.
                took = item.seconds * 1e3 / order.steps
                ms[order.player] = min(ms.get(order.player, took), took)
    finally:
        executor.close()
    busiest = max(ms.values())
    total = sum(ms.values())
    # A share of a CPU stretches every step.
    seconds = config.steps * max(busiest, total * cpus) / 1e3
    shown = {
        strategy.locals(config)[0],
        *(p for p, role in strategy.roles(config).items() if not role.pair),
    }
    each = ", ".join(f"{n} {v:.1f}" for n, v in ms.items() if n in shown)
    return (
        f"time           about {seconds:.0f} s of training ({each} ms a step on a core of this"
        " machine), start and scores apart"
    )


def cluster_size(address: str, scale: bool = True) -> tuple[Outlook, str]:
    """What the cluster at `address` is and (scale) can become; for a local one this machine,
    without starting Ray.
    """
    named = (
        os.environ.get("RAY_ADDRESS")
        if address == "auto"
        else (None if address == "local" else address)
    )
    if not named:
        # Without starting Ray: a plan is asked for on laptops and login nodes.
        here = {"CPU": float(os.cpu_count() or 1), "GPU": float(torch.cuda.device_count())}
        return Outlook([here]), "this machine"
    from raygan.actors.cluster import cluster

    with cluster(address, 80):
        from raygan.actors.capacity import outlook

        return outlook(scale), f"cluster {named}"
