"""What an asynchronous run did in which order, recorded so that it can be done again (`record:
schedule`).

All that is left to chance in async is what a player finds when it looks at the board, and at which
of its steps. So a round's looks are noted where they are made, and travel beside its report:

    actor   Noted (a board)  -->  Recording: a Round  --beside the report-->
    driver  Schedule  -->  schedule.jsonl

    {"k": "begin", "epoch", "config", "torch", "parts"}       an attempt, and the parts that it
                                                              began from
    {"k": "round", "p", "from", "n", "to", "beats", "of", "reads", ["pack"], ["again"]}
    {"k": "save" | "part" | "swap" | "join" | "back", ...}    what happens to a player between two
                                                              rounds

A line is written when the driver hears of it. So of one player they stand in the order in which
things happened; of two players only what one has read of the other tells. Swaps, members and what
each attempt went on from are the journal's to say. Who replays it: `service/replay.py`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from raygan.config import Config, full_dump
from raygan.controller.rounds import Round
from raygan.strategies.orders import Train

if TYPE_CHECKING:  # orders.py, which has a Round in it, does without PyTorch
    from raygan.controller.orders import Save
    from raygan.controller.run_folder import RunFolder
    from raygan.gan.types import Board, Player
    from raygan.gan.weights import Publication

FILE = "schedule.jsonl"


@dataclass
class Note:
    """One look at the board, at the reader's `beats`: versions that it found, by shelf, in the
    order in which they came; or whom it looks at from now on.
    """

    at: int
    reads: dict[str, int] = field(default_factory=dict)
    members: tuple[str, ...] = ()


def encoded(notes: Sequence[Note]) -> tuple[tuple[str, ...], str]:
    """(the shelves, the notes as text): differences to the note before, and how often in a row.

    >>> encoded([Note(7, {"judge": 9}), Note(8, {"judge": 10}), Note(9, {"judge": 11})])
    (('judge',), '7:0+9 1:0+1*2')
    """
    shelves = tuple(dict.fromkeys(s for note in notes for s in note.reads))
    index, last, at = {s: i for i, s in enumerate(shelves)}, dict.fromkeys(shelves, 0), 0
    tokens = list[str]()
    for note in notes:
        moved = ",".join(f"{index[s]}{v - last[s]:+d}" for s, v in note.reads.items())
        tokens.append(
            f"{note.at - at}" + (f"={','.join(note.members)}" if note.members else f":{moved}")
        )
        last |= note.reads
        at = note.at
    runs = [(token, len(list(same))) for token, same in groupby(tokens)]
    return shelves, " ".join(token if n == 1 else f"{token}*{n}" for token, n in runs)


def decoded(shelves: Sequence[str], text: str) -> list[Note]:
    """The inverse. Raises ValueError, IndexError for what is no such text.

    >>> decoded(["judge"], "7:0+9 1:0+1*2")[-1]
    Note(at=9, reads={'judge': 11}, members=())
    """
    last, at, out = dict.fromkeys(shelves, 0), 0, list[Note]()
    for run in text.split():
        token, _, times = run.partition("*")
        for _ in range(int(times or 1)):
            step, _, members = token.partition("=")
            step, _, moved = step.partition(":")
            at += int(step)
            note = Note(at, members=tuple(members.split(",")) if members else ())
            for one in filter(None, moved.split(",")):
                sign = "-" if "-" in one else "+"
                i, _, by = one.partition(sign)
                shelf = shelves[int(i)]
                last[shelf] += int(sign + by)
                note.reads[shelf] = last[shelf]
            out.append(note)
    return out


class Noted:
    """A board, for one reader, whose looks are noted."""

    def __init__(self, board: Board, player: Player, recording: Recording) -> None:
        self.board = board
        self.player = player
        self.recording = recording
        self.begin = player.step
        self.notes: list[Note] = []

    def publish(self, publication: Publication) -> None:
        """As `Board.publish`; nothing of it is noted."""
        self.board.publish(publication)

    def forget(self, player: str, before: int) -> None:
        """As `Board.forget`; nothing of it is noted."""
        self.board.forget(player, before)

    def between(
        self, players: Sequence[str], after: int, upto: int
    ) -> dict[str, list[Publication]]:
        """Board.between; in lockstep nothing is left to chance."""
        return self.board.between(players, after, upto)

    def newest(self, players: Sequence[str]) -> dict[str, Publication]:
        """As `Board.newest`; what was found is noted."""
        return self._found(self.board.newest(players))

    def peek(
        self, players: Sequence[str], have: Mapping[str, int], wait_s: float = 0.0
    ) -> dict[str, Publication]:
        """As `Board.peek`; what was found is noted."""
        self._asks(players)
        return self._found(self.board.peek(players, have, wait_s))

    def progress(self, players: Sequence[str]) -> dict[str, int]:
        """As `Board.progress`; whom it was asked about is noted."""
        self._asks(players)
        return self.board.progress(players)

    def _asks(self, shelves: Sequence[str]) -> None:
        """Whom a reader looks at tells when it has heard that its members are others."""
        members, asked = owners(shelves), self.recording.asked
        if asked.get(self.player.name) != members:
            asked[self.player.name] = members
            self.notes.append(Note(self.player.beats, members=members))

    def _found(self, found: dict[str, Publication]) -> dict[str, Publication]:
        """Looks between two beats are one, unless they found something newer on one shelf."""
        if found:
            at, reads = self.player.beats, {s: p.version for s, p in found.items()}
            last = self.notes[-1] if self.notes else None
            if last is not None and last.at == at and last.reads and not last.reads.keys() & reads:
                last.reads |= reads
            else:
                self.notes.append(Note(at, reads))
        return found


def owners(shelves: Sequence[str]) -> tuple[str, ...]:
    """
    >>> owners(["gen-00/slot", "gen-01/slot"])
    ('gen-00', 'gen-01')
    """
    return tuple(dict.fromkeys(shelf.partition("/")[0] for shelf in shelves))


class Recording:
    """Of one process and attempt: the rounds of the orders that are being carried out."""

    def __init__(self) -> None:
        self.asked: dict[str, tuple[str, ...]] = {}
        """Reader -> whom it has looked at last."""
        self.rounds: list[Round] = []

    @classmethod
    def of(cls, config: Config) -> Recording | None:
        """Where a run of this config is recorded."""
        return cls() if recorded(config) else None

    def read(self, noted: Noted, again: bool) -> None:
        """A player's round is over."""
        shelves, reads = encoded(noted.notes)
        player = noted.player
        done = player.step, player.beats
        self.rounds.append(Round(noted.begin, *done, shelves, reads, again=again))

    def packed(self, players: Sequence[Player], steps: int) -> None:
        """So is that of a pack, whose pairs read nothing."""
        names = tuple(p.name for p in players)
        self.rounds += [Round(p.step - steps, p.step, p.beats, pack=names) for p in players]

    def take(self) -> list[Round]:
        """All of them, in the order of the orders; they are kept no longer."""
        rounds, self.rounds = self.rounds, []
        return rounds


