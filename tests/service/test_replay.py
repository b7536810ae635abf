"""Asynchronous runs in an order that is drawn, recorded, and done again to the same bits; what
cannot be replayed is one line.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from raygan.cli import main
from raygan.config import Config, full_dump
from raygan.controller import membership
from raygan.controller.async_record import FILE, Note, decoded, encoded
from raygan.controller.bucket_copies import storage_of
from raygan.controller.checkpoint import newest_valid
from raygan.controller.checkpoint_index import open_journal
from raygan.controller.controller import Controller
from raygan.controller.orders import Done, Evaluate
from raygan.controller.requests import file_of
from raygan.controller.run_folder import RunFolder
from raygan.errors import Interrupted, PlayerDied
from raygan.service.replay import Verdict, replay
from raygan.service.replaying.attempts import Unreplayable
from raygan.service.runs.run import Run
from raygan.strategies.base import Setup
from raygan.strategies.orders import Train
from raygan.strategies.pmgan import answers, judge
from tests.conftest import Unscored, setup_of, tiny_config

KINDS: dict[str, dict[str, Any]] = {
    "independent": {"strategy": {"name": "independent"}},
    "gap": {"strategy": {"name": "gap", "swap_every": 5, "max_wait": 0}},
    "sgan": {"strategy": {"name": "sgan", "messenger_lifetime": 2, "max_lag": 3}},
    "sgan over gap": {
        "strategy": {"name": "sgan", "over": {"name": "gap", "swap_every": 5, "max_wait": 0}}
    },
    "pmgan": {"strategy": {"name": "pmgan", "classes": 5}, "loss": "reverse_kl"},
    "pmgan, any fresh": {
        "strategy": {"name": "pmgan", "judge_update": "any_fresh", "classes": 5},
        "loss": "reverse_kl",
    },
    "pmgan, gradients": {
        "strategy": {"name": "pmgan", "feedback": "gradients"},
        "loss": "reverse_kl",
    },
    "sgan over pmgan": {
        "strategy": {"name": "sgan", "over": {"name": "pmgan"}},
        "loss": "reverse_kl",
    },
    "packs": {"strategy": {"name": "sgan"}, "resources": {"pairs_per_actor": 3}},
}


@pytest.fixture(autouse=True)
def _nobody_publishes_while_somebody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (answers, judge):
        monkeypatch.setattr(module, "PATIENCE_S", 1e-4)
        monkeypatch.setattr(module, "LOOK_S", 1e-4)
    monkeypatch.setattr(membership, "EVERY_S", 0.0)


class Drawn(Unscored):
    """Which player goes next is drawn. before: called with each Train order that comes next."""

    def __init__(self, setup: Setup, seed: int, before: Callable[[Train], None]) -> None:
        super().__init__(setup)
        self.rng = random.Random(seed)
        self.before = before

    def wait(self, timeout_s: float) -> list[Done]:
        if self.queue and not isinstance(self.queue[0], Evaluate):
            first: dict[str, int] = {}
            for i, order in enumerate(self.queue):
                first.setdefault(getattr(order, "player", "a swap"), i)
            order = self.queue[pick := self.rng.choice(sorted(first.values()))]
            del self.queue[pick]
            self.queue.appendleft(order)
            if isinstance(order, Train):
                self.before(order)
        return super().wait(timeout_s)


class Recorded:
    """A run in a folder, life after life."""

    def __init__(self, folder: Path, kind: str, **more: Any) -> None:
        values = {
            "num_pairs": 3, "steps": 18, "round_steps": 4, "batch_size": 8, "tempo": "async",
            "record": "schedule", "checkpoint": {"every_steps": 6}, **KINDS[kind], **more,
        }  # fmt: skip
        self.config = tiny_config(**values)
        self.folder = RunFolder.create(folder, "it")
        self.path = self.folder.path
        self.folder.status(status="done")
        self.keep(self.config)

    def keep(self, config: Config) -> None:
        self.config = config
        self.folder.write("config.json", json.dumps(full_dump(config)))

    def live(
        self, seed: int = 0, before: Callable[[Train], None] = lambda order: None,
        handled: Callable[[Controller, Done], None] = lambda run, done: None,
    ) -> Controller:  # fmt: skip
        """From its newest checkpoint to the end."""
        checkpoint, _ = newest_valid(self.path)
        config, journal = self.config, open_journal(storage_of(self.path))
        if checkpoint is not None:
            ids = tuple(checkpoint.extra["members"])
            changes = {"members": ids if ids != config.ids else config.members,
                       "num_pairs": len(ids)}  # fmt: skip
            config = config.model_copy(update=changes)
        setup = setup_of(config)
        run = Controller(
            config, self.folder, lambda: Drawn(setup, seed, before), [handled], 400, journal
        )
        run.run(checkpoint)
        return run

    def replay(self) -> Verdict:
        return replay(Run(self.path))

    def outcome(self) -> tuple[int, str]:
        """Exit code and line."""
        try:
            verdict = self.replay()
        except Unreplayable as error:
            return error.exit_code, str(error)
        return int(not verdict.equal), verdict.text

    @property
    def lines(self) -> list[str]:
        return (self.path / FILE).read_text().splitlines()

    def rewrite(self, lines: list[str]) -> None:
        (self.path / FILE).write_text("".join(line + "\n" for line in lines))


def ended(argv: list[str]) -> int:
    """The exit code."""
    with pytest.raises(SystemExit) as end:
        main(argv)
    assert isinstance(end.value.code, int)
    return end.value.code


class Killed(Exception):
    """The driver's process."""


