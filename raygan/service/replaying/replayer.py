"""One attempt of a recorded run, done again: an event of one player after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch

from raygan.config import Config
from raygan.controller.async_record import FILE, sha
from raygan.controller.worker import swapper, take_up
from raygan.data.base import Samples
from raygan.gan.bundle import pack, unpack
from raygan.gan.pair import Pair
from raygan.gan.types import Board, Player
from raygan.service.replaying.attempts import Attempt, Row, Unreplayable
from raygan.service.replaying.board import Differs, Later, Meet, Over, Reader, Shelf
from raygan.service.replaying.cursor import Cursor
from raygan.strategies.base import Setup, strategy_of, with_data
from raygan.strategies.batching.pack import Pack
from raygan.strategies.orders import Swap
from raygan.strategies.partition import own_parts, with_parts


class Replayer:
    """One attempt, from states to those of a checkpoint that it has committed."""

    def __init__(
        self, attempt: Attempt, data: Samples, states: Mapping[str, bytes],
        steps: Mapping[str, int], wanted: Mapping[str, str],
    ) -> None:  # fmt: skip
        assert attempt.config is not None, "chained() takes only what was recorded"
        self.attempt = attempt
        config = attempt.config
        data = with_parts(config, with_data(config), data)
        own = own_parts(config, dict.fromkeys([*with_data(config), *data.parts]), data, data)
        self.setup = Setup(config, data, torch.device("cpu"), own=own)
        self.shelf = Shelf(attempt.reads())
        self.players: dict[str, Player] = {}
        self.cursor = Cursor(attempt.events)
        self.readers: dict[str, Reader] = {}
        """Of rounds that are under way."""
        self.packs: dict[tuple[str, ...], Pack] = {}
        self.rounds = 0
        self.states = {p: raw for p, raw in states.items() if p in steps}
        """Of each player in the checkpoint, once it has come there."""
        self.sums = {p: sha(raw) for p, raw in self.states.items()}
        self.goals = attempt.saves(steps, wanted, self.sums)
        self.begin(states)

    def begin(self, states: Mapping[str, bytes]) -> None:
        """Make the players from their states, as an executor does."""
        torch.set_num_threads(self.setup.config.resources.num_threads)
        strategy = strategy_of(self.setup.config)
        for name in strategy.players(self.setup.config):
            self.players[name] = strategy.build(name, self.setup)
            if name in states:
                self.players[name].restore(unpack(states[name]))
        for player in self.players.values():
            player.open(cast(Board, self.shelf))

    def run(self) -> dict[str, bytes]:
        """The states of the checkpoint's players. Raises Differs, Unreplayable."""
        cursor = self.cursor
        while missing := [p for p, goal in self.goals.items() if cursor.at[p] <= goal]:
            wanted = cursor.needed(missing)
            heads = {p: cursor.row(p)["line"] for p in cursor.left() if p in wanted}
            # as in the run, so that not much more is kept than was kept there
            moved = [self.advance(p) for p in sorted(heads, key=lambda p: heads[p])]
            if not any(moved) and cursor.needed(missing) == wanted:
                lines = {p: reader.line for p, reader in self.readers.items()}
                raise Unreplayable(cursor.stuck(missing, lines))
        return self.states

    def advance(self, name: str) -> bool:
        """Carry out one event of this player, or as much of it as can be; was that anything?"""
        row = self.cursor.row(name)
        match row["k"]:
            case "round" if row.get("pack"):
                return self.packed(tuple(row["pack"]))
            case "round":
                return self.round(name, row)
            case "swap":
                return self.swap(row)
            case "join":
                self.join(name, row)
            case "save":
                self.save(name)
        self.cursor.done(name)
        return True

    def player(self, name: str, row: Row) -> Player:
        """Which is to be where its line says. Raises Unreplayable."""
        player = self.players.get(name)
        if player is None or player.step != row["from"]:
            at = "not there" if player is None else f"at step {player.step}"
            raise Unreplayable(
                f"{FILE} has a gap before line {row['line']}: {name} is {at}, and goes on from"
                f" {row['from']}."
            )
        return player

    def round(self, name: str, row: Row) -> bool:
        """Go on with a recorded Train order; did it get any further?"""
        if name not in self.readers:
            self.readers[name] = Reader(self.shelf, self.player(name, row), row)
        reader, player = self.readers[name], self.players[name]
        before = player.beats, len(reader.notes)
        target, ended, met = row["from"] + row["n"], False, None
        self.cursor.waits.pop(name, None)
        while not ended:
            try:
                # again where its patience, which is in seconds, ran out on a busy machine: what
                # ends a round is the record
                if player.step < target:
                    player.train(target - player.step, reader)
                ended = player.step >= target
            except Over:
                ended = True
            except Meet as others:
                if met == others.members:
                    raise Differs(reader.said(f"it does not know {met}")) from None
                met = others.members
                cast(Any, player).set_members(list(met))
            except Later as missing:
                self.cursor.waits[name] = missing.args[0], missing.args[1]
                return (player.beats, len(reader.notes)) != before
        if reader.notes or (player.step, player.beats) != (row["to"], row["beats"]):
            raise Differs(
                reader.said(
                    f"its round ended at step {row['to']} in the run, with {row['beats']} updates,"
                    f" here with {player.beats}"
                )
            )
        del self.readers[name]
        self.cursor.done(name)
        self.rounds += 1
        return True

    def packed(self, names: tuple[str, ...]) -> bool:
        """Pairs that were one batched model."""
        if not self.cursor.together(names, "pack", list(names)):
            return False
        rows = [self.cursor.row(p) for p in names]
        pairs = [cast(Pair, self.player(p, row)) for p, row in zip(names, rows, strict=True)]
        if names not in self.packs:
            self.packs[names] = Pack(pairs)
        self.packs[names].train(rows[0]["n"], cast(Board, self.shelf))
        self.cursor.done(*names)
        self.rounds += len(names)
        return True

    def swap(self, row: Row) -> bool:
        """As the journal has it: what was handed over is what is handed over here."""
        names = row["players"]
        if not self.cursor.together(names, "seq", row["seq"]):
            return False
        record = self.attempt.swaps.get(row["seq"])
        if record is None:
            raise Unreplayable(
                f"the journal has no swap {row['seq']} (line {row['line']} of {FILE})."
            )
        moves = {m["player"]: m for m in record["moves"]}
        takes = tuple((p, moves[p]["from"] if p in moves else p) for p in record["players"])
        # one of all: whoever meets at a swap gives the same kind of network
        what = next(iter(moves.values()))["what"]
        settings = tuple(
            (p, tuple(m["settings"].items())) for p, m in moves.items() if "settings" in m
        )
        swap = Swap(record["step"], takes, what, record["carry"], settings)
        parcels = {
            p: swapper(self.players[p]).offer(what, swap.carry)
            for p in sorted({*swap.moves.values()})
        }
        for taker, move in moves.items():
            if parcels[move["from"]].fingerprint != move["fingerprint"]:
                step = self.players[move["from"]].step
                raise Differs(
                    f"differs: {what} of {move['from']} at step {step}, as it was handed to {taker}"
                )
            if (at := self.players[taker].step) != move["at"]:
                raise Unreplayable(
                    f"{FILE} has a gap before line {row['line']}: {taker} is at step {at}, and"
                    f" swaps at {move['at']}."
                )
        # all have handed over before any takes: a pair may give and take at once
        for taker, source in swap.moves.items():
            take_up(self.players[taker], swap, parcels[source])
        self.cursor.done(*names)
        return True

    def join(self, name: str, row: Row) -> None:
        """A newcomer, made by the config that there was then."""
        config = cast(Config, self.attempt.config)
        if tuple(row["ids"]) != config.ids:
            spec = strategy_of(config).pinned(config.strategy, config)
            changes = {"num_pairs": len(row["ids"]), "members": tuple(row["ids"]), "strategy": spec}
            config = config.model_copy(update=changes)
        setup = Setup(config, self.setup.data, self.setup.device, own=self.setup.own)
        player = strategy_of(config).build(name, setup)
        # to all others a player's step can only be read
        player.step = row["at"]  # type: ignore[misc]
        player.open(cast(Board, self.shelf))
        self.players[name] = player

    def save(self, name: str) -> None:
        """A part of a checkpoint; it is that of the run, or this is where they part."""
        index, rows = self.cursor.at[name], self.attempt.events[name]
        row, player = rows[index], self.players[name]
        raw = pack(player.state())
        told = [
            r["sha"]
            for r in rows
            if r["k"] == "part" and (r["at"], r["cut"]) == (row["at"], row["cut"])
        ]
        if told and sha(raw) not in told:
            raise Differs(
                f"differs: {name} at step {player.step}, its part of checkpoint {row['cut']}"
            )
        if self.goals.get(name) == index:
            self.states[name] = raw
