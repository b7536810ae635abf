"""Whole runs under seeded faults, in one thread: the real controller, strategies, journal and
checkpoints; simulated are the disk (power cuts, no room, files that are lost or changed between two
lives), the transport (orders are done in any order that keeps each player's own), the clock, and
the spawner (players die at any instant, inside swaps too). Runs are stopped and go on; in async
members join and leave.

    simulate(seed)       one run, disturbed; raises Violation,
                         whose message is the line that repeats it
    two_drivers(seed)    one run, driven by two processes that take turns at any call to the disk
"""

from __future__ import annotations

import copy
import json
import multiprocessing
import os
import random
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch

from raygan.config import Config
from raygan.controller import membership
from raygan.controller.checkpoint import Checkpoint, newest_valid
from raygan.controller.checkpoint_index import listed, open_journal
from raygan.controller.controller import Controller
from raygan.controller.history import read_journal
from raygan.controller.inline import InlineExecutor
from raygan.controller.journal import Journal
from raygan.controller.log_writer import Telemetry
from raygan.controller.orders import Adopt, Card, Done, Evaluate, Join, Order, Scored
from raygan.controller.requests import Requests, file_of
from raygan.controller.run_folder import RunFolder
from raygan.controller.worker import take_up
from raygan.errors import CheckpointError, Interrupted, PlayerDied, StaleEpochError
from raygan.gan.bundle import unpack
from raygan.gan.weights import digest
from raygan.service.verify import final_states
from raygan.strategies.base import Setup, homes
from raygan.strategies.orders import Swap, Train
from raygan.strategies.pmgan import answers as pmgan_answers
from raygan.strategies.pmgan import judge as pmgan_judge
from raygan.strategies.pmgan.generator import Generator
from raygan.strategies.population.member import PREFIX
from raygan.strategies.roles import JUDGE
from tests.conftest import Unscored, setup_of, tiny_config
from tests.simulation.storage import Crash, SimStorage

LOCKSTEP: dict[str, dict[str, Any]] = {
    "gap": {"strategy": {"name": "gap", "swap_every": 2}, "num_pairs": 4},
    "population": {
        "strategy": {"name": "population", "exploit_every": 2, "rank_samples": 20},
        "num_pairs": 4,
    },
    "sgan": {"strategy": {"name": "sgan", "messenger_lifetime": 2}, "num_pairs": 2},
    "pmgan": {"strategy": {"name": "pmgan"}, "loss": "reverse_kl", "num_pairs": 2},
    "sgan over gap": {
        "strategy": {"name": "sgan", "over": {"name": "gap", "swap_every": 3}},
        "num_pairs": 2,
    },
}
ASYNC: dict[str, dict[str, Any]] = {
    "async gap": {"strategy": {"name": "gap", "swap_every": 2, "max_wait": 0}, "num_pairs": 4},
    "async sgan": {"strategy": {"name": "sgan", "messenger_lifetime": 2}, "num_pairs": 3},
    "async pmgan": {
        "strategy": {"name": "pmgan", "classes": 9},
        "loss": "reverse_kl",
        "num_pairs": 3,
    },
    "async sgan, packs": {
        "strategy": {"name": "sgan", "messenger_lifetime": 2},
        "num_pairs": 4,
        "resources": {"pairs_per_actor": 2},
    },
    "async pmgan, no packs": {
        "strategy": {"name": "pmgan", "classes": 9},
        "loss": "reverse_kl",
        "num_pairs": 4,
        "resources": {"pairs_per_actor": 2},
    },
}
KINDS = LOCKSTEP | {k: {**v, "tempo": "async"} for k, v in ASYNC.items()}
SMALL: dict[str, Any] = {
    "steps": 8, "batch_size": 4, "round_steps": 3, "checkpoint": {"every_steps": 2},
    "evaluation": {"every_steps": 8},
    "network": {"name": "mlp", "hidden": 4, "layers": 2, "z_dim": 2}, "failures": {"budget": 10**6},
}  # fmt: skip

membership.EVERY_S = 0.0  # no clock here: a request is looked for at each turn
pmgan_answers.PATIENCE_S = pmgan_judge.PATIENCE_S = pmgan_judge.LOOK_S = (
    1e-4  # nobody can publish while somebody waits here
)


