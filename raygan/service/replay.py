"""`raygan replay RUN`: does an asynchronous run again, inline, in the order that its record demands,
and compares every player's state at the last checkpoint, bit for bit.

    journal         what each attempt went on from, its checkpoints, its swaps     \
    schedule.jsonl  what each player read at which of its steps (`record: schedule`) > attempts --> players, one event each in turn
    checkpoints/    the states to compare with, by SHA-256                          /

A player's round is cut short where it asks for what nobody has published yet (Later) and is taken
up again from there: it looks at the board between two steps, where nothing of it is half done.

What is not in the record cannot be replayed, and is one line (Unreplayable): how rounds went that
were under way when a player or the driver died, and what the others had read of them.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch

from raygan.config import Config, validate
from raygan.controller.checkpoint import Checkpoint, newest_valid, read_checkpoint
from raygan.controller.copies import shown, storage_of
from raygan.controller.history import Record, read_journal
from raygan.controller.lines import Lines
from raygan.controller.schedule import FILE, Note, decoded, owners, sha
from raygan.controller.versions import differences
from raygan.controller.worker import swapper, take_up
from raygan.data.base import Samples
from raygan.errors import CheckpointError, ConfigError, NonFiniteError
from raygan.gan.bundle import pack, unpack
from raygan.gan.pair import Pair
from raygan.gan.types import Board, Player
from raygan.gan.weights import Publication
from raygan.own.names import is_own, label
from raygan.service.runs.identity import run_data
from raygan.service.runs.provenance import provenance
from raygan.service.runs.run import Run
from raygan.strategies.base import Setup, megabytes, strategy_of, with_data
from raygan.strategies.batching.pack import Pack
from raygan.strategies.orders import Swap
from raygan.strategies.partition import own_parts, with_parts

FAR = 1 << 60
"""A version that is newer than any copy."""
Row = dict[str, Any]


class Unreplayable(ConfigError):
    """There is no verdict, and why."""


class Differs(Exception):
    """The replay is another run from here on."""


class Later(Exception):
    """A publication that is not there yet."""


class Over(Exception):
    """The player gave up waiting here, and reported back."""


class Meet(Exception):
    """The player had been told of other members by now."""

    def __init__(self, members: tuple[str, ...]) -> None:
        super().__init__(members)
        self.members = members


@dataclass
class Attempt:
    """From a start to a death, a stop or the end."""

    epoch: int
    begun_from: str
    """Folder of the checkpoint; "": from the beginning."""
    checkpoints: dict[str, dict[str, int]] = field(default_factory=dict)
    """Those that it has committed: folder -> each player's step."""
    swaps: dict[int, Record] = field(default_factory=dict)
    config: Config | None = None
    """None: it was not recorded."""
    parts: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each part that it began from, as it read them."""
    devices: list[str] = field(default_factory=list)
    events: dict[str, list[Row]] = field(default_factory=dict)
    """Of each player, in order; each with its `line`."""

    def flaw(self) -> str:
        """Why it cannot be replayed; "" where it can."""
        if self.config is None:
            return "it was not recorded (`--record schedule`)"
        spec: Mapping[str, Any] = self.config.strategy
        names = [str(of["name"]) for of in (spec, spec.get("over") or spec)]
        if own := [label(name) for name in names if is_own(name)]:
            return f"of an own strategy, {own[0]}, nobody knows where a round may be cut short"
        if strategy_of(self.config).deputies:
            return "what deputies read is in no record (strategy.messenger_shards)"
        if devices := [d for d in self.devices if d != "cpu"]:
            return f"players computed on {devices[0]}, in async by kernels that sum in any order"
        for row in (row for rows in self.events.values() for row in rows):
            who = row.get("p")
            if row["k"] == "back":
                return f"{who} came back by itself, and its last round is in no record"
            if row.get("again"):
                return f"{who} repeated a round from step {row['from']}, and others may have read either"
        return ""


@dataclass(frozen=True)
class Verdict:
    """Of a replay that came to its end."""

    equal: bool
    text: str


def replay(run: Run) -> Verdict:
    """Do it again. Raises Unreplayable, DataError, CheckpointError."""
    last, problems = newest_valid(run.path)
    if last is None or last.entry is None:
        raise Unreplayable(f"run {shown(run.path)}: {(problems or ['no checkpoint.'])[0]}")
    if run.config.pace == "lockstep":
        raise Unreplayable(
            f"run {shown(run.path)} is in lockstep: it follows from its config, whatever came first."
            " `raygan verify` tries that."
        )
    chain = chained(attempts(run.path), last.entry.folder, run.path)
    data, states, rounds = run_data(run), start(run.path, chain[0]), 0
    goals = [(a.begun_from, a.parts) for a in chain[1:]]
    goals.append((last.entry.folder, {p: sha(part) for p, part in last.parts.items()}))
    try:
        for attempt, (folder, wanted) in zip(chain, goals, strict=True):
            replayer = Replayer(attempt, data, states, attempt.checkpoints[folder], wanted)
            states = replayer.run()
            rounds += replayer.rounds
        begun = chain[0].begun_from
        since = f"from step {_number(begun)} on" if begun else "from the beginning"
        size = megabytes((run.path / FILE).stat().st_size)
        verdict = compared(last, states, f"{rounds} rounds, {since}; {FILE} {size}")
    except Differs as difference:
        verdict = Verdict(False, str(difference))
    except NonFiniteError as error:
        verdict = Verdict(False, f"differs: {error} In the run it was finite.")
    if not verdict.equal and (other := differences(run.info, provenance())):
        return Verdict(False, f"{verdict.text} (the run was made elsewhere: {'; '.join(other)})")
    return verdict


def compared(last: Checkpoint, states: Mapping[str, bytes], how: str) -> Verdict:
    """Every player's whole state."""
    for player, part in last.parts.items():
        if sha(states[player]) != sha(part):
            where = f"{player} at step {last.steps[player]}, its part of the last checkpoint"
            return Verdict(False, f"differs: {where}")
    text = f"equal: {len(last.parts)} players at the last checkpoint, step {last.step}"
    return Verdict(True, f"{text}, by the SHA-256 of each ({how})")


