"""Speed as ratios taken in one run: `python -m benchmarks overhead` (two cores,
nothing else running).

(a) 2 pairs on Ray against one plain PyTorch loop that trains the same 2 pairs
    one after the other                                                            aim >= 1.8x
(b) 1 pair on Ray against the plain loop                                           aim <= 5 % slower
(c) publish + pull of a 10 MB discriminator against one raw object-store
    put + get of the same bytes                                                    aim <= 3x
(d) object store in use over 5,000 publications                                    bounded
(e) a swap of two 10 MB discriminators against raw put + get of the same bytes,
    one after the other                                                            aim <= 3x
(f) PMGAN in async with its judge stopped for 10 s: the generators' share of
    waiting                                                                        aim <= 2 %
"""

from __future__ import annotations

import statistics
import time
from typing import Any, cast

import numpy as np
import ray
import torch
from ray._private.internal_api import get_memory_info_reply, get_state_from_address

from benchmarks.common import show, write
from benchmarks.speed.plain import Plain, timed
from raygan.actors.board import BoardActor
from raygan.actors.cluster import cluster
from raygan.actors.executor import RayExecutor
from raygan.actors.player import PlayerActor, player_class
from raygan.actors.process import actor_class
from raygan.actors.publications import Exchange
from raygan.config import Config, resolve
from raygan.controller.orders import Adopt
from raygan.gan.pair import Pair
from raygan.gan.weights import Publication
from raygan.strategies.base import Setup, load_data, pair_name
from raygan.strategies.orders import Swap, Train
from tests.actors.test_on_ray import judge_stopped

REPEATS, STEPS, ROUND = 5, 200, 50


def config_of(**flags: Any) -> Config:
    """The papers' toy net: 4 layers of 512, batch 128, the vanilla loss."""
    base = {
        "strategy": "independent", "loss": "non_saturating", "network.hidden": 512,
        "network.z_dim": 100, "pair.lr_decay": "constant", "pair.ema": 0.0, "steps": 1_000_000,
        "resources.pairs_per_actor": 1,
    }  # fmt: skip
    return resolve("ring8-sgan", flags=base | flags).config


def drive(executor: RayExecutor, names: list[str]) -> None:
    """STEPS steps of each player in rounds, as the controller gives them."""
    left = dict.fromkeys(names, STEPS)
    for name in names:
        executor.submit(Train(name, ROUND))
    while any(left.values()):
        for item in executor.wait(1.0):
            name = item.order.player
            left[name] -= ROUND
            if left[name]:
                executor.submit(Train(name, ROUND))


def pairs_on_ray(count: int) -> list[tuple[float, float]]:
    """(plain seconds, Ray seconds) for `count` pairs, REPEATS times, taken in turn."""
    config = config_of(num_pairs=count)
    setup = Setup(config, load_data(config), torch.device("cpu"))
    names = [pair_name(i) for i in range(count)]
    plain = [Plain(setup, n, 2e-3) for n in names]
    executor = RayExecutor(f"bench{count}", setup)
    executor.start(names, {})
    try:
        drive(executor, names)  # warm
        for p in plain:
            p.steps(20)
        out = [
            (timed(lambda: [p.steps(STEPS) for p in plain]), timed(lambda: drive(executor, names)))
            for _ in range(REPEATS)
        ]
    finally:
        executor.close()
    return out


class Publisher(PlayerActor):
    """A player that publishes when told to."""

    def publish(self) -> float:
        """Publish the discriminator as training does: copied, checked, frozen, announced; returns
        the seconds.
        """
        player = cast(Pair, self._here.players["pair-00"])
        player.step += 1
        return timed(
            lambda: self._board.publish(
                Publication(player.name, player.step, {"D": player.discriminator_vector()})
            )
        )


def publications(hidden: int, **flags: Any) -> tuple[Any, Any, Exchange, int]:
    """(publishing actor, board, reader, bytes of D)."""
    config = config_of(
        strategy="sgan", tempo="async", num_pairs=1, **{"network.hidden": hidden, **flags}
    )
    data = load_data(config)
    board = actor_class(BoardActor).options(num_cpus=0).remote()
    actor = (
        player_class(cls=Publisher)
        .options(num_cpus=0.5)
        .remote("bench", "pair-00", [ray.put(data)])
    )
    ray.get(actor.begin.remote(0, ["pair-00"], config, {}, board, {}), timeout=60)
    ray.get(board.register.remote({"pair-00": actor}), timeout=60)
    d = Setup(config, data, torch.device("cpu")).parts("pair-00").discriminator
    return actor, board, Exchange(board, keep_all=False), sum(p.numel() for p in d.parameters()) * 4