def once(event: Callable[[Any], bool], error: BaseException) -> Callable[..., None]:
    """Raise an error at the first thing for which `event` holds."""
    left = [error]

    def look(*things: Any) -> None:
        if left and event(things[-1]):
            raise left.pop()

    return look


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_is_replayed_to_the_same_bits(kind: str, tmp_path: Path) -> None:
    run = Recorded(tmp_path, kind)
    run.live(seed=len(kind))
    verdict = run.replay()
    assert verdict.equal, verdict.text
    assert "step 18" in verdict.text


@pytest.mark.parametrize("kind", ["gap", "sgan", "pmgan"])
def test_lives_that_were_stopped_and_went_on_are_replayed(kind: str, tmp_path: Path) -> None:
    run = Recorded(tmp_path, kind)

    def stop(controller: Controller, done: Done) -> None:
        if controller.state.furthest >= 9:
            controller.stop(15)

    with pytest.raises(Interrupted):
        run.live(1, handled=stop)
    run.keep(run.config.model_copy(update={"steps": 26}))
    run.live(2)
    verdict = run.replay()
    assert verdict.equal, verdict.text
    assert "step 26" in verdict.text
    assert "from the beginning" in verdict.text


@pytest.mark.parametrize("kind", ["gap", "sgan", "pmgan"])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_killed_driver_s_run_is_replayed_or_it_says_what_is_lost(
    kind: str, seed: int, tmp_path: Path
) -> None:
    run = Recorded(tmp_path, kind)
    orders = random.Random(seed).randrange(7, 12)
    count = iter(range(1000))
    with pytest.raises(Killed):
        run.live(seed, before=once(lambda _: next(count) == orders, Killed()))
    run.live(seed + 7)
    code, text = run.outcome()
    assert code == 0 or (code == 2 and "in no line" in text), text


def test_a_death_that_takes_all_back_is_replayed(tmp_path: Path) -> None:
    run = Recorded(tmp_path, "gap")
    seen = set[int]()

    def die(order: Train) -> None:
        if newest_valid(run.path)[0] is not None and not seen:
            seen.add(1)
            raise PlayerDied(order.player, "killed")

    run.live(3, before=die)
    assert sum('"k":"begin"' in line for line in run.lines) == 2
    assert run.replay().equal


def test_one_that_came_back_by_itself_cannot_be_replayed_and_that_is_said(tmp_path: Path) -> None:
    run = Recorded(tmp_path, "sgan")
    run.live(3, before=once(lambda o: o.player == "pair-01", PlayerDied("pair-01", "killed")))
    with pytest.raises(Unreplayable, match="pair-01 came back"):
        run.replay()


def test_what_is_before_a_life_that_cannot_be_replayed_is_left_out(tmp_path: Path) -> None:
    """The checkpoint that it went on from is still there."""
    run = Recorded(tmp_path, "sgan", checkpoint={"every_steps": 6, "keep": 9})

    def stop(controller: Controller, done: Done) -> None:
        if controller.state.furthest >= 9:
            controller.stop(15)

    with pytest.raises(Interrupted):
        run.live(3, once(lambda o: o.player == "pair-01", PlayerDied("pair-01", "killed")), stop)
    run.live(4)
    verdict = run.replay()
    assert verdict.equal
    assert re.search(r"from step \d+ on", verdict.text)


