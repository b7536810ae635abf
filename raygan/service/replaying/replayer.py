"""One attempt of a recorded run, done again: an event of one player after the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import torch

from raygan.config import Config
from raygan.controller.async_record import FILE, decoded, owners, sha
from raygan.controller.worker import swapper, take_up
from raygan.data.base import Samples
from raygan.gan.bundle import pack, unpack
from raygan.gan.pair import Pair
from raygan.gan.types import Board, Player
from raygan.service.replaying.attempts import Attempt, Row, Unreplayable, counted, counted_at
from raygan.service.replaying.board import Differs, Later, Meet, Over, Reader, Shelf
from raygan.strategies.base import Setup, strategy_of, with_data
from raygan.strategies.batching.pack import Pack
from raygan.strategies.orders import Swap
from raygan.strategies.partition import own_parts, with_parts


class Replayer:
    """One attempt, from states to those of a checkpoint that it has committed."""

    def __init__(
        self, attempt: Attempt, data: Samples, states: Mapping[str, bytes], steps: Mapping[str, int], wanted: Mapping[str, str],
    ) -> None:  # fmt: skip
        assert attempt.config is not None, "chained() takes only what was recorded"
        self.attempt = attempt
        config = attempt.config
        data = with_parts(config, with_data(config), data)
        own = own_parts(config, dict.fromkeys([*with_data(config), *data.parts]), data, data)
        self.setup = Setup(config, data, torch.device("cpu"), own=own)
        self.shelf = Shelf(self.reads())
        self.players: dict[str, Player] = {}
        self.at: dict[str, int] = dict.fromkeys(attempt.events, 0)
        """Each player's next event."""
        self.readers: dict[str, Reader] = {}
        """Of rounds that are under way."""
        self.waits: dict[str, tuple[str, int]] = {}
        self.packs: dict[tuple[str, ...], Pack] = {}
        self.rounds = 0
        self.states = {p: raw for p, raw in states.items() if p in steps}
        """Of each player in the checkpoint, once it has come there."""
        self.sums = {p: sha(raw) for p, raw in self.states.items()}
        self.goals = self.found(steps, wanted)
        self.begin(states)

    def reads(self) -> Counter[tuple[str, int]]:
        """How often each publication is read."""
        out: Counter[tuple[str, int]] = Counter()
        for rows in self.attempt.events.values():
            for row in (r for r in rows if r.get("reads")):
                try:
                    out.update(
                        item for n in decoded(row["of"], row["reads"]) for item in n.reads.items()
                    )
                except (ValueError, IndexError, KeyError, TypeError) as error:
                    raise Unreplayable(
                        f"line {row['line']} of {FILE} is damaged ({error})."
                    ) from None
        return out

    def found(self, steps: Mapping[str, int], wanted: Mapping[str, str]) -> dict[str, int]:
        """The event of each player at which its part was taken; none of one whose part is what it began
        with. Raises Unreplayable.
        """
        out: dict[str, int] = {}
        for player, step in steps.items():
            rows = self.attempt.events.get(player, [])
            given = {(r["at"], r["cut"], n): r["sha"] for n, r in counted(rows, "part")}
            saves = [
                (i, given.get((r["at"], r["cut"], n)))
                for i, (n, r) in counted_at(rows, "save")
                if r["at"] == step and (r["at"], r["cut"], n) in given
            ]
            if here := [i for i, of in saves if of == wanted.get(player)] or [
                i for i, _ in saves[-1:]
            ]:
                out[player] = here[0]
            elif self.sums.get(player) != wanted.get(player):
                raise Unreplayable(f"{FILE} has no line about {player}'s part at step {step}.")
        return out

    def begin(self, states: Mapping[str, bytes]) -> None:
        """As an executor does."""
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
        while missing := [p for p, goal in self.goals.items() if self.at[p] <= goal]:
            wanted = self.needed(missing)
            heads = {p: rows[self.at[p]]["line"] for p, rows in self.left() if p in wanted}
            # as in the run, so that not much more is kept than was kept there
            moved = [self.advance(p) for p in sorted(heads, key=lambda p: heads[p])]
            if not any(moved) and self.needed(missing) == wanted:
                raise Unreplayable(self.stuck(missing))
        return self.states

    def left(self) -> Iterator[tuple[str, list[Row]]]:
        """The events of all who have some left."""
        for player, rows in self.attempt.events.items():
            if self.at[player] < len(rows):
                yield player, rows

    def needed(self, missing: Sequence[str]) -> set[str]:
        """These, and whom they wait for, and so on."""
        out, look, left = set[str](), {*missing}, dict(self.left())
        while look:
            out |= look
            rows = [left[p][self.at[p]] for p in look if p in left]
            along = {q for row in rows for q in row.get("pack") or row.get("players") or ()}
            look = (along | {*owners([self.waits[p][0] for p in look if p in self.waits])}) - out
        return out

    def stuck(self, missing: Sequence[str]) -> str:
        """Who waits for what that is in no line."""
        for player in (p for p in missing if p in self.waits):
            shelf, version = self.waits[player]
            return (
                f"line {self.readers[player].line} of {FILE}: {player} has read {shelf}, version"
                f" {version}, and how that came about is in no line. A round that is under way when"
                " a run is killed is lost."
            )
        who, rows = missing[0], self.attempt.events.get(missing[0], [])
        line = rows[self.at[who] - 1]["line"] if self.at.get(who) else 0
        return f"{FILE} has nothing about {who} after its line {line}."

    def advance(self, name: str) -> bool:
        """Carry out one event of this player, or as much of it as can be; was that anything?"""
        row = self.attempt.events[name][self.at[name]]
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
        self.at[name] += 1
        return True

    def player(self, name: str, row: Row) -> Player:
        """Which is to be where its line says. Raises Unreplayable."""
        player = self.players.get(name)
        if player is None or player.step != row["from"]:
            at = "not there" if player is None else f"at step {player.step}"
            raise Unreplayable(
                f"{FILE} has a gap before line {row['line']}: {name} is {at}, and goes on from {row['from']}."
            )
        return player

    def round(self, name: str, row: Row) -> bool:
        """A Train order."""
        if name not in self.readers:
            self.readers[name] = Reader(self.shelf, self.player(name, row), row)
        reader, player = self.readers[name], self.players[name]
        before = player.beats, len(reader.notes)
        target, ended, met = row["from"] + row["n"], False, None
        self.waits.pop(name, None)
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
                self.waits[name] = missing.args[0], missing.args[1]
                return (player.beats, len(reader.notes)) != before
        if reader.notes or (player.step, player.beats) != (row["to"], row["beats"]):
            raise Differs(
                reader.said(
                    f"its round ended at step {row['to']} in the run, with {row['beats']} updates, here with {player.beats}"
                )
            )
        del self.readers[name]
        self.at[name] += 1
        self.rounds += 1
        return True

    def _together(self, names: Sequence[str], same: str, value: object) -> bool:
        """Have all of these come to the same event?"""
        heads = [(self.attempt.events.get(p, []), self.at.get(p, 0)) for p in names]
        return all(i < len(rows) and rows[i].get(same) == value for rows, i in heads)

    def packed(self, names: tuple[str, ...]) -> bool:
        """Pairs that were one batched model."""
        if not self._together(names, "pack", list(names)):
            return False
        rows = [self.attempt.events[p][self.at[p]] for p in names]
        pairs = [cast(Pair, self.player(p, row)) for p, row in zip(names, rows, strict=True)]
        model = (
            self.packs.setdefault(names, Pack(pairs))
            if names not in self.packs
            else self.packs[names]
        )
        model.train(rows[0]["n"], cast(Board, self.shelf))
        for name in names:
            self.at[name] += 1
        self.rounds += len(names)
        return True

    def swap(self, row: Row) -> bool:
        """As the journal has it: what was handed over is what is handed over here."""
        names = row["players"]
        if not self._together(names, "seq", row["seq"]):
            return False
        record = self.attempt.swaps.get(row["seq"])
        if record is None:
            raise Unreplayable(
                f"the journal has no swap {row['seq']} (line {row['line']} of {FILE})."
            )
        moves = {m["player"]: m for m in record["moves"]}
        takes = tuple((p, moves[p]["from"] if p in moves else p) for p in record["players"])
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
                    f"{FILE} has a gap before line {row['line']}: {taker} is at step {at}, and swaps"
                    f" at {move['at']}."
                )
        for taker, source in swap.moves.items():
            take_up(self.players[taker], swap, parcels[source])
        for name in names:
            self.at[name] += 1
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
        player.step = row["at"]  # type: ignore[misc]
        player.open(cast(Board, self.shelf))
        self.players[name] = player

    def save(self, name: str) -> None:
        """A part of a checkpoint; it is that of the run, or this is where they part."""
        index, rows = self.at[name], self.attempt.events[name]
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