# -------------------------------------------------------------------------------------------------
# the record


def attempts(path: Path) -> list[Attempt]:
    """All of a run's that the journal has, with what the record says of each. Raises Unreplayable."""
    out: list[Attempt] = []
    history = read_journal(storage_of(path))
    if history.problems:
        raise Unreplayable(history.problems[0])
    for record in history.records:
        if record["kind"] == "resume":
            out.append(Attempt(record["epoch"], str(record.get("folder") or "")))
        elif record["kind"] == "checkpoint" and out:
            out[-1].checkpoints[record["folder"]] = record["steps"]
        elif record["kind"] == "swap" and out:
            out[-1].swaps[record["seq"]] = record
    if not (path / FILE).exists():
        raise Unreplayable(
            f"run {shown(path)} has no {FILE}: it was not recorded. Train with --record schedule."
        )
    by_epoch, current, lines = {a.epoch: a for a in out}, None, Lines(path / FILE)
    for number, row in enumerate(lines.fresh(), 1):
        try:
            if row["k"] == "begin":
                current = by_epoch.get(row["epoch"])
                if current is not None:
                    current.config = validate(Config, row["config"])
                    current.parts, current.devices = dict(row["parts"]), list(row["devices"])
            elif current is not None:
                for player in row.get("players") or [row["p"]]:
                    current.events.setdefault(player, []).append({**row, "line": number})
        except (KeyError, TypeError, ValueError) as error:
            raise Unreplayable(f"line {number} of {FILE} is damaged ({error}).") from None
    if lines.damaged:
        raise Unreplayable(f"{lines.damaged} lines of {FILE} are damaged.")
    return out


def chained(all_: Sequence[Attempt], folder: str, path: Path) -> list[Attempt]:
    """The attempts that have led to a checkpoint, oldest first; only the newest of them, where what
    is before cannot be replayed and the checkpoint that these began from is still there. Raises
    Unreplayable.
    """
    out: list[Attempt] = []
    while folder:
        attempt = next((a for a in reversed(all_) if folder in a.checkpoints), None)
        why = "it was not recorded (`--record schedule`)" if attempt is None else attempt.flaw()
        if attempt is None or why:
            if out and readable(path, out[0]):
                return out
            raise Unreplayable(f"what led to checkpoint {folder} cannot be replayed: {why}.")
        out.insert(0, attempt)
        folder = attempt.begun_from
    return out


def readable(path: Path, attempt: Attempt) -> bool:
    """Is the checkpoint still there that it began from?"""
    try:
        return bool(start(path, attempt))
    except CheckpointError:
        return False


def start(path: Path, attempt: Attempt) -> dict[str, bytes]:
    """The states that it began from. Raises CheckpointError."""
    if not attempt.begun_from:
        return {}
    return read_checkpoint(path, _number(attempt.begun_from), None, attempt.begun_from).parts


def _number(folder: str) -> int:
    return int(folder.partition("-")[0].partition(".")[0])


# -------------------------------------------------------------------------------------------------
# a player's end of the board