@pytest.mark.parametrize("kind", ["sgan", "pmgan", "gap"])
@pytest.mark.parametrize("pairs", [2, 4])
def test_who_joined_and_left_meanwhile_is_replayed(kind: str, pairs: int, tmp_path: Path) -> None:
    run = Recorded(tmp_path, kind, steps=30)
    asked = list[int]()

    def scale(controller: Controller, done: Done) -> None:
        if controller.state.furthest >= 7 and not asked:
            asked.append(1)
            request = {"verb": "scale", "id": "a", "pairs": pairs}
            (run.path / file_of(request)).write_text(json.dumps(request))

    controller = run.live(5, handled=scale)
    assert controller.state.config.num_pairs == pairs
    verdict = run.replay()
    assert verdict.equal, verdict.text


def test_a_changed_line_is_found_out(tmp_path: Path) -> None:
    run = Recorded(tmp_path, "pmgan")
    run.live()
    lines = run.lines
    rows = [json.loads(line) for line in lines]
    looked = [
        (i, notes) for i, r in enumerate(rows)
        if r["k"] == "round" and len(notes := decoded(r.get("of", ()), r.get("reads", ""))) > 2
    ]  # fmt: skip
    for i, notes in looked[1:4]:
        note = next(n for n in reversed(notes) if n.reads)
        note.reads[next(iter(note.reads))] -= 1
        of, reads = encoded(notes)
        changed = json.dumps({**rows[i], "of": of, "reads": reads})
        run.rewrite([*lines[:i], changed, *lines[i + 1 :]])
        code, text = run.outcome()
        assert code, "it is found out"
        assert re.match(r"differs: (gen-0\d|judge) at step \d+|line \d+ of schedule", text), text
    i = next(i for i, r in enumerate(rows) if r["k"] == "part")
    run.rewrite([*lines[:i], json.dumps({**rows[i], "sha": "0" * 64}), *lines[i + 1 :]])
    verdict = run.replay()
    assert verdict.text.startswith(f"differs: {rows[i]['p']} at step {rows[i]['at']}")


def test_a_line_that_is_gone_is_a_gap(tmp_path: Path) -> None:
    run = Recorded(tmp_path, "sgan")
    run.live()
    lines = run.lines
    i = [i for i, line in enumerate(lines) if '"p":"global"' in line and '"round"' in line][1]
    run.rewrite([*lines[:i], *lines[i + 1 :]])
    with pytest.raises(Unreplayable, match=r"gap before line \d+: global is at step"):
        run.replay()


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"record": "nothing"}, "has no schedule.jsonl"), ({"tempo": "lockstep"}, "is in lockstep")],
)
def test_a_run_without_a_record_is_one_line(
    settings: dict[str, Any], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Recorded(tmp_path, "sgan", **settings)
    run.live()
    assert not (run.path / FILE).exists()
    assert ended(["replay", str(run.path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_the_verb_tells_its_verdict_by_its_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Recorded(tmp_path, "independent")
    run.live()
    assert ended(["replay", str(run.path)]) == 0
    assert capsys.readouterr().out.startswith("equal: 3 players at the last checkpoint, step 18")
    rows = [json.loads(line) for line in run.lines]
    i = next(i for i, r in enumerate(rows) if r["k"] == "part")
    rows[i]["sha"] = "0" * 64
    run.rewrite([json.dumps(row) for row in rows])
    assert ended(["replay", str(run.path)]) == 1
    assert capsys.readouterr().out.startswith(f"differs: {rows[i]['p']} at step {rows[i]['at']}")


def test_notes_are_the_same_after_they_were_text() -> None:
    rng, at = random.Random(0), 0
    notes = [Note(0, members=("gen-00", "gen-01"))]
    for _ in range(200):
        at += rng.randrange(3)
        shelves = rng.sample(["judge", "gen-00/slot", "gen-01/slot"], rng.randrange(1, 4))
        notes.append(Note(at, {s: rng.randrange(10**6) for s in shelves}))
    shelves, text = encoded(notes)
    again = decoded(shelves, text)
    assert again == notes
    assert [list(n.reads) for n in again] == [list(n.reads) for n in notes], (
        "in the order they came"
    )
    steady = [Note(i, {"judge": i + 1}) for i in range(50)]
    assert len(encoded(steady)[1]) < 20
