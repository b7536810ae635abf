"""`resources.pairs_per_actor: auto`: how many pairs share a process, measured where the run starts
and written into its config.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, cast

import torch

from raygan.config import Config
from raygan.controller.worker import Shelves
from raygan.gan.pair import Pair
from raygan.strategies.base import Setup, homes, strategy_of
from raygan.strategies.batching.alike import why_not
from raygan.strategies.batching.pack import Pack

PROBE_STEPS, PROBES = 2, 3


def settle(setup: Setup, places: int) -> tuple[Config, dict[str, Any]]:
    """The config with a number in the place of `auto`, and what was measured.

    places: processes that can train at once (cores, or GPUs). The pairs are spread over them; those
    of one process are batched where that is faster than one after the other.
    """
    config, strategy = setup.config, strategy_of(setup.config)
    # An equal share: the slowest process is everybody's pace, so one that is fuller than the rest
    # gains nothing.
    share = math.ceil(config.num_pairs / max(1, places))
    facts: dict[str, Any] = {"pairs_per_actor": 1, "batched": config.resources.batched}
    if share > 1 and strategy.packs and not strategy.together(config):
        facts["pairs_per_actor"] = share
        names = strategy.locals(config)[:share]
        # Built twice: a pack makes its pairs' tensors views into its own (decision 31), and the
        # times of both ways are wanted from the same start.
        alone, packed = ([strategy.build(n, setup) for n in names] for _ in range(2))
        if (why := why_not(packed)) is not None:
            facts |= {"batched": False, "why": why}
        elif facts["batched"] is None:
            pack, board = Pack([cast(Pair, p) for p in packed]), Shelves()
            facts["alone_ms"] = milliseconds(lambda: [p.train(PROBE_STEPS, board) for p in alone])
            facts["packed_ms"] = milliseconds(lambda: pack.train(PROBE_STEPS, board))
            facts["batched"] = facts["packed_ms"] < facts["alone_ms"]
    chosen = {key: facts[key] for key in ("pairs_per_actor", "batched")}
    return config.model_copy(
        update={"resources": config.resources.model_copy(update=chosen)}
    ), facts


def not_batched(setup: Setup) -> tuple[int, str] | None:
    """(pairs in one actor, why they cannot be batched); None where they can, or need not be."""
    config = setup.config
    if config.resources.batched is False:
        return None
    strategy = strategy_of(config)
    shared = {p for group in strategy.together(config) for p in group}
    seen = set()
    for home in sorted(homes(config, strategy.players(config)), key=len, reverse=True):
        # Homes of one kind have one reason, and to find it their networks are built.
        kinds = frozenset(str((c.network, c.loss, c.pair)) for c in map(config.of, home))
        if len(home) == 1 or shared & set(home) or kinds in seen:
            continue
        seen.add(kinds)
        if (why := why_not([strategy.build(p, setup) for p in home])) is not None:
            return len(home), why
    return None


def milliseconds(work: Callable[[], object]) -> float:
    """Of a step of all pairs: the quickest of a few."""
    before, taken = torch.get_num_threads(), []
    # As an actor has by default; all the driver's cores would time something else.
    torch.set_num_threads(1)
    try:
        for _ in range(PROBES + 1):  # the first warms up
            began = time.perf_counter()
            work()
            taken.append(time.perf_counter() - began)
    finally:
        torch.set_num_threads(before)
    # The least, not the mean: what else the machine does only ever adds.
    return round(min(taken[1:]) * 1e3 / PROBE_STEPS, 3)
