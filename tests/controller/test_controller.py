"""The loop stepped by hand with a fake executor, then whole runs in this process."""

import itertools
import json
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from raygan.config import Config
from raygan.controller import controller as controller_module
from raygan.controller.checkpoint import newest_valid
from raygan.controller.checkpoint_index import list_checkpoints
from raygan.controller.controller import Controller
from raygan.controller.inline import InlineExecutor
from raygan.controller.listener import as_listener
from raygan.controller.loop import Loop
from raygan.controller.orders import Done, Evaluate, Order, Save, Scored
from raygan.controller.run_folder import RunFolder, read_jsonl
from raygan.errors import Interrupted, PlayerDied
from raygan.gan.bundle import unpack
from raygan.gan.weights import digest
from raygan.service.verify import final_states
from raygan.strategies.base import Setup
from raygan.strategies.orders import Train
from raygan.strategies.roles import GLOBAL
from tests.conftest import setup_of, tiny_config


class Fake:
    """Carries nothing out until told to; may lose a player."""

    def __init__(self) -> None:
        self.submitted: list[Order] = []
        self.ready: list[Order] = []
        self.dies: str | None = None
        self.started_from: list[dict[str, bytes]] = []
        self.closed = 0

    def start(self, players: Sequence[str], states: Mapping[str, bytes], epoch: int = 0) -> None:
        self.started_from.append(dict(states))
        self.submitted.clear()

    def configure(self, config: Config, listeners: Sequence[str] = ()) -> None: ...

    def no_room(self, players: int) -> str | None: ...

    def submit(self, order: Order) -> None:
        self.submitted.append(order)

    def wait(self, timeout_s: float) -> list[Done]:
        if self.dies:
            player, self.dies = self.dies, None
            raise PlayerDied(player, "worker killed")
        order = self.submitted.pop(0)
        result: Any = {"loss_d": 1.0, "seconds": 0.1}
        if isinstance(order, Save):
            result = b"state"
        elif isinstance(order, Evaluate):
            result = Scored(
                [{"kind": "score", "player": order.player, "step": order.step, "protocol": "p"}]
            )
        return [Done(order, result, 0.1)]

    def close(self) -> None:
        self.closed += 1

    def info(self) -> dict[str, Any]:
        return {"executor": "fake"}

    def mishaps(self) -> list[PlayerDied]:
        return []

    def leaving(self) -> dict[str, str]:
        return {}


def make(tmp_path: Path, fake: Fake, **changes: Any) -> Controller:
    config = tiny_config(**changes)
    return Controller(config, RunFolder.create(tmp_path, "run"), lambda: fake, [])


def begin(controller: Controller, fake: Fake) -> Loop:
    return controller.begin(None)


def test_orders_go_only_to_idle_players(tmp_path: Path) -> None:
    fake = Fake()
    controller = make(tmp_path, fake)
    loop = begin(controller, fake)
    assert loop.tick()
    assert fake.submitted == [Train("pair-00", 4, 1), Train("pair-01", 4, 1)]
    assert loop.tick()
    assert len(fake.submitted) == 2, "busy players get nothing"
    loop.handle(fake.wait(0)[0])
    loop.tick()
    assert [o.player for o in fake.submitted] == [
        "pair-01",
        "pair-00",
        "pair-00",
    ]  # its checkpoint part, then its next round
    assert isinstance(fake.submitted[1], Save)


def test_scores_and_saves_are_asked_before_the_next_round(tmp_path: Path) -> None:
    fake = Fake()
    controller = make(tmp_path, fake, checkpoint={"every_steps": 6}, round_steps=6)
    loop = begin(controller, fake)
    loop.tick()
    loop.handle(fake.wait(0)[0])
    loop.tick()
    mine = [type(o) for o in fake.submitted if o.player == "pair-00"]
    assert mine == [Evaluate, Save, Train], "orders to one player are carried out in this order"


def test_a_run_ends_with_every_player_at_the_end_and_everything_written(tmp_path: Path) -> None:
    fake = Fake()
    controller = make(tmp_path, fake)
    controller.run()
    assert set(controller.state.done.values()) == {12}
    assert fake.closed == 1
    folder = controller.log.folder.path
    assert list(list_checkpoints(folder)) == [8, 12], "the last two are kept"
    rows = read_jsonl(controller.log.folder.path / "metrics.jsonl")
    trained = {
        p: sum(r["steps"] for r in rows if r["kind"] == "train" and r["player"] == p)
        for p in controller.state.players
    }
    assert trained == dict.fromkeys(controller.state.players, 12), "steps in the record = steps run"
    assert sum(r["kind"] == "score" for r in rows) == 2 * 3