class Violation(AssertionError):
    """An invariant does not hold."""


class SimExecutor(InlineExecutor):
    """Players in this process; which order comes next, and who dies when, the seed says."""

    def __init__(self, setup: Setup, world: World) -> None:
        super().__init__(setup)
        self.world = world
        self.raised: PlayerDied | None = None
        """Met while another's order was done: told at the next call."""
        self.processes: list[set[str]] = []

    def start(self, players: Sequence[str], states: Mapping[str, bytes], epoch: int = 0) -> None:
        self.raised = None
        self.world.leaving.clear()
        super().start(players, states, epoch)
        self.processes = [set(home) for home in homes(self.setup.config, players)]

    def submit(self, order: Order) -> None:
        super().submit(order)
        if isinstance(order, Join):
            there = [p for p in self.processes if p & set(order.home)]
            if not there:
                self.processes.append(there_now := set[str]())
                there = [there_now]
            there[0].add(order.player)

    def remove(self, player: str) -> None:
        super().remove(player)
        for process in self.processes:
            process.discard(player)

    def instant(self, name: str) -> None:
        """A process may die here, with all that live in it, also of those on their way back."""
        homes = {p: process for process in self.processes for p in process}
        self.world.instant(name, homes)

    def leaving(self) -> dict[str, str]:
        return {p: why for p, why in self.world.leaving.items() if p in self.players or not p}

    def wait(self, timeout_s: float) -> list[Done]:
        if self.raised is not None:
            error, self.raised = self.raised, None
            raise error
        if not self.queue:
            return []
        first: dict[Any, int] = {}
        for i, order in enumerate(
            self.queue
        ):  # each player's own orders stay in order; swaps hold all their players
            for player in involved(order):
                first.setdefault(player, i)
        ready = [
            i for i, order in enumerate(self.queue) if all(first[p] == i for p in involved(order))
        ]
        pick = self.world.rng.choice(
            [i for i in ready if not self.would_block(self.queue[i])] or ready
        )
        order = self.queue[pick]
        del self.queue[pick]
        self.queue.appendleft(order)
        self.instant(f"before {type(order).__name__}")
        if isinstance(order, Evaluate):
            self.queue.popleft()
            done = [Done(order, Scored([]), 0.0)]
        else:
            done = super().wait(0)
        try:
            self.instant(f"after {type(order).__name__}")
        except PlayerDied as death:
            done = [d for d in done if not {*death.home} & {*involved(d.order)}]
            if not done:
                raise
            self.raised = death
        return done

    def would_block(self, order: Order) -> bool:
        """A generator that waits for the judge, which is in this very thread."""
        player = self.players.get(order.player) if isinstance(order, Train) else None
        if not isinstance(player, Generator) or player.tempo == "lockstep":
            return False
        player.answers.poll(self.board, JUDGE)
        return player.answers.must_wait(player.step)

    def offer(self, swap: Swap) -> dict[str, Card]:
        cards = super().offer(swap)
        self.instant("between offer and record")
        return cards

    def adopt(self, swap: Swap) -> None:
        parcels = self.worker.kept.pop(swap)
        for player, source in swap.moves.items():
            self.instant("between adoptions")
            take_up(self.players[player], swap, parcels[source])


def involved(order: Order) -> list[str]:
    """Whose order it is."""
    if isinstance(order, Adopt):
        return order.swap.players
    return order.players if isinstance(order, Swap) else [order.player]