def pull_cost() -> tuple[list[float], list[float], int]:
    """(seconds of publish + pull, seconds of raw put + get, bytes), 30 of each, taken in turn."""
    actor, board, reader, size = publications(1117)
    raw = np.random.default_rng(0).random(size // 4, dtype=np.float32)
    ours, theirs = [], []
    for i in range(35):
        publishing = ray.get(
            actor.publish.remote(), timeout=60
        )  # in training this is no call: only its own seconds count
        pulling = timed(lambda: reader.newest(["pair-00"])["pair-00"].arrays["D"])
        raw_seconds = timed(lambda: ray.get(ray.put(raw)))
        if i >= 5:
            ours.append(publishing + pulling)
            theirs.append(raw_seconds)
    for handle in (actor, board):
        ray.kill(handle)
    return ours, theirs, size


def store_bytes() -> int:
    """Bytes in use in the object store."""
    reply = get_memory_info_reply(get_state_from_address(ray.get_runtime_context().gcs_address))
    return int(reply.store_stats.object_store_bytes_used)


def store_growth(count: int = 5000) -> tuple[list[int], int]:
    """(bytes in use after each 250 publications, each of which is pulled; bytes of one
    publication).
    """
    actor, board, reader, size = publications(350)
    used = []
    for i in range(1, count + 1):
        ray.get(actor.publish.remote(), timeout=60)
        reader.newest(["pair-00"])
        if i % 250 == 0:
            used.append(store_bytes())
    for handle in (actor, board):
        ray.kill(handle)
    return used, size


def swap_cost(carry: str) -> tuple[list[float], list[float], int]:
    """(seconds of a whole swap, seconds of raw put + get of the same bytes, those bytes), 20 of
    each, taken in turn.
    """
    config = config_of(
        strategy={"name": "gap", "carry": carry}, num_pairs=2, **{"network.hidden": 1117}
    )
    setup = Setup(config, load_data(config), torch.device("cpu"))
    names = [pair_name(i) for i in range(2)]
    executor = RayExecutor("swap", setup)
    executor.start(names, {})
    ours, theirs, size = [], [], 0
    try:
        for name in names:
            executor.submit(Train(name, 1))
        while executor.calls.pending:
            executor.wait(1.0)
        for i in range(24):
            swap = Swap(
                i + 1, ((names[0], names[1]), (names[1], names[0])), "D", config.strategy["carry"]
            )
            began = time.perf_counter()
            executor.submit(swap)
            (item,) = executor.wait(60.0)
            executor.submit(Adopt(swap))
            executor.wait(60.0)
            seconds = time.perf_counter() - began
            cards = item.result.values()
            size = sum(c.nbytes for c in cards)
            raws = [np.random.default_rng(0).random(c.nbytes // 4, dtype=np.float32) for c in cards]
            raw_seconds = sum(timed(lambda: ray.get(ray.put(raw))) for raw in raws)  # noqa: B023
            if i >= 4:
                ours.append(seconds)
                theirs.append(raw_seconds)
    finally:
        executor.close()
    return ours, theirs, size


def main() -> None:
    """Measure, print, keep."""
    torch.set_num_threads(1)
    with cluster("local", 512):
        two, one = pairs_on_ray(2), pairs_on_ray(1)
        ours, theirs, size = pull_cost()
        used, each = store_growth()
        swaps = {carry: swap_cost(carry) for carry in ("weights", "all")}
        stopped = judge_stopped(10.0)
    speedup = statistics.median(a / b for a, b in two)
    overhead = statistics.median(b / a - 1 for a, b in one)
    pull = statistics.median(ours) / statistics.median(theirs)
    rows = [
        ["(a) 2 pairs on 2 cores, Ray / plain loop",
         f"{speedup:.2f}x ({', '.join(f'{a / b:.2f}' for a, b in two)})", ">= 1.8x"],
        ["(b) overhead of 1 pair on Ray",
         f"{overhead:+.1%} ({', '.join(f'{b / a - 1:+.1%}' for a, b in one)})", "<= 5 %"],
        [f"(c) publish + pull of {size / 1e6:.1f} MB / raw put + get",
         f"{pull:.2f}x ({1e3 * statistics.median(ours):.1f} ms /"
         f" {1e3 * statistics.median(theirs):.1f} ms)", "<= 3x"],
        [f"(d) object store over 5,000 publications of {each / 1e6:.1f} MB",
         f"peak {max(used) / 1e6:.1f} MB, after 250: {used[0] / 1e6:.1f} MB, at the end:"
         f" {used[-1] / 1e6:.1f} MB", "bounded"],
    ]  # fmt: skip
    for carry, (took, raw, moved) in swaps.items():
        ratio = statistics.median(took) / statistics.median(raw)
        rows.append([
            f"(e) swap, carry {carry}, {moved / 1e6:.0f} MB in all / raw put + get",
            f"{ratio:.2f}x ({1e3 * statistics.median(took):.0f} ms /"
            f" {1e3 * statistics.median(raw):.0f} ms)", "<= 3x",
        ])  # fmt: skip
    rows.append([
        "(f) judge stopped for 10 s: waiting of the generators",
        f"{stopped['waiting']:.1%}; {stopped['steps']:.0f} steps meanwhile, "
        f"lag up to {stopped['lag']:.0f}, then {stopped['lag_after']:.0f} "
        "once the judge goes on", "<= 2 %",
    ])  # fmt: skip
    show(["what", "measured (median of repeats)", "aim"], rows)
    write("speed", {
        "two_pairs_s": two, "one_pair_s": one, "pull_s": ours, "raw_s": theirs, "bytes": size,
        "store_bytes": used, "swaps": swaps, "judge_stopped": stopped,
    })  # fmt: skip


if __name__ == "__main__":
    main()