def test_a_death_restarts_from_the_last_checkpoint_and_is_told(tmp_path: Path) -> None:
    fake = Fake()
    controller = make(tmp_path, fake)

    def kill_once(c: Controller, done: Done) -> None:
        if c.state.done[GLOBAL] >= 8 and len(fake.started_from) == 1:
            fake.dies = "pair-01"

    controller.listeners = [as_listener(kill_once)]
    controller.run()
    assert len(fake.started_from) == 2
    assert set(fake.started_from[1]) == {"pair-00", "pair-01", GLOBAL}
    kinds = [e["kind"] for e in read_jsonl(controller.log.folder.path / "events.jsonl")]
    assert kinds.count("death") == kinds.count("restart") == 1
    assert controller.state.totals.warnings == {"W201 player-died": 1}
    assert fake.closed == 1, "one executor for all attempts"


def test_a_player_that_keeps_dying_ends_the_run(tmp_path: Path) -> None:
    fake = Fake()
    controller = make(tmp_path, fake, failures={"budget": 2})
    original = fake.start

    def dying(players: Sequence[str], states: Mapping[str, bytes], epoch: int = 0) -> None:
        original(players, states)
        fake.dies = "pair-00"

    fake.start = dying  # type: ignore[method-assign]
    with pytest.raises(PlayerDied, match=r"pair-00 died \(worker killed\)"):
        controller.run()
    assert len(fake.started_from) == 3


@pytest.mark.parametrize(
    "strategy",
    [
        "sgan",
        "independent",
        {"name": "gap", "swap_every": 3},
        {"name": "pmgan"},
        {"name": "sgan", "over": {"name": "gap", "swap_every": 2}},
    ],
)
def test_a_signal_leaves_a_checkpoint_from_which_the_run_goes_on_bit_for_bit(
    tmp_path: Path, strategy: Any
) -> None:
    config = tiny_config(strategy=strategy, checkpoint={"every_steps": 12}, round_steps=1)
    setup = setup_of(config)
    expected = {
        p: digest(unpack(r)) for p, r in final_states(config, lambda: InlineExecutor(setup)).items()
    }
    folder = RunFolder.create(tmp_path, "run")
    controller = Controller(config, folder, lambda: InlineExecutor(setup), [])
    seen = []

    def stop_in_the_middle(c: Controller, done: Done) -> None:
        seen.append(done)
        if len(seen) == 9:
            c.stop(signal.SIGTERM)

    controller.listeners = [as_listener(stop_in_the_middle)]
    with pytest.raises(Interrupted) as error:
        controller.run()
    assert error.value.exit_code == 143
    checkpoint, problems = newest_valid(folder.path)
    assert checkpoint is not None
    assert not problems
    assert 0 < max(checkpoint.steps.values()) < 12
    resumed = Controller(config, folder, lambda: InlineExecutor(setup), [])
    resumed.run(checkpoint)
    final, _ = newest_valid(folder.path)
    assert final is not None
    assert {p: digest(unpack(r)) for p, r in final.parts.items()} == expected


def test_an_inline_run_equals_its_orders_alone(tmp_path: Path) -> None:
    """Scores and checkpoints are taken on the way; the weights do not know."""
    config = tiny_config()
    setup = setup_of(config)
    controller = Controller(
        config, RunFolder.create(tmp_path, "run"), lambda: InlineExecutor(setup), []
    )
    controller.run()
    final, _ = newest_valid(controller.log.folder.path)
    assert final is not None
    bare = final_states(config, lambda: InlineExecutor(setup))
    assert {p: digest(unpack(r)) for p, r in final.parts.items()} == {
        p: digest(unpack(r)) for p, r in bare.items()
    }
    assert (
        json.loads((controller.log.folder.path / "checkpoints/00000012/manifest.json").read_text())[
            "step"
        ]
        == 12
    )


class Slow(InlineExecutor):
    """A round that goes on elsewhere: `wait` comes back empty meanwhile."""

    moves = True

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.looks = 0

    def last_move(self) -> float:
        return time.monotonic() if self.moves else 0.0

    def wait(self, timeout_s: float) -> list[Done]:
        self.looks += 1
        return [] if self.looks % 10 else super().wait(timeout_s)


class Lost(Slow):
    moves = False


@pytest.mark.parametrize("kind", [Slow, Lost])
def test_a_long_round_is_waited_for_and_a_lost_order_is_not(
    kind: type[Slow], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count(step=0.3)
    monkeypatch.setattr(controller_module, "STALL_S", 1.0)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    config = tiny_config(strategy="independent", steps=2, failures={"budget": 0})
    folder = RunFolder.create(tmp_path, "run")
    controller = Controller(config, folder, lambda: kind(setup_of(config)), [], 400)
    if kind is Slow:
        controller.run()
        assert set(controller.state.done.values()) == {2}
    else:
        with pytest.raises(PlayerDied, match="no sign of life for 1 s"):
            controller.run()