class World:
    """One seed: a disk, a run folder for what is only told, and the faults to come."""

    def __init__(self, seed: int, config: Config, setup: Setup, folder: Path) -> None:
        self.rng = random.Random(seed)
        self.config, self.setup = config, setup
        self.storage = SimStorage(self.rng)
        self.folder = RunFolder(folder)
        self.folder.telemetry = Telemetry(self._place)
        self.leaving: dict[str, str] = {}
        """Player ("": the driver) -> its machine's notice."""
        self.mute_for = 0
        """Writes of what is only told that find no disk."""
        self.faults: Counter[str] = Counter()
        self.left = self.rng.randint(1, 6)
        self.acknowledged: dict[str, int] = {}
        """Steps in the newest checkpoint whose commit had returned."""
        self.damaged: set[str] = set()
        """Checkpoints that somebody changed: they are told until a life has passed them over."""
        self.partitioned: Journal | None = None
        self.wanted: dict[str, Any] | None = None
        """The newest request that was answered, with its members."""
        self.controller: Controller | None = None

    def _place(self) -> Path:
        self.mute_for -= 1
        return self.folder.path if self.mute_for < 0 else Path("/nowhere")

    def instant(self, name: str, players: Mapping[str, set[str]]) -> None:
        """A player may die here, with those of its process, or the driver with everything; the disk
        may be full; somebody may ask for something.
        """
        if self.controller is not None and (done := self.controller.loop.membership.answered):
            self.wanted = done[1]
        if self.left == 0 or self.rng.random() > 0.08:
            return
        self.left -= 1
        kind = self.rng.choice(
            ["death"] * 4
            + ["driver killed"] * 3
            + ["stop", "scale", "disk full", "telemetry full", "notice"]
        )
        if kind == "death":
            self.faults[f"death {name}"] += 1
            who = self.rng.choice(sorted(players))
            along = sorted(players[who] - {who})
            self.faults["death of several at once"] += bool(along)
            raise PlayerDied(who, f"killed {name}", along=along)
        if kind == "driver killed":
            self.faults[f"driver killed {name}"] += 1
            raise Crash
        assert self.controller is not None
        if kind == "stop":
            self.faults["stop"] += 1
            self.controller.stop(15)
        elif kind == "notice":
            self.faults[kind] += 1
            self.leaving[self.rng.choice(["", *sorted(players), *sorted(players)])] = (
                f"notice {self.left}"
            )
        elif kind == "telemetry full":
            self.faults[kind] += 1
            self.mute_for = self.rng.randint(1, 60)
        elif kind == "disk full":
            self.faults["disk full"] += 1
            self.storage.full_for = self.rng.randint(1, 12)
        elif self.config.tempo == "async":
            self.faults["scale"] += 1
            asked = {"verb": "scale", "id": str(self.left), "pairs": self.rng.randint(2, 5)}
            (self.folder.path / file_of(asked)).write_text(json.dumps(asked))

    def run(self) -> Checkpoint:
        """To the end, however many lives that takes; its last checkpoint."""
        for _ in range(100):
            try:
                if self.left and self.rng.random() < 0.4:
                    self.left -= 1
                    self.storage.fuse = self.rng.randint(1, 300)
                    self.faults["power cut"] += 1
                self._attempt()
                break
            except Crash:
                self.storage.power_loss()
            except (CheckpointError, OSError) as error:  # no room: it ends, and is started again
                if not isinstance(error, CheckpointError) and error.errno != 28:
                    raise
                self.storage.full_for, self.storage.fuse = 0, None
            except Interrupted:
                self.storage.fuse = None
                self._check_end()
            self._check_disk()
            if self.left and self.rng.random() < 0.25:
                self.left -= 1
                self._damage()
        else:
            raise Violation("no progress in 100 attempts (L1)")
        self.storage.fuse, self.mute_for = None, 0
        self.folder.telemetry.flush()
        self._check_told()
        return self._check_end()

    def _attempt(self) -> None:
        if (
            self.rng.random() < 0.3
        ):  # a driver behind a partition: it opened the run before us and is still there
            self.partitioned = open_journal(self.storage)
        journal = open_journal(self.storage)
        journal.clock = lambda: self.rng.choice([0.0, 1e9, 2e9])  # it jumps
        checkpoint, problems = newest_valid(self.storage)
        if checkpoint is None and (problems or self.acknowledged):
            raise Violation(
                f"would begin again at step 0 with {self.acknowledged} committed: {problems} (X2)"
            )
        config = self.config
        if checkpoint is not None:
            ids = tuple(checkpoint.extra["members"])
            config = config.model_copy(
                update={"members": ids if ids != config.ids else (), "num_pairs": len(ids)}
            )
        setup = Setup(config, self.setup.data, self.setup.device)
        self.controller = Controller(
            config, self.folder, lambda: SimExecutor(setup, self), [self._listen], 400, journal
        )
        self.controller.run(checkpoint)

    def _listen(self, controller: Controller, done: Done) -> None:
        if controller.loop.saving.assembly.saved_step >= 0:
            self.acknowledged = dict(controller.loop.saving.assembly.steps)
        if self.partitioned is not None and self.rng.random() < 0.2:
            stale, self.partitioned = self.partitioned, None
            # it looked just before we opened the run
            stale.fence = lambda: None  # type: ignore[method-assign]
            self.faults["stale write"] += 1
            stale.append("swap", step=99, moves=[], stale=True)

    def _check_told(self) -> None:
        """Logs have whole lines only, and what is not there was counted."""
        for name in ("metrics.jsonl", "events.jsonl"):
            file = self.folder.path / name
            for line in file.read_bytes().splitlines() if file.exists() else []:
                json.loads(line)
        if self.faults["telemetry full"] and (waiting := self.folder.telemetry.unwritten()):
            raise Violation(f"there is room, and {waiting} still waits")

    def _check_end(self) -> Checkpoint:
        """What a run that is over has on its disk: exactly what its players were."""
        final, problems = newest_valid(self.storage)
        assert self.controller is not None
        if final is None or problems or final.steps != self.controller.state.done:
            raise Violation(
                f"ended at {self.controller.state.done}, its last checkpoint is"
                f" {final and final.steps}: {problems} (C1)"
            )
        if set(final.parts) != set(self.controller.state.players):
            raise Violation(
                f"ended with {self.controller.state.players}, its last checkpoint has"
                f" {sorted(final.parts)} (C1)"
            )
        if self.wanted is not None and final.extra["members"] != self.wanted["members"]:
            waits = Requests(self.folder.path).waiting()
            if not waits and self.wanted["id"] not in self._refused():
                raise Violation(
                    f"members {self.wanted['members']} were asked for and answered, the last"
                    f" checkpoint has {final.extra['members']}, and no request waits (S4)"
                )
        return final

    def _refused(self) -> set[str]:
        """Requests that were given up, and of which that was said."""
        file = self.folder.path / "events.jsonl"
        events = map(json.loads, file.read_bytes().splitlines() if file.exists() else [])
        return {e["request"] for e in events if e["kind"] == "refused"}

    def _check_disk(self) -> None:
        fuse, self.storage.fuse = self.storage.fuse, None
        history = read_journal(self.storage)
        newest, problems = newest_valid(self.storage)
        if [p for p in problems if not any(f"/{folder}:" in p for folder in self.damaged)]:
            raise Violation(f"a crash left damage: {problems} (C2)")
        there = newest.steps if newest else {}
        if (newest is None and self.acknowledged) or any(
            s < self.acknowledged.get(p, 0) for p, s in there.items()
        ):
            raise Violation(f"checkpoint {self.acknowledged} was committed, {there} is there (C3)")
        check_history(history.records, self.config.tempo)
        if newest is not None:
            check_parts(newest)
        self.storage.fuse = fuse

    def _damage(self) -> None:
        """Between two lives somebody loses or changes files: an older checkpoint is used and that
        is told, or it is an error.
        """
        entries = [
            e for e in listed(self.storage)[0] if self.storage.exists(f"checkpoints/{e.folder}")
        ]
        if not entries:
            return
        before, newest = copy.deepcopy(self.storage.root), entries[-1]
        what = self.rng.choice(
            ["newest lost", "part changed", "part lost", "manifest cut", "all lost", "folder moved"]
        )
        self.faults[what] += 1
        folder = f"checkpoints/{newest.folder}"
        if what == "newest lost":
            self.storage.remove(folder)
        elif what == "folder moved":
            self.storage.rename("checkpoints", "elsewhere")
        elif what == "all lost":
            for entry in entries:
                self.storage.remove(f"checkpoints/{entry.folder}")
        else:
            names = [
                n
                for n in self.storage.list(folder)
                if (n == "manifest.json") == (what == "manifest cut")
            ]
            name = f"{folder}/{self.rng.choice(names)}"
            raw = bytearray(self.storage.read(name))
            raw[self.rng.randrange(len(raw))] ^= 1 << self.rng.randrange(8)
            self.storage.remove(name)
            if what != "part lost":
                self.storage.write(name, bytes(raw[:-9] if what == "manifest cut" else raw))
        found, problems = newest_valid(self.storage)
        if not problems or (found is not None and found.entry == newest):
            raise Violation(f"{what}: not told (X2, C2)")
        if found is None:  # an error: the user puts it back
            self.storage.root = before
        else:
            self.wanted = None  # it may be an earlier one's members, which is told
            self.acknowledged = dict(found.steps)
            self.damaged.add(newest.folder)


