"""Each kind of failure has its decision and its budget; NaN never leaves a player; in async one
comes back alone.
"""

import itertools
import json
import math
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from raygan.config import Config, FailuresConfig, full_dump
from raygan.controller.checkpoint import newest_valid
from raygan.controller.checkpoint_index import list_checkpoints
from raygan.controller.controller import Controller
from raygan.controller.failures import Failures
from raygan.controller.history import read_journal
from raygan.controller.inline import InlineExecutor
from raygan.controller.listener import Listener, as_listener
from raygan.controller.orders import Done, Join, Order
from raygan.controller.requests import file_of
from raygan.controller.run_folder import RunFolder, read_jsonl
from raygan.controller.storage import LocalStorage
from raygan.controller.worker import Shelves, host
from raygan.errors import CheckpointError, NonFiniteError, PlayerDied
from raygan.gan.bundle import unpack
from raygan.gan.pair import Pair
from raygan.gan.weights import digest
from raygan.service.verify import final_states
from raygan.strategies.base import Setup
from raygan.strategies.orders import Train
from raygan.strategies.roles import GLOBAL, JUDGE
from tests.conftest import setup_of, tiny_config


class Doomed(InlineExecutor):
    """Loses a player once it has done so many steps; `deaths` is shared by all attempts."""

    def __init__(self, setup: Setup, deaths: list[tuple[str, int, str]]) -> None:
        super().__init__(setup)
        self.deaths = deaths

    def wait(self, timeout_s: float) -> list[Done]:
        for death in self.deaths:
            player, step, kind = death
            if player in self.players and self.players[player].step >= step:
                self.deaths.remove(death)
                raise PlayerDied(player, "killed", kind)
        return super().wait(timeout_s)


class Late(Doomed):
    """Whoever joins or comes back is up when `WAITS` orders of others are done."""

    WAITS = 12

    def __init__(self, setup: Setup, deaths: list[tuple[str, int, str]]) -> None:
        super().__init__(setup, deaths)
        self.starting: list[tuple[int, Join]] = []
        self.waits = 0

    def submit(self, order: Order) -> None:
        if isinstance(order, Join):
            self.starting.append((self.waits + self.WAITS, order))
        else:
            super().submit(order)

    def remove(self, player: str) -> None:
        self.starting = [(due, o) for due, o in self.starting if o.player != player]
        super().remove(player)

    def wait(self, timeout_s: float) -> list[Done]:
        self.waits += 1
        for entry in list(self.starting):
            if self.waits >= entry[0] or not self.queue:
                self.starting.remove(entry)
                self.queue.appendleft(entry[1])
        return super().wait(timeout_s)


def run(
    tmp_path: Path, deaths: Sequence[tuple[str, int, str]], executor: type[Doomed] = Doomed,
    listeners: Sequence[Listener] = (), **changes: Any,
) -> Controller:  # fmt: skip
    config = tiny_config(**{"steps": 24, "num_pairs": 3, **changes})
    setup = setup_of(config)
    folder = RunFolder.create(tmp_path, "run")
    folder.write("config.json", json.dumps(full_dump(config)))
    left = list(deaths)
    controller = Controller(config, folder, lambda: executor(setup, left), listeners, 400)
    controller.run()
    return controller


def told(controller: Controller, *kinds: str) -> list[dict[str, Any]]:
    return [
        e for e in read_jsonl(controller.log.folder.path / "events.jsonl") if e["kind"] in kinds
    ]


def final(controller: Controller) -> dict[str, str]:
    checkpoint, problems = newest_valid(controller.log.folder.path)
    assert checkpoint is not None
    assert problems == []
    return {p: digest(unpack(raw)) for p, raw in checkpoint.parts.items()}


def undisturbed(config: Config) -> dict[str, str]:
    setup = setup_of(config)
    return {
        p: digest(unpack(r)) for p, r in final_states(config, lambda: InlineExecutor(setup)).items()
    }


# --------------------------------------------------------------------------------------------------
# decisions


def test_each_kind_has_its_own_decision_and_budget() -> None:
    failures = Failures(FailuresConfig(death="restart", oom="without", hang="stop", budget=2))
    assert failures.decide(PlayerDied("pair-00", "x", "hang"), True) == "stop"
    assert [failures.decide(PlayerDied("pair-00", "x"), True) for _ in range(3)] == [
        "restart",
        "restart",
        "stop",
    ]
    assert failures.decide(PlayerDied("pair-00", "x", "oom"), True) == "without"
    assert failures.decide(PlayerDied("global", "x", "oom"), False) == "restart", (
        "nobody can do without it"
    )
    assert failures.decide(NonFiniteError("pair-00", "nan"), False) == "stop", (
        "another attempt would end the same"
    )
    assert "number 3 of its kind" in failures.advice(PlayerDied("pair-00", "x"), "runs/a")


