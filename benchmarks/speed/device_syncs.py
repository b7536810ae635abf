"""How often the host waits for a device, and copies: `python -m benchmarks device-syncs`; writes
results/device-syncs.json.

Counted, not timed, on a device that is not there (tests/devices/fake_cuda.py), so it runs anywhere:
syncs (a number asked for, memory that is not pinned), copies and launches of a step of each player
by strategy, of what a round costs besides (the copy to go back to, the check), of a publication and
of a swap.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from benchmarks.common import show, write
from raygan.config import Config, resolve
from raygan.controller.worker import Shelves
from raygan.gan.trainer import Trainer
from raygan.gan.types import Player
from raygan.strategies.base import Setup, load_data, strategy_of
from raygan.strategies.batching.pack import Pack
from tests.devices.fake_cuda import FakeCuda, Seen

GPU = torch.device("cuda", 0)
SMALL = {"batch_size": 64, "network.hidden": 64, "num_pairs": 4}
WORKS: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "a pair": ("ring8-sgan", {"strategy": "independent"}, ("pair-00",)),
    "SGAN": ("ring8-sgan", {}, ("pair-00", "global")),
    "PMGAN": ("ring8-pmgan", {}, ("gen-00", "judge")),
}
COUNTED = ("syncs", "copies", "launches")


def counts(seen: Seen, per: int = 1) -> dict[str, float]:
    """Syncs, copies, launches."""
    return {
        "syncs": sum(seen.syncs.values()) / per,
        "copies": sum(seen.copies.values()) / per,
        "launches": seen.launches / per,
    }


def counted(seen: Seen, work: Callable[[], object]) -> dict[str, float]:
    """Of one call."""
    seen.clear()
    work()
    return counts(seen)


def players_of(config: Config) -> dict[str, Player]:
    """All of them, on the device, opened."""
    setup, strategy = Setup(config, load_data(config), GPU), strategy_of(config)
    return {n: strategy.build(n, setup) for n in strategy.players(config)}


def of_steps(seen: Seen, players: dict[str, Player], config: Config) -> dict[str, dict[str, float]]:
    """A step of each player: the difference of a round of three steps and one of one."""
    board, strategy = Shelves(), strategy_of(config)
    first = [n for n in players if n not in strategy.locals(config) and n != "global"]
    order = [*first, *strategy.locals(config), *(n for n in players if n == "global")]
    for player in players.values():
        player.open(board)
    out = {}
    for turn in range(2):
        for name in order:
            out[name] = counted(
                seen,
                lambda n=name: players[n].train(1, board),  # type: ignore[misc]
            )
        assert turn < 2
    return out


def of_calls(seen: Seen, player: Player) -> dict[str, dict[str, float]]:
    """Of what happens between steps."""
    assert isinstance(player, Trainer), f"{player.name} has no networks"
    out = {
        "state (a round, a save)": counted(seen, player.state),
        "check (a round)": counted(seen, player.check),
        "D offered": counted(seen, lambda: player.offer("D", "all")),
    }
    parcel = player.offer("D", "all")
    out["D adopted"] = counted(seen, lambda: player.adopt("D", parcel))
    if hasattr(player, "publication"):
        out["a publication"] = counted(seen, player.publication)
    return out


def measure() -> dict[str, dict[str, float]]:
    """what -> syncs, copies, launches."""
    found: dict[str, dict[str, float]] = {}
    with FakeCuda() as seen:
        for label, (preset, flags, shown) in WORKS.items():
            config = resolve(preset, flags={**SMALL, **flags}).config
            players = players_of(config)
            steps = of_steps(seen, players, config)
            found |= {f"{label}: a step of {n} (the last of a round)": steps[n] for n in shown}
            if label == "a pair":
                found |= {
                    f"{label}: {what}": n for what, n in of_calls(seen, players[shown[0]]).items()
                }
        config = resolve("ring8-sgan", flags={**SMALL, "strategy": "independent"}).config
        pack = Pack(list(players_of(config).values()))  # type: ignore[arg-type]
        pack.train(1, Shelves())
        found["a pack of 4: a step (the last of a round)"] = counted(
            seen, lambda: pack.train(1, Shelves())
        )
    return found


def main() -> None:
    """Count, print, keep."""
    found = measure()
    show(["", *COUNTED], [[k, *(f"{v[c]:.0f}" for c in COUNTED)] for k, v in found.items()])
    write("device-syncs", {"counts": found})


if __name__ == "__main__":
    main()