def check_history(records: Sequence[Mapping[str, Any]], tempo: str = "lockstep") -> None:
    """Invariants of a journal: G1, S3, X1, fencing."""
    epoch, held, steps, last = 0, dict[str, str](), dict[str, int](), False
    for record in records:
        if last and record["kind"] not in ("open", "end"):
            raise Violation(f"a {record['kind']} follows the cut at which the run was stopped")
        if record["epoch"] < epoch:
            raise Violation(
                f"epoch {record['epoch']} wrote after epoch {epoch} was opened (fencing)"
            )
        if record.get("stale"):
            raise Violation("a stale write was accepted (fencing)")
        epoch, last = record["epoch"], False
        if record["kind"] == "resume":
            held, steps = {}, dict(record["steps"])
        if record["kind"] == "swap":
            moves = record["moves"]
            if all(m.get("what") == "pair" for m in moves):
                continue  # a population's: copied over others, so in two places
            if sorted(m["player"] for m in moves) != sorted(m["from"] for m in moves):
                raise Violation(f"not a permutation: {moves} (G1)")
            held |= {m["player"]: m["identity"] for m in moves}
            if len(set(held.values())) != len(held):
                raise Violation(f"a discriminator is in two places: {held} (G1)")
        if record["kind"] == "checkpoint":
            last = tempo == "lockstep" and set(record["steps"].values()) != {
                record["step"]
            }  # GAP stops between two meetings
            if any(step < steps.get(p, 0) for p, step in record["steps"].items()):
                raise Violation(f"checkpoint {record['steps']} after {steps}: steps are lost (X1)")
            steps = dict(record["steps"])