@pytest.mark.parametrize(
    "strategy", ["sgan", {"name": "gap", "swap_every": 3}, {"name": "pmgan", "classes": 5}]
)
def test_in_lockstep_a_death_leaves_no_trace_in_the_weights(tmp_path: Path, strategy: Any) -> None:
    member = "gen-01" if "pmgan" in str(strategy) else "pair-01"
    controller = run(
        tmp_path,
        [(member, 7, "death"), (member, 13, "oom"), (member, 14, "node")],
        strategy=strategy,
    )
    assert final(controller) == undisturbed(controller.state.config)
    assert [(e["why"], e["action"]) for e in told(controller, "death")] == [
        ("death", "restart"), ("oom", "restart"), ("node", "restart"),
    ]  # fmt: skip
    assert controller.log.journal.epoch == 4, "each restart fences off the attempt before"


def test_the_third_and_last_death_of_a_kind_stops_the_run_resumable(tmp_path: Path) -> None:
    with pytest.raises(PlayerDied, match="Next: raygan resume"):
        run(tmp_path, [("pair-01", s, "death") for s in (5, 9, 13)], failures={"budget": 2})
    checkpoint, _ = newest_valid(tmp_path / "run")
    assert checkpoint is not None
    assert checkpoint.step == 8


@pytest.mark.parametrize("strategy", ["independent", "sgan", {"name": "gap", "swap_every": 3}])
def test_the_others_go_on_without_it_from_the_last_checkpoint(
    tmp_path: Path, strategy: Any
) -> None:
    controller = run(
        tmp_path, [("pair-01", 10, "oom")], strategy=strategy, failures={"oom": "without"}
    )
    assert list(controller.state.failures.degraded) == ["pair-01"]
    assert controller.state.strategy.locals(controller.state.config) == ["pair-00", "pair-02"]
    assert [(e["kind"], e["player"]) for e in told(controller, "retire")] == [("retire", "pair-01")]
    assert set(final(controller)) == set(controller.state.players)
    assert set(controller.state.done.values()) == {24}
    if strategy == "independent":  # and nothing of that touches the others
        whole = undisturbed(tiny_config(steps=24, num_pairs=3, strategy=strategy))
        assert {p: d for p, d in whole.items() if p != "pair-01"} == final(controller)


# ------------------------------------------------------------------------------------------- one
# comes back alone


