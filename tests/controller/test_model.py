"""A model of the swap protocol and of fencing, explored to the end: every interleaving of two
drivers, deaths and lost messages.

What is modelled: pairs that each hold a discriminator with its number of updates; a driver that
hands out offers, appends the one record, has it adopted, saves; a second driver that may open the
run at any moment; a stale driver that goes on until it looks at the fence; the death of any pair
between any two of these. The rules are those of controller/ and of the journal.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

PAIRS = 3
ROUNDS = 3
FAULTS = 2
Held = tuple[tuple[int, int], ...]
"""(birth, updates) of the discriminator at each pair."""
BEGIN: Held = tuple((i, 0) for i in range(PAIRS))


@dataclass(frozen=True)
class Driver:
    """One attempt: its epoch, its actors, and where it is in a round."""

    epoch: int
    held: Held
    round: int = 0
    phase: str = "train"
    trained: frozenset[int] = frozenset()
    offered: frozenset[int] = frozenset()
    moves: tuple[int, ...] = ()
    adopted: frozenset[int] = frozenset()
    parcels: Held = ()
    alive: bool = True


@dataclass(frozen=True)
class World:
    """The storage: records (epoch, kind, content) that count, the newest epoch; and the drivers."""

    drivers: tuple[Driver, ...]
    journal: tuple[tuple[int, str, object], ...]
    epoch: int
    faults: int


def saved(world: World) -> tuple[int, Held]:
    """(round, content) of the newest checkpoint that counts."""
    for _, kind, content in reversed(world.journal):
        if kind == "checkpoint":
            return content  # type: ignore[return-value]
    return 0, BEGIN


def matchings(round_: int) -> tuple[int, ...]:
    """source of each pair: a function of the round."""
    i, j = [(0, 1), (1, 2), (0, 2)][round_ % 3]
    moves = list(range(PAIRS))
    moves[i], moves[j] = j, i
    return tuple(moves)


def append(world: World, driver: Driver, kind: str, content: object, fenced: bool) -> World | None:
    """The journal's rule: a writer looks at the fence first; what a stale one adds after the
    other's open does not count.
    """
    if driver.epoch < world.epoch:
        return None if fenced else world
    return replace(world, journal=(*world.journal, (driver.epoch, kind, content)))


def steps(world: World, fenced: bool) -> Iterator[World]:  # noqa: C901  all moves side by side
    """Every next state."""

    def put(i: int, driver: Driver, of: World) -> World:
        drivers = list(of.drivers)
        drivers[i] = driver
        return replace(of, drivers=tuple(drivers))

    for i, d in enumerate(world.drivers):
        if not d.alive or d.round == ROUNDS:
            continue
        if d.phase == "train":
            for p in range(PAIRS):
                if p not in d.trained:
                    held = tuple(
                        (b, n + 1) if q == p else (b, n) for q, (b, n) in enumerate(d.held)
                    )
                    yield put(i, replace(d, held=held, trained=d.trained | {p}), world)
            if len(d.trained) == PAIRS:
                yield put(
                    i,
                    replace(d, phase="offer", trained=frozenset(), moves=matchings(d.round)),
                    world,
                )
        elif d.phase == "offer":
            for p in range(PAIRS):
                if p not in d.offered:
                    yield put(i, replace(d, offered=d.offered | {p}), world)
            if len(d.offered) == PAIRS:
                after = append(world, d, "swap", (d.round, d.moves), fenced)
                stopped = replace(d, alive=False)
                going = replace(d, phase="adopt", offered=frozenset(), parcels=d.held)
                yield put(i, stopped, world) if after is None else put(i, going, after)
        elif d.phase == "adopt":
            for p in range(PAIRS):  # also again: a repeated message
                held = tuple(d.parcels[d.moves[q]] if q == p else h for q, h in enumerate(d.held))
                if p not in d.adopted or held != d.held:
                    yield put(i, replace(d, held=held, adopted=d.adopted | {p}), world)
            if len(d.adopted) == PAIRS:
                yield put(
                    i, replace(d, phase="save", adopted=frozenset(), parcels=(), moves=()), world
                )
        elif d.phase == "save":
            after = append(world, d, "checkpoint", (d.round + 1, d.held), fenced)
            if after is None:
                yield put(i, replace(d, alive=False), world)
            else:
                yield put(i, replace(d, phase="train", round=d.round + 1), after)
        if world.faults < FAULTS and d.epoch == world.epoch:
            struck = replace(world, faults=world.faults + 1)
            fresh = replace(struck, epoch=world.epoch + 1)
            round_, held = saved(fresh)
            new = Driver(world.epoch + 1, held, round_)
            yield put(
                i, new, fresh
            )  # a pair died: this driver opens the next epoch and starts from the journal's head
            yield replace(
                fresh, drivers=(*world.drivers, new)
            )  # a second driver; the first one is cut off, and goes on


def violations(world: World) -> Iterator[str]:
    """What must never be."""
    accepted = BEGIN
    last = 0
    for epoch, kind, content in world.journal:
        if epoch < last:
            yield f"epoch {epoch} wrote after {last}"
        last = epoch
        if kind == "checkpoint":
            round_, held = content  # type: ignore[misc]
            if sorted(b for b, _ in held) != list(range(PAIRS)):
                yield f"lost or doubled: {held}"
            if any(n != round_ for _, n in held):
                yield f"updates lost or repeated: {held} after round {round_}"
            accepted = held
    for d in world.drivers:
        if (
            d.alive
            and d.epoch == world.epoch
            and d.phase == "train"
            and sorted(b for b, _ in d.held) != list(range(PAIRS))
        ):
            yield f"between two swaps a discriminator is lost or doubled: {d.held}"
    assert accepted


def explore(fenced: bool, limit: int) -> tuple[int, int, int]:
    """(states, violations, ends reached)."""
    begin = World((Driver(1, BEGIN),), (), 1, 0)
    seen, queue, bad, ends = {begin}, deque([begin]), 0, 0
    while queue and len(seen) < limit:
        world = queue.popleft()
        ends += any(d.alive and d.round == ROUNDS and d.epoch == world.epoch for d in world.drivers)
        for after in steps(world, fenced):
            if after not in seen:
                seen.add(after)
                bad += any(True for _ in violations(after))
                queue.append(after)
    return len(seen), bad, ends


@pytest.mark.exhaustive
def test_no_reachable_state_breaks_an_invariant() -> None:
    states, bad, ends = explore(fenced=True, limit=10**7)
    print(f"{states} states")
    assert states >= 200_000
    assert bad == 0
    assert ends > 0, "the protocol gets to its end"


def test_without_the_cut_at_the_new_epoch_the_model_finds_what_goes_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The model is able to fail: a storage that takes what a stale writer adds."""

    def naive(world: World, driver: Driver, kind: str, content: object, fenced: bool) -> World:
        return replace(world, journal=(*world.journal, (driver.epoch, kind, content)))

    monkeypatch.setattr("tests.controller.test_model.append", naive)
    _, bad, _ = explore(fenced=True, limit=60_000)
    assert bad > 0