def check_parts(checkpoint: Checkpoint) -> None:
    """Invariants of what is on the disk: each discriminator is in one place (G1), each part at the
    step that is told (X1).
    """
    states = {p: unpack(raw) for p, raw in checkpoint.parts.items()}
    birth = [
        s["identity.D"]
        for p, s in states.items()
        if "identity.D" in s
        and p not in ("global", "judge")
        and f"{PREFIX}lr_d" not in s  # a population's: copied over others, so in two places
    ]
    if len(set(birth)) != len(birth):
        raise Violation(f"a checkpoint has a discriminator twice: {birth} (G1)")
    if any(s["step"] != checkpoint.steps[p] for p, s in states.items()):
        raise Violation(
            f"a part is not of the step that its checkpoint tells: {checkpoint.steps} (X1)"
        )


class Fixture:
    """What all seeds share: data, and the undisturbed end of each kind of run."""

    def __init__(self) -> None:
        self.configs = {k: tiny_config(**{**SMALL, **v}) for k, v in KINDS.items()}
        self.setups = {k: setup_of(c) for k, c in self.configs.items()}
        self.ends = {k: self._end(k) for k in LOCKSTEP}

    def _end(self, kind: str) -> dict[str, str]:
        states = final_states(self.configs[kind], lambda: InlineExecutor(self.setups[kind]))
        return {p: digest(unpack(r)) for p, r in states.items()}

    def simulate(self, seed: int) -> Counter[str]:
        """One seed; returns the faults that struck. Raises Violation."""
        kind = sorted(KINDS)[seed % len(KINDS)]
        return self._in_folder(seed, kind, "", lambda folder: self._one(seed, kind, folder))

    def two_drivers(self, seed: int) -> Counter[str]:
        """One seed of two `--resume auto` at once; returns who came to the end.

        Raises Violation.
        """
        kind = sorted(LOCKSTEP)[seed % len(LOCKSTEP)]
        return self._in_folder(seed, kind, " two", lambda folder: self._two(seed, kind, folder))

    def _in_folder(
        self, seed: int, kind: str, how: str, work: Callable[[Path], Counter[str]]
    ) -> Counter[str]:
        folder = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
        try:
            (folder / "samples").mkdir()
            return work(folder)
        except Violation as violation:
            raise Violation(
                f"{violation}\nrepeat: python -m benchmarks simulate 1 {seed}{how}   ({kind})"
            ) from None
        finally:
            shutil.rmtree(folder)

    def _one(self, seed: int, kind: str, folder: Path) -> Counter[str]:
        world = World(seed, self.configs[kind], self.setups[kind], folder)
        final = world.run()
        check_history(read_journal(world.storage).records, self.configs[kind].tempo)
        check_parts(final)
        if (
            kind in LOCKSTEP
            and {p: digest(unpack(raw)) for p, raw in final.parts.items()} != self.ends[kind]
        ):
            raise Violation("the final weights are not those of the undisturbed run (C4, G2, X1)")
        return world.faults

    def _two(self, seed: int, kind: str, folder: Path) -> Counter[str]:
        turns = Turns(random.Random(seed))
        storage = turns.storage
        ends: Counter[str] = Counter()

        def drive() -> None:
            journal = open_journal(storage)
            checkpoint, _ = newest_valid(storage)
            run = RunFolder(folder)
            Controller(
                self.configs[kind], run, lambda: Unscored(self.setups[kind]), [], 400, journal
            ).run(checkpoint)

        for name, error in turns.play([drive, drive]).items():
            if error is not None and not isinstance(error, StaleEpochError):
                raise Violation(f"driver {name} ended by {error!r}")
            ends["fenced off" if error else "to the end"] += 1
        final, problems = newest_valid(storage)
        if (
            problems
            or final is None
            or {p: digest(unpack(r)) for p, r in final.parts.items()} != self.ends[kind]
        ):
            raise Violation(f"two drivers left {final and final.steps}, {problems} (C4)")
        if not ends["to the end"]:
            raise Violation("neither of the two came to the end (L1)")
        check_history(read_journal(storage).records)
        return ends