@pytest.mark.parametrize(
    "strategy",
    [
        "independent",
        {"name": "pmgan", "classes": 3},
        "sgan",
        {"name": "sgan", "over": {"name": "pmgan"}},
    ],
)
def test_in_async_one_comes_back_while_the_others_never_stop(
    tmp_path: Path, strategy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raygan.strategies.pmgan.judge.PATIENCE_S", 0.02)
    stem = "gen" if "pmgan" in str(strategy) else "pair"
    controller = run(
        tmp_path,
        [(f"{stem}-01", 11, "death")],
        strategy=strategy,
        tempo="async",
        round_steps=2,
        loss="non_saturating",
    )
    (revived,) = told(controller, "revive")
    assert revived["player"] == f"{stem}-01"
    assert revived["step"] in (4, 8)
    assert not told(controller, "restart"), "nobody else started again"
    rows = read_jsonl(controller.log.folder.path / "metrics.jsonl")
    for player in controller.state.players:
        steps = sum(r["steps"] for r in rows if r["kind"] == "train" and r["player"] == player)
        assert steps == 24 if player != f"{stem}-01" else steps > 24
    assert set(controller.state.done.values()) == {24}
    assert set(final(controller)) == set(controller.state.players)
    assert controller.state.failures.degraded == {}
    assert [
        r["kind"] for r in read_journal(LocalStorage(controller.log.folder.path)).of("revive")
    ] == ["revive"]


@pytest.mark.parametrize(
    ("pairs", "changed", "members"),
    [
        (4, [("join", "gen-03")], [0, 1, 2, 3]),
        (2, [("leave", "gen-02")], [0, 1]),
        (1, [("leave", "gen-01"), ("leave", "gen-02")], [0]),
        (5, [("join", "gen-03"), ("join", "gen-04")], [0, 1, 2, 3, 4]),
        (3, [], [0, 1, 2]),
    ],
)
@pytest.mark.parametrize(
    "again",
    [False, pytest.param(True, marks=pytest.mark.exhaustive)],
    ids=["once", "again on its way"],
)
def test_who_is_asked_for_while_somebody_is_away_waits_until_it_is_back(
    tmp_path: Path, pairs: int, changed: Any, members: list[int], again: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """`raygan scale` between a death and the return: no number is mistaken, nothing is lost."""
    monkeypatch.setattr("raygan.controller.membership.EVERY_S", 0.0)
    for part, name in itertools.product(("judge", "answers"), ("PATIENCE_S", "LOOK_S")):
        monkeypatch.setattr(f"raygan.strategies.pmgan.{part}.{name}", 1e-3)
    asked: list[str] = []

    def ask(c: Controller, done: Done) -> None:
        if c.state.away and not asked:
            assert c.state.away == {"gen-01"}
            asked.append("r1")
            request = {"verb": "scale", "id": "r1", "pairs": pairs}
            (c.log.folder.path / file_of(request)).write_text(json.dumps(request))

    controller = run(
        tmp_path, [("gen-01", 60, "death")] + [("gen-00", 70, "death")] * again, Late,
        [as_listener(ask)], strategy={"name": "pmgan", "classes": 5}, tempo="async", round_steps=2,
        steps=160, loss="non_saturating", batch_size=8, checkpoint={"every_steps": 20},
        evaluation={"every_steps": 160},
    )  # fmt: skip
    found = [
        (e["kind"], e.get("player")) for e in told(controller, "revive", "join", "leave", "scale")
    ]
    first = found.index(("revive", "gen-01"))
    assert {(k, p) for k, p in found if k in ("join", "leave")} == set(changed)
    assert all(found.index(change) > first for change in changed), "it waits for who is away"
    assert ("scale", None) in found
    assert controller.state.config.ids == tuple(members)
    assert set(controller.state.done.values()) == {160}
    assert set(final(controller)) == set(controller.state.players)


@pytest.mark.parametrize(
    ("player", "strategy"),
    [(GLOBAL, "sgan"), (JUDGE, {"name": "pmgan", "classes": 3}), ("pair-01", "gap")],
)
def test_whom_others_lean_on_takes_everybody_back(
    tmp_path: Path, player: str, strategy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raygan.strategies.pmgan.judge.PATIENCE_S", 0.02)
    controller = run(
        tmp_path, [(player, 9, "death")], strategy=strategy, tempo="async", loss="non_saturating"
    )
    assert told(controller, "restart")
    assert not told(controller, "revive")
    assert set(controller.state.done.values()) == {24}


# --------------------------------------------------------------------------------------------------
# quarantine


def poison(player: Pair, at: int, times: int, where: str) -> list[int]:
    """Make NaN in `where` at a step, so many times; returns the steps at which it happened."""
    struck: list[int] = []
    original = player.one_step

    def step(probe: Any = None) -> dict[str, float]:
        out = original(probe)
        if player.step == at and len(struck) < times:
            struck.append(player.step)
            target = {"weight": next(player.d.parameters()), "buffer": None}.get(where)
            if target is None:
                target = next(
                    t for t in player.opt_g.state[next(player.g.parameters())].values() if t.dim()
                )
            with torch.no_grad():
                target.view(-1)[0] = math.nan if where != "inf" else math.inf
        return out

    player.one_step = step  # type: ignore[method-assign]
    return struck


@pytest.mark.parametrize("where", ["weight", "optimizer", "inf"])
def test_a_round_with_nan_is_undone_and_repeated_with_other_random_numbers(where: str) -> None:
    config = tiny_config(strategy="independent")
    fresh, struck_one, clean = (
        Pair("pair-00", setup_of(config).parts("pair-00")) for _ in range(3)
    )
    host(struck_one, Train("pair-00", 12), Shelves(), 2)
    host(clean, Train("pair-00", 12), Shelves(), 2)
    before = digest(struck_one.state())
    struck = poison(struck_one, at=17, times=1, where=where)
    report = host(struck_one, Train("pair-00", 12), Shelves(), 2)
    assert struck == [17]
    assert report["rollbacks"] == 1
    assert struck_one.step == 24
    struck_one.check()
    host(clean, Train("pair-00", 12), Shelves(), 2)
    assert digest(struck_one.state()) != digest(clean.state()), (
        "the same numbers would lead there again"
    )
    fresh.restore(struck_one.state())
    assert fresh.streams.player == "pair-00~1"
    assert digest(fresh.state()) == digest(struck_one.state()) != before


def test_nan_that_comes_back_every_time_is_told_to_the_run() -> None:
    pair = Pair("pair-00", setup_of(tiny_config(strategy="independent")).parts("pair-00"))
    struck = poison(pair, at=5, times=99, where="weight")
    with pytest.raises(NonFiniteError, match="pair-00: "):
        host(pair, Train("pair-00", 12), Shelves(), 2)
    assert struck == [5, 5, 5]


@pytest.mark.parametrize("strategy", ["independent", "sgan", {"name": "gap", "swap_every": 12}])
def test_a_pair_that_cannot_be_cured_is_retired_and_nothing_of_it_spreads(
    tmp_path: Path, strategy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Pair.one_step

    def step(self: Pair, probe: Any = None) -> dict[str, float]:
        out = original(self, probe)
        if self.name == "pair-01" and self.step == 17:
            with torch.no_grad():
                next(self.d.parameters()).view(-1)[0] = math.nan
        return out

    monkeypatch.setattr(Pair, "one_step", step)
    controller = run(
        tmp_path,
        [],
        strategy=strategy,
        round_steps=12,
        checkpoint={"every_steps": 12},
        evaluation={"every_steps": 12},
    )
    assert list(controller.state.failures.degraded) == ["pair-01"]
    assert "NaN" in controller.state.failures.degraded["pair-01"]
    checkpoint, _ = newest_valid(controller.log.folder.path)
    assert checkpoint is not None
    assert set(checkpoint.parts) == set(controller.state.players)
    for raw in checkpoint.parts.values():
        for key, value in unpack(raw).items():
            assert not isinstance(value, torch.Tensor) or torch.isfinite(value.float()).all(), key


def test_the_last_pair_cannot_be_retired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(self: Pair, probe: Any = None) -> Mapping[str, float]:
        raise NonFiniteError(self.name, "loss_d=nan at step 3")

    monkeypatch.setattr(Pair, "one_step", never)
    with pytest.raises(NonFiniteError, match="pair-00: loss_d=nan at step 3 Next: raygan resume"):
        run(tmp_path, [], strategy="independent", num_pairs=1)


# --------------------------------------------------------------------------------------------------
# full disk


@pytest.mark.parametrize("last", [False, True])
def test_a_full_disk_is_told_and_costs_no_more_than_that_checkpoint(
    tmp_path: Path, last: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = LocalStorage.write

    def write(self: LocalStorage, name: str, raw: bytes) -> None:
        if ("00000024" if last else "00000012") in name:
            raise OSError(28, "No space left on device")
        original(self, name, raw)

    monkeypatch.setattr(LocalStorage, "write", write)
    if last:
        with pytest.raises(CheckpointError, match=r"No space left on device.*raygan resume"):
            run(tmp_path, [], strategy="independent", checkpoint={"keep_best": False})
    else:
        controller = run(tmp_path, [], strategy="independent", checkpoint={"keep_best": False})
        names = [e["name"] for e in told(controller, "warning") if e["name"].startswith("W2")]
        assert names == ["W203 checkpoint-not-written"]
    steps = list(list_checkpoints(tmp_path / "run"))
    assert steps == ([16, 20] if last else [20, 24])


def test_a_stopped_run_whose_disk_is_full_does_not_say_that_it_has_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = LocalStorage.write

    def write(self: LocalStorage, name: str, raw: bytes) -> None:
        if name.startswith("checkpoints/") and "00000004" not in name:
            raise OSError(28, "No space left on device")
        original(self, name, raw)

    monkeypatch.setattr(LocalStorage, "write", write)
    config = tiny_config(
        strategy="independent", steps=24, checkpoint={"every_steps": 4}, round_steps=1
    )
    setup, folder = setup_of(config), RunFolder.create(tmp_path, "run")

    def stop(controller: Controller, done: Done) -> None:
        if min(controller.state.done.values()) == 6:
            controller.stop(signal.SIGTERM)

    with pytest.raises(CheckpointError, match=r"No space left on device.*raygan resume"):
        Controller(config, folder, lambda: InlineExecutor(setup), [stop]).run()
    assert list(list_checkpoints(folder.path)) == [4]