def recorded(config: Config) -> bool:
    """Is a run of this config recorded? One in lockstep is a function of its config."""
    return config.record == "schedule" and config.pace == "async"


class Schedule:
    """The driver's end. What cannot be written is a gap, which a replay finds."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.on = False

    def begin(
        self, epoch: int, config: Config, parts: Mapping[str, bytes], info: Mapping[str, Any]
    ) -> None:
        """An attempt, from these parts of a checkpoint. info: the executor's."""
        self.on = recorded(config)
        values = full_dump(config)
        names = {p: sha(raw) for p, raw in parts.items()} if self.on else {}
        devices = {str(of.get("device", "cpu")) for of in [*info.get("players", {}).values(), info]}
        self._write("begin", epoch=epoch, config=values, devices=sorted(devices), parts=names)

    def round(self, order: Train, done: Round | None) -> None:
        """A Train order was carried out; one that found nothing and did nothing leaves no trace."""
        if done is None or (done.begin == done.end and not done.reads):
            return
        facts: dict[str, Any] = {"of": done.of, "reads": done.reads} if done.reads else {}
        if done.pack:
            facts["pack"] = done.pack
        if done.again:
            facts["again"] = True
        end = {"from": done.begin, "n": order.steps, "to": done.end, "beats": done.beats}
        self._write("round", p=order.player, **end, **facts)

    def asked(self, order: Save) -> None:
        """A part is asked for, of a player that stands still."""
        self._write("save", p=order.player, at=order.at, cut=order.step)

    def took(self, order: Save, raw: bytes) -> None:
        """A player's part of a cut has arrived: its hash is noted."""
        if self.on:
            self._write("part", p=order.player, at=order.at, cut=order.step, sha=sha(raw))

    def swapped(self, players: Sequence[str], seq: int) -> None:
        """The journal's record of this number has just been written."""
        self._write("swap", players=list(players), seq=seq)

    def joins(self, player: str, at: int, ids: Sequence[int]) -> None:
        """A newcomer is made; ids: the members before it."""
        self._write("join", p=player, at=at, ids=list(ids))

    def back(self, player: str, at: int) -> None:
        """One that died or moved comes back while the others go on."""
        self._write("back", p=player, at=at)

    def _write(self, kind: str, **facts: Any) -> None:
        if self.on:
            self.folder.fence()
            line = json.dumps({"k": kind, **facts}, separators=(",", ":")).encode()
            self.folder.telemetry.append(FILE, line + b"\n")


def sha(raw: bytes) -> str:
    """SHA-256 of a packed state."""
    return hashlib.sha256(raw).hexdigest()