class Shelf:
    """All that is published, as far as somebody will ask for it."""

    def __init__(self, wanted: Counter[tuple[str, int]]) -> None:
        self.wanted = wanted
        self.kept: dict[tuple[str, int], Publication] = {}

    def publish(self, publication: Publication) -> None:
        """Keep it, if it is read."""
        key = publication.player, publication.version
        if self.wanted[key] > 0:
            self.kept[key] = publication

    def look(self, reads: Mapping[str, int]) -> None:
        """Raises Later unless all of these are there."""
        for key in reads.items():
            if key not in self.kept:
                raise Later(*key)

    def take(self, shelf: str, version: int) -> Publication:
        """One of them; its last reader takes it away."""
        key = shelf, version
        self.wanted[key] -= 1
        return self.kept[key] if self.wanted[key] > 0 else self.kept.pop(key)


class Reader(Board):
    """What one player finds on the board in one round: just what it found then."""

    def __init__(self, shelf: Shelf, player: Player, row: Row) -> None:
        self.shelf = shelf
        self.player = player
        self.line = row["line"]
        try:
            self.notes = deque(decoded(row.get("of", ()), row.get("reads", "")))
        except (ValueError, IndexError, TypeError) as error:
            raise Unreplayable(f"line {self.line} of {FILE} is damaged ({error}).") from None
        self.silent: int | None = None
        """Where it was that it found nothing the last time."""

    def publish(self, publication: Publication) -> None:
        """For the others."""
        self.shelf.publish(publication)

    def forget(self, player: str, before: int) -> None:
        """What is read is counted."""

    def between(
        self, players: Sequence[str], after: int, upto: int
    ) -> dict[str, list[Publication]]:
        """Nobody asks so in async."""
        raise AssertionError(f"{self.player.name} reads as in lockstep")

    def progress(self, players: Sequence[str]) -> dict[str, int]:
        """Newer for those that it copied now, and for nobody else."""
        self._meet(players)
        reads = note.reads if (note := self._note()) else {}
        self.shelf.look(reads)
        return {n: FAR if n in reads else 0 for n in players}

    def newest(self, players: Sequence[str]) -> dict[str, Publication]:
        """Of these, what it found."""
        if (note := self._note()) is None:
            return {}
        self.shelf.look(note.reads)
        found = {n: self.shelf.take(n, note.reads.pop(n)) for n in players if n in note.reads}
        if not note.reads:
            self.notes.popleft()
        return found

    def peek(
        self, players: Sequence[str], have: Mapping[str, int], wait_s: float = 0.0
    ) -> dict[str, Publication]:
        """What it found, in that order; the second time that there is nothing for it where it is, it had
        given up.
        """
        self._meet(players)
        if (note := self._note()) is None:
            if self.silent == self.player.beats:
                raise Over
            self.silent = self.player.beats
            return {}
        self.shelf.look(note.reads)
        if strangers := note.reads.keys() - {*players}:
            raise Differs(self.said(f"it looked at {min(strangers)}, which it does not know here"))
        self.notes.popleft()
        self.silent = None
        return {s: self.shelf.take(s, v) for s, v in note.reads.items()}

    def _note(self) -> Note | None:
        """What it found where it is now."""
        if self.notes and self.notes[0].at < self.player.beats:
            raise Differs(self.said("it went past a look at the board"))
        here = self.notes and self.notes[0].at == self.player.beats and self.notes[0].reads
        return self.notes[0] if here else None

    def _meet(self, shelves: Sequence[str]) -> None:
        if self.notes and self.notes[0].members and self.notes[0].at == self.player.beats:
            if (members := self.notes[0].members) != owners(shelves):
                raise Meet(members)
            self.notes.popleft()

    def said(self, what: str) -> str:
        """Of this player, where it is."""
        return f"differs: {self.player.name} at step {self.player.step} (line {self.line} of {FILE}): {what}"


# -------------------------------------------------------------------------------------------------
# an attempt


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
            given = {(r["at"], r["cut"], n): r["sha"] for n, r in _counted(rows, "part")}
            saves = [
                (i, given.get((r["at"], r["cut"], n)))
                for i, (n, r) in _counted_at(rows, "save")
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


def _counted(rows: Sequence[Row], kind: str) -> Iterator[tuple[int, Row]]:
    """Those of a kind, each with how many of its cut and step came before it."""
    seen: Counter[tuple[int, int]] = Counter()
    for row in (r for r in rows if r["k"] == kind):
        yield seen[row["at"], row["cut"]], row
        seen[row["at"], row["cut"]] += 1


def _counted_at(rows: Sequence[Row], kind: str) -> Iterator[tuple[int, tuple[int, Row]]]:
    """The same, with each one's place."""
    places = [i for i, r in enumerate(rows) if r["k"] == kind]
    yield from zip(places, _counted(rows, kind), strict=True)