class Turns:
    """Threads of which one runs at a time; at a call to the disk the turn may pass, as the seed
    will have it.
    """

    def __init__(self, rng: random.Random) -> None:
        turns, self.rng = self, rng

        class Shared(SimStorage):
            def pause(self) -> None:
                turns.pass_on()

        self.storage = Shared(rng)
        self.moved = threading.Condition()
        self.now = 0
        self.alive: set[int] = set()
        self.mine = threading.local()

    def pass_on(self) -> None:
        """Wait until it is this thread's turn again."""
        if not hasattr(self.mine, "number"):
            return  # who looks on, before and after
        with self.moved:
            if self.rng.random() < 0.2:
                self.now = self.rng.choice(sorted(self.alive))
                self.moved.notify_all()
            self.moved.wait_for(lambda: self.now == self.mine.number)

    def play(self, work: Sequence[Callable[[], None]]) -> dict[int, Exception | None]:
        """All to their ends; what each was ended by."""
        ends: dict[int, Exception | None] = {}
        self.alive = set(range(len(work)))

        def one(number: int) -> None:
            self.mine.number = number
            with self.moved:
                self.moved.wait_for(lambda: self.now == number)
            try:
                work[number]()
                ends[number] = None
            except Exception as error:
                ends[number] = error
            with self.moved:
                self.alive.discard(number)
                self.now = self.rng.choice(sorted(self.alive)) if self.alive else -1
                self.moved.notify_all()

        threads = [threading.Thread(target=one, args=(i,)) for i in range(len(work))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return ends


def simulate_share(first: int, last: int, step: int, two: bool) -> Counter[str]:
    """Every `step`-th seed of a range, in a process of its own."""
    torch.set_num_threads(1)
    fixture, faults = Fixture(), Counter[str]()
    for seed in range(first, last, step):
        faults += fixture.two_drivers(seed) if two else fixture.simulate(seed)
    return faults


def simulate_all(seeds: int, first: int = 0, two: bool = False) -> Counter[str]:
    """So many seeds, on all cores; the faults that struck, or how two drivers ended. Raises
    Violation.
    """
    cores = min(os.cpu_count() or 1, seeds)
    with ProcessPoolExecutor(cores, multiprocessing.get_context("spawn")) as pool:
        shares = [
            pool.submit(simulate_share, first + i, first + seeds, cores, two) for i in range(cores)
        ]
        return sum((share.result() for share in shares), Counter[str]())
