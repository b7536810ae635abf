"""`raygan verify`: runs a config a few times for a few steps, and compares whole states bit for
bit.

locals untouched    the locals with a global pair  =  the same locals without it
                        (what SGAN's paper promises)
inline = Ray        every player in this process   =  every player in an actor (lockstep only)
swaps conserve      every network that was handed over is what its taker holds; none lost, none
                    doubled (GAP)
resume              stopped, saved and restored    =  never stopped (lockstep only)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from raygan.config import Config
from raygan.controller.inline import InlineExecutor
from raygan.controller.ledger import Ledger
from raygan.controller.orders import Executor, Save
from raygan.controller.turns import turns
from raygan.controller.worker import swapper
from raygan.gan.bundle import unpack
from raygan.gan.weights import digest
from raygan.service.places import inline_device
from raygan.strategies.base import Plan, Setup, load_data, strategy_of, with_data
from raygan.strategies.orders import Swap, networks_of
from raygan.strategies.partition import with_parts


@dataclass(frozen=True)
class Result:
    """One promise, kept or not, or not made."""

    ok: bool
    text: str
    promised: bool = True


def final_states(
    config: Config, make_executor: Callable[[], Executor], players: Sequence[str] | None = None,
    states: Mapping[str, bytes] | None = None,
    stop_at: int | None = None, samples: int = 0, memory: dict[str, Any] | None = None,
) -> dict[str, bytes]:  # fmt: skip
    """Train to the end and hand over each player's packed state; players that are left out never
    play.

    stop_at: all stop at this step of the same run, rather than at its end. samples: training
    samples (for epochs). memory: what a checkpoint keeps of swaps and losses; read at the start,
    written at the end.
    """
    strategy = strategy_of(config)
    plan = replace(Plan.of(config, samples), steps=stop_at or config.steps)
    playing = list(players or strategy.players(config))
    executor = make_executor()
    out: dict[str, bytes] = {}
    try:
        executor.start(playing, states or {})
        begun = {p: int(str(unpack(raw)["step"])) for p, raw in (states or {}).items()}
        absent = {p: plan.steps for p in strategy.players(config) if p not in playing}
        ledger = Ledger.begin(strategy.players(config), begun | absent, memory or {})
        for _ in turns(strategy, plan, ledger, executor, playing):
            pass
        for player in playing:
            # All are trained by now: whoever trains last may have touched whoever trained first
            # (decision 11).
            executor.submit(Save(player, plan.steps, plan.steps))
        while len(out) < len(playing):
            out |= {
                i.order.player: i.result for i in executor.wait(0.5) if isinstance(i.order, Save)
            }
    finally:
        executor.close()
    if memory is not None:
        memory.update(ledger.extra())
    return out


def verify_config(config: Config, steps: int, address: str, inline_only: bool) -> list[Result]:
    """Check every promise that this config makes, for `steps` steps; all players take turns step by
    step.
    """
    # Its periods are shortened too: a strategy that swaps every 500 steps would promise nothing
    # within 20.
    short = strategy_of(config).shortened(steps)
    strategy = {"name": config.strategy["name"], **short.model_dump(mode="json")}
    # Lockstep: only there are bits promised. Step by step: an order of several would hide who
    # touched whom when.
    config = config.model_copy(
        update={"steps": steps, "tempo": "lockstep", "round_steps": 1, "strategy": strategy}
    )
    data = with_parts(config, with_data(config), load_data(config))
    device = inline_device(config)
    setup = Setup(config, data, device)
    size = setup.num_samples
    moved: list[tuple[Swap, bool]] = []
    whole = final_states(config, lambda: Witness(setup, moved), samples=size)
    results = []
    made = strategy_of(config)
    apart = made.apart(config)
    others = [p for p in made.players(config) if p != apart]
    if apart is not None:
        alone = final_states(config, lambda: InlineExecutor(setup), players=others, samples=size)
        results.append(
            compare(f"locals untouched by the {apart} pair, {steps} steps", alone, whole)
        )
    else:
        results.append(
            Result(
                True,
                "locals untouched by another player: not promised by this strategy",
                promised=False,
            )
        )
    if moved:
        results.append(conserved(moved, whole, made.locals(config)))
    elif made.swaps:
        results.append(
            Result(False, f"swaps conserve: not one swap within {steps} steps. Give --steps more")
        )
    else:
        results.append(
            Result(True, "swaps conserve: not promised, this strategy has no swaps", promised=False)
        )
    memory: dict[str, Any] = {}
    stopped = final_states(
        config, lambda: InlineExecutor(setup), stop_at=steps // 2, samples=size, memory=memory
    )
    resumed = final_states(
        config, lambda: InlineExecutor(setup), states=stopped, samples=size, memory=memory
    )
    results.append(compare(f"resumed at step {steps // 2} = never stopped", whole, resumed))
    if not inline_only:
        from raygan.actors.cluster import cluster
        from raygan.actors.executor import RayExecutor

        with cluster(address, config.resources.object_store_mb):
            on_ray = final_states(config, lambda: RayExecutor("verify", setup), samples=size)
        results.append(compare("inline = Ray", whole, on_ray))
    return results


class Witness(InlineExecutor):
    """Looks at every swap: does each taker hold, to the last bit, what its source handed over?"""

    def __init__(self, setup: Setup, moved: list[tuple[Swap, bool]]) -> None:
        super().__init__(setup)
        self.moved = moved

    def adopt(self, swap: Swap) -> None:
        """Carry it out, then compare hashes over weights, buffers and (where it travels) the
        optimizer.
        """
        # Hashed before the hand-over: a taker that shared memory with its giver would agree with
        # itself.
        handed = {p: parcel.fingerprint for p, parcel in self.worker.kept[swap].items()}
        super().adopt(swap)
        for player, source in swap.moves.items():
            held = swapper(self.players[player]).offer(swap.what, swap.carry).fingerprint
            self.moved.append((swap, held == handed[source]))


def conserved(
    moved: Sequence[tuple[Swap, bool]], states: Mapping[str, bytes], pairs: Sequence[str]
) -> Result:
    """Every hand-over was exact, and at the end each network is at exactly one pair, unless a swap
    gave one to two of them.
    """
    what, exact = networks_of(moved[0][0].what)[-1], [fine for _, fine in moved]
    held = sorted(str(unpack(states[p])[f"identity.{what}"]) for p in pairs)
    # A population copies winners over losers (decision 81), so the loser's network is rightly
    # nowhere.
    overwrites = any(set(swap.moves.values()) != set(swap.moves) for swap, _ in moved)
    text = (
        f"swaps conserve: {sum(exact)} of {len(exact)} networks arrived bit for bit,"
        f" {len(set(held))} of {len(pairs)} are held"
    )
    return Result(all(exact) and (held == sorted(pairs) or overwrites), text)


def compare(what: str, expected: Mapping[str, bytes], found: Mapping[str, bytes]) -> Result:
    """Compare packed states; the text says which player's which tensor differs first."""
    for player, raw in expected.items():
        ours, theirs = unpack(raw), unpack(found[player])
        if digest(ours) != digest(theirs):
            keys = sorted(
                k for k in ours if k not in theirs or digest({k: ours[k]}) != digest({k: theirs[k]})
            )
            return Result(
                False,
                f"{what}: {player} differs in {len(keys)} of {len(ours)} values, first"
                f" {', '.join(keys[:1])}",
            )
    tensors = sum(
        isinstance(v, torch.Tensor) for raw in expected.values() for v in unpack(raw).values()
    )
    return Result(True, f"{what}: {len(expected)} players, {tensors} tensors, bit for bit")
