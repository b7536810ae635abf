"""What only Ray can show: the same bits as inline, deaths, bounds, nothing left behind."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray

from raygan.actors.board import BoardActor
from raygan.actors.executor import RayExecutor
from raygan.actors.process import actor_class, answers
from raygan.actors.publications import Exchange
from raygan.controller.checkpoint import newest_valid
from raygan.controller.controller import Controller
from raygan.controller.inline import InlineExecutor
from raygan.controller.listener import as_listener
from raygan.controller.orders import Adopt, Done, Join
from raygan.controller.run_folder import RunFolder, read_jsonl
from raygan.errors import PlayerDied
from raygan.gan.bundle import unpack
from raygan.gan.weights import Publication, digest
from raygan.service.verify import compare, final_states
from raygan.strategies.orders import Swap, Train
from raygan.strategies.roles import GLOBAL, JUDGE
from tests.conftest import setup_of, tiny_config

PMGAN_2 = {"name": "pmgan", "classes": 2}
pytestmark = [pytest.mark.ray, pytest.mark.exhaustive, pytest.mark.usefixtures("ray_session")]


@pytest.mark.parametrize("home", ["own", "own, and the spares are dead", "shared", "packed"])
def test_a_killed_pair_is_noticed_and_the_run_ends_with_the_undisturbed_bits(
    tmp_path: Path, home: str
) -> None:
    """Also where pairs share weights, or are one batched model, and so share a process; dead spares
    are no help.
    """
    shared, spare = home == "shared", home.endswith("dead")
    config = tiny_config(
        steps=40, checkpoint={"every_steps": 8}, round_steps=4, evaluation={"every_steps": 40},
        resources={"spares": 2 if spare else int(shared),
                   "pairs_per_actor": 2 if home == "packed" else 1},
        strategy={"name": "sgan", "over": {"name": "independent", "share_weights": shared}},
    )  # fmt: skip
    setup = setup_of(config)
    expected = {
        p: digest(unpack(r)) for p, r in final_states(config, lambda: InlineExecutor(setup)).items()
    }
    controller = Controller(
        config, RunFolder.create(tmp_path, "run"), lambda: RayExecutor("kill", setup), []
    )
    killed, after = [], {}

    def kill_once(c: Controller, done: Done) -> None:
        pids = {
            p: where["pid"]
            for p, where in c.executor.info()["players"].items()  # type: ignore[union-attr]
        }
        if c.state.done[GLOBAL] >= 12 and not killed:
            killed.append(pids)
            for dead in (
                c.executor.workers.spares.there  # type: ignore[union-attr]
                if spare
                else []
            ):
                ray.kill(dead)
            os.kill(pids["pair-01"], signal.SIGKILL)
        elif killed and c.state.done["pair-01"] >= 32:
            after.update(pids)

    controller.listeners = [as_listener(kill_once)]
    controller.run()
    final, _ = newest_valid(tmp_path / "run")
    assert final is not None
    assert {p: digest(unpack(r)) for p, r in final.parts.items()} == expected
    events = read_jsonl(tmp_path / "run/events.jsonl")
    assert [e["kind"] for e in events if e["kind"] in ("death", "restart")] == ["death", "restart"]
    gone = {"pair-01"} if home.startswith("own") else {"pair-00", "pair-01"}
    assert {p for p in after if after[p] != killed[0][p]} == gone, "the others' processes stay"


def test_async_overlaps_and_keeps_its_bound(tmp_path: Path) -> None:
    config = tiny_config(
        steps=60,
        tempo="async",
        strategy={"name": "sgan", "max_lag": 30},
        evaluation={"every_steps": 60},
    )
    controller = Controller(
        config,
        RunFolder.create(tmp_path, "run"),
        lambda: RayExecutor("async", setup_of(config)),
        [],
    )
    controller.run()
    assert set(controller.state.done.values()) == {60}
    lags = [e["lag"] for e in read_jsonl(tmp_path / "run/events.jsonl") if e["kind"] == "pull"]
    assert lags
    assert all(0 <= lag <= 30 for lag in lags)


def test_a_finished_run_leaves_no_actor_and_no_placement_group_behind() -> None:
    from ray.util.placement_group import placement_group_table

    config = tiny_config(steps=2)
    executor = RayExecutor("leave", setup_of(config))
    executor.start(["pair-00", "pair-01", GLOBAL], {})
    pids = [p["pid"] for p in executor.info()["players"].values()]
    executor.close()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and any(
        Path(f"/proc/{pid}/cmdline").exists() and alive(pid) for pid in pids
    ):
        time.sleep(0.05)
    assert not any(alive(pid) for pid in pids)
    states = {g["state"] for g in placement_group_table().values()}
    assert states <= {"REMOVED"}


def alive(pid: int) -> bool:
    """Is an actor still in this process?"""
    try:
        return b"PlayerActor" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_actors_have_readable_names_in_one_namespace() -> None:
    config = tiny_config(steps=2)
    executor = RayExecutor("named", setup_of(config))
    executor.start(["pair-00", "pair-01", GLOBAL], {})
    try:
        assert ray.get_actor("raygan/named/pair-01", namespace="raygan") is not None
        assert ray.get_actor("raygan/named/global", namespace="raygan") is not None
    finally:
        executor.close()


def test_a_publication_outlives_the_pair_that_made_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader pulled it, so the reader owns it. Who does not answer a reader is named."""

    @ray.remote(concurrency_groups={"ctl": 1, "feed": 1})
    class Publisher:
        def __init__(self, board: Any) -> None:
            self.board = Exchange(board, keep_all=False)

        def publish(self, version: int) -> None:
            self.board.publish(
                Publication("pair-00", version, {"D": np.full(300_000, version, np.float32)})
            )

        @ray.method(concurrency_group="ctl")
        def newest(self, shelves: list[str]) -> dict[str, Publication]:
            return self.board.kept.newest(shelves)

        @ray.method(concurrency_group="feed")
        def next(self, shelf: str, after: int) -> list[Publication]:
            return self.board.kept.next(shelf, after)

    board = actor_class(BoardActor).options(num_cpus=0).remote()
    publisher = Publisher.options(num_cpus=0).remote(board)  # type: ignore[attr-defined]
    ray.get(board.register.remote({"pair-00": publisher}), timeout=60)
    reader = Exchange(board, keep_all=False)
    assert reader.newest(["pair-00"]) == {}
    assert reader.peek(["pair-00"], {}) == {}, "asked; nothing is there"
    for version in (1, 3):
        ray.get(publisher.publish.remote(version), timeout=60)
    deadline = time.monotonic() + 30
    while reader.progress(["pair-00"])["pair-00"] < 3:  # announced without waiting
        assert time.monotonic() < deadline
    assert reader.peek(["pair-00"], {}, wait_s=30)["pair-00"].version in (
        1,
        3,
    ), "it came without being asked for again"
    pulled = reader.newest(["pair-00"])["pair-00"]
    with monkeypatch.context() as m:
        m.setattr("raygan.actors.process.TIMEOUT_S", 0.1)
        with pytest.raises(PlayerDied, match=r"^pair-00 died \(no answer within 0.1 s\)"):
            answers({"pair-00/slot": publisher.next.remote("pair-00", 99)})
    ray.kill(publisher)
    assert pulled.version == 3
    assert not pulled.arrays["D"].flags.writeable, "the object store's own memory, not a copy"
    assert (pulled.arrays["D"] == 3).all()
    ray.kill(board)


def test_status_is_answered_while_a_pair_trains() -> None:
    config = tiny_config(
        steps=5000, batch_size=256, network={"name": "mlp", "hidden": 128, "z_dim": 2}
    )
    executor = RayExecutor("busy", setup_of(config))
    executor.start(["pair-00"], {})
    try:
        training = executor.workers.actors["pair-00"].train.remote([Train("pair-00", 600)])
        began = time.monotonic()
        step = ray.get(executor.workers.actors["pair-00"].where.remote("pair-00"), timeout=60)[
            "step"
        ]
        assert time.monotonic() - began < 2
        assert step < 600
        assert not ray.wait([training], timeout=0)[0], "it was still training when it answered"
        assert len(ray.get(training, timeout=60)) == 1, "and it trains to the end"
    finally:
        executor.close()


def judge_stopped(seconds: float) -> dict[str, float]:
    """PMGAN in async with its judge stopped (SIGSTOP) for so long: the generators' steps, and their
    share of waiting.
    """
    config = tiny_config(
        tempo="async", loss="reverse_kl", strategy={"name": "pmgan", "max_lag": 10**6}, num_pairs=2,
        steps=10**6, max_ahead=10**6, batch_size=128,
        network={"name": "mlp", "hidden": 128, "z_dim": 2},
    )  # fmt: skip
    executor = RayExecutor("stopped", setup_of(config))
    executor.start(["gen-00", "gen-01", JUDGE], {})
    reports: list[dict[str, float]] = []

    def play(enough: Callable[[], bool]) -> None:
        """Keep everybody busy until `enough`, at most a minute."""
        deadline = time.monotonic() + 60
        while not enough() and time.monotonic() < deadline:
            for item in executor.wait(0.5):
                assert isinstance(item.order, Train)
                if item.order.player != JUDGE:
                    reports.append(item.result)
                executor.submit(item.order)

    def after(wait_s: float) -> Callable[[], bool]:
        end = time.monotonic() + wait_s
        return lambda: time.monotonic() >= end

    try:
        pid = executor.info()["players"][JUDGE]["pid"]
        executor.submit(Train(JUDGE, 10**6))
        for name in ("gen-00", "gen-01"):
            executor.submit(Train(name, 50))
        play(lambda: len(reports) >= 8)  # both have heard the judge
        reports.clear()
        os.kill(pid, signal.SIGSTOP)
        try:
            play(after(seconds))
        finally:
            os.kill(pid, signal.SIGCONT)
        stopped = len(reports)
        lag = max(r["lag"] for r in reports)
        play(lambda: len(reports) > stopped and reports[-1]["lag"] < lag / 2)
        lag_after = reports[-1]["lag"]
    finally:
        executor.close()
    during = reports[:stopped]
    return {
        "steps": 50.0 * stopped,
        "waiting": sum(r["wait_s"] for r in during) / sum(r["seconds"] for r in during),
        "lag": lag,
        "lag_after": lag_after,
    }


def test_generators_keep_stepping_while_the_judge_is_stopped() -> None:
    """As far as they may; at a bound that they reach they wait (strategies/test_pmgan.py)."""
    found = judge_stopped(4.0)
    assert found["steps"] >= 200
    assert found["waiting"] <= 0.02
    assert found["lag"] > 50, "and the lag is seen"
    assert found["lag_after"] < found["lag"] / 2, "it catches up"


def test_a_killed_pair_inside_a_swap_on_ray_changes_nothing(tmp_path: Path) -> None:
    """SIGKILL between the first half and the record, and between the record and the second half."""
    config = tiny_config(
        steps=12,
        num_pairs=3,
        strategy={"name": "gap", "swap_every": 3},
        checkpoint={"every_steps": 3},
        evaluation={"every_steps": 12},
    )
    setup = setup_of(config)
    expected = {
        p: digest(unpack(r))
        for p, r in final_states(config, lambda: InlineExecutor(setup), samples=400).items()
    }
    killed: list[str] = []

    class Killing(RayExecutor):
        def submit(self, order: Any) -> None:
            if isinstance(order, Adopt) and order.swap.step == 6 and len(killed) == 1:
                self.kill(order.swap.players[0], "after the record")
            super().submit(order)

        def wait(self, timeout_s: float) -> list[Done]:
            if not killed and any(
                isinstance(o, Swap) for (o, *_), _ in self.calls.pending.values()
            ):
                self.kill(
                    next(
                        o for (o, *_), _ in self.calls.pending.values() if isinstance(o, Swap)
                    ).players[-1],
                    "in the first half",
                )
            return super().wait(timeout_s)

        def kill(self, player: str, when: str) -> None:
            killed.append(when)
            os.kill(
                ray.get(self.workers.actors[player].where.remote(player), timeout=60)["pid"],
                signal.SIGKILL,
            )

    controller = Controller(
        config, RunFolder.create(tmp_path, "run"), lambda: Killing("swapkill", setup), [], 400
    )
    controller.run()
    final, _ = newest_valid(tmp_path / "run")
    assert final is not None
    assert {p: digest(unpack(r)) for p, r in final.parts.items()} == expected
    assert killed == ["in the first half", "after the record"]
    assert sorted(unpack(r)["identity.D"] for r in final.parts.values()) == [
        "pair-00",
        "pair-01",
        "pair-02",
    ]  # type: ignore[type-var]


def test_generators_join_and_leave_on_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raygan.controller.membership.EVERY_S", 0.0)
    config = tiny_config(
        tempo="async", loss="reverse_kl", num_pairs=2, steps=2000, round_steps=50,
        strategy={"name": "pmgan", "classes": 3}, evaluation={"every_steps": 2000},
        checkpoint={"every_steps": 2000},
    )  # fmt: skip
    folder = RunFolder.create(tmp_path, "run")
    asked: list[int] = []

    def ask(c: Controller, done: Done) -> None:
        if (not asked and c.state.done["gen-00"] >= 50) or (
            len(asked) == 1 and c.state.done.get("gen-02", 0) >= 200
        ):
            asked.append(3 if not asked else 2)
            (folder.path / "scale.json").write_text(
                json.dumps({"id": str(len(asked)), "pairs": asked[-1]})
            )

    Controller(config, folder, lambda: RayExecutor("elastic", setup_of(config)), [ask], 400).run()
    kinds = [
        (e["kind"], e.get("player"))
        for e in read_jsonl(folder.path / "events.jsonl")
        if e["kind"] in ("join", "leave", "refused")
    ]
    late = (
        "refused",
        None,
    )  # on a busy machine the others may be at their end before the joiner's process is up
    assert kinds in ([("join", "gen-02"), ("leave", "gen-02")], [("join", "gen-02"), late])
    rows = read_jsonl(folder.path / "metrics.jsonl")
    for player in ("gen-00", "gen-01"):
        assert (
            sum(r["steps"] for r in rows if r["kind"] == "train" and r["player"] == player) == 2000
        )


def test_a_pair_leaves_its_pack_and_another_joins_while_the_rest_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two pairs an actor: whoever stays keeps its process; the joiner has one of its own until the
    next start.
    """
    monkeypatch.setattr("raygan.controller.membership.EVERY_S", 0.0)
    config = tiny_config(
        strategy={"name": "gap", "swap_every": 50}, num_pairs=4, steps=600, round_steps=25,
        evaluation={"every_steps": 600}, checkpoint={"every_steps": 600},
        resources={"pairs_per_actor": 2},
    )  # fmt: skip
    folder = RunFolder.create(tmp_path, "run")
    pids: list[dict[str, int]] = []

    def ask(c: Controller, done: Done) -> None:
        wanted = (
            3
            if not pids and min(c.state.done.values()) >= 100
            else 4
            if len(pids) == 1 and "pair-03" not in c.state.done
            else None
        )
        if wanted:
            pids.append(
                {
                    p: where["pid"]
                    for p, where in c.executor.info()["players"].items()  # type: ignore[union-attr]
                }
            )
            (folder.path / "scale.json").write_text(
                json.dumps({"id": str(wanted), "pairs": wanted})
            )
        if len(pids) == 2 and "pair-04" in c.state.done and c.state.done["pair-04"] > 400:
            pids.append(
                {
                    p: where["pid"]
                    for p, where in c.executor.info()["players"].items()  # type: ignore[union-attr]
                }
            )

    controller = Controller(
        config, folder, lambda: RayExecutor("packs", setup_of(config)), [ask], 400
    )
    controller.run()
    events = read_jsonl(folder.path / "events.jsonl")
    assert [(e["kind"], e["player"]) for e in events if e["kind"] in ("join", "leave")] == [
        ("leave", "pair-03"), ("join", "pair-04"),
    ]  # fmt: skip
    before, between, after = pids
    assert before["pair-00"] == before["pair-01"] != before["pair-02"] == before["pair-03"]
    assert between == {p: pid for p, pid in before.items() if p != "pair-03"}
    assert {p: after[p] for p in between} == between
    assert after["pair-04"] not in before.values()
    final, _ = newest_valid(folder.path)
    assert final is not None
    assert set(final.steps) == {"pair-00", "pair-01", "pair-02", "pair-04"}
    assert sorted(str(unpack(r)["identity.D"]) for r in final.parts.values())[-1] == "pair-04"


@pytest.mark.parametrize(
    ("strategy", "signum"),
    [
        ("sgan", signal.SIGSTOP),
        (PMGAN_2, signal.SIGSTOP),
        (PMGAN_2, signal.SIGKILL),
    ],  # sgan killed: see above
)
def test_a_stopped_player_is_found_by_its_lease_and_changes_nothing(
    tmp_path: Path, strategy: Any, signum: signal.Signals
) -> None:
    """Ray itself does not notice a stopped process."""
    config = tiny_config(
        strategy=strategy, steps=40, failures={"lease_s": 4.0}, checkpoint={"every_steps": 10}
    )
    setup = setup_of(config)
    controller = Controller(
        config, RunFolder.create(tmp_path, "run"), lambda: RayExecutor("lease", setup), [], 400
    )
    struck: list[int] = []
    victim = controller.state.strategy.locals(config)[1]

    def strike(c: Controller, done: Done) -> None:
        if c.state.done[victim] >= 15 and not struck:
            where = c.executor.workers.actors[victim].where  # type: ignore[union-attr]
            struck.append(ray.get(where.remote(victim))["pid"])
            os.kill(struck[0], signum)

    controller.listeners = [as_listener(strike)]
    try:
        controller.run()
    finally:
        for pid in struck:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    events = read_jsonl(tmp_path / "run/events.jsonl")
    (death,) = [e for e in events if e["kind"] == "death"]
    assert death["player"] == victim
    assert death["why"] == ("hang" if signum == signal.SIGSTOP else "death")
    if signum == signal.SIGSTOP:
        text = (tmp_path / "run" / death["stack_file"]).read_text()
        assert "state T" in text
        assert "most recent call first" in text
        assert death["stack"]
    final, problems = newest_valid(tmp_path / "run")
    assert final is not None
    assert problems == []
    inline = final_states(config, lambda: InlineExecutor(setup))
    assert compare("undisturbed", inline, final.parts).ok


def test_helpers_that_are_stopped_are_found_and_replaced(tmp_path: Path) -> None:
    """The matchmaker, the board and the evaluator, one after the other; the bits are those of an
    undisturbed run.
    """
    config = tiny_config(
        strategy={"name": "sgan", "over": {"name": "gap", "swap_every": 4}},
        steps=40,
        failures={"lease_s": 3.0},
        checkpoint={"every_steps": 10},
    )
    setup = setup_of(config)
    controller = Controller(
        config, RunFolder.create(tmp_path, "run"), lambda: RayExecutor("helpers", setup), [], 400
    )
    left = ["evaluator", "board", "matchmaker"]

    def strike(c: Controller, done: Done) -> None:
        executor = c.executor
        assert isinstance(executor, RayExecutor)
        if left and c.log.journal.epoch == 4 - len(left) and c.state.done[GLOBAL] >= 10:
            name = left.pop()
            deadline = time.monotonic() + 60
            while name not in executor.workers.places:  # the evaluator tells when it is there
                executor.pulse.beat(executor.workers.actors | executor.workers.helpers, set())
                assert time.monotonic() < deadline
                time.sleep(0.1)
            os.kill(executor.workers.places[name][1], signal.SIGSTOP)

    controller.listeners = [as_listener(strike)]
    controller.run()
    deaths = [
        (e["player"], e["why"])
        for e in read_jsonl(tmp_path / "run/events.jsonl")
        if e["kind"] == "death"
    ]
    assert deaths == [("matchmaker", "hang"), ("board", "hang"), ("evaluator", "hang")]
    final, problems = newest_valid(tmp_path / "run")
    assert final is not None
    assert problems == []
    assert compare(
        "undisturbed", final_states(config, lambda: InlineExecutor(setup)), final.parts
    ).ok


@pytest.mark.parametrize(
    ("tempo", "signum"), [("lockstep", signal.SIGSTOP), ("async", signal.SIGKILL)]
)
def test_a_deputy_that_is_stopped_or_killed_is_replaced(
    tmp_path: Path, tempo: str, signum: signal.Signals
) -> None:
    """SGAN's messengers in three processes; in lockstep the run ends with the bits of an
    undisturbed one, inline.
    """
    config = tiny_config(
        strategy={"name": "sgan", "messenger_shards": 3, "messenger_lifetime": 2}, num_pairs=4,
        steps=40, tempo=tempo, failures={"lease_s": 5.0}, checkpoint={"every_steps": 10},
        round_steps=4, resources={"pairs_per_actor": 4},
    )  # fmt: skip
    setup = setup_of(config)
    controller = Controller(
        config, RunFolder.create(tmp_path, "run"), lambda: RayExecutor("deputies", setup), [], 400
    )
    struck: list[int] = []

    def strike(c: Controller, done: Done) -> None:
        if c.state.done[GLOBAL] >= 15 and not struck:
            struck.append(c.executor.workers.places["deputy-2"][1])  # type: ignore[union-attr]
            os.kill(struck[0], signum)

    controller.listeners = [as_listener(strike)]
    controller.run()
    with pytest.raises(ProcessLookupError):
        os.kill(struck[0], 0)
    (death,) = [e for e in read_jsonl(tmp_path / "run/events.jsonl") if e["kind"] == "death"]
    assert death["player"] == "deputy-2"
    assert death["why"] == ("hang" if signum == signal.SIGSTOP else "death")
    final, problems = newest_valid(tmp_path / "run")
    assert final is not None
    assert problems == []
    assert set(final.steps.values()) == {40}
    if tempo == "lockstep":
        assert compare(
            "undisturbed", final_states(config, lambda: InlineExecutor(setup)), final.parts
        ).ok


class Slow(RayExecutor):
    """A joiner's process is up only when nobody else has anything left to do."""

    late: Join | None = None

    def submit(self, order: Any) -> None:
        if isinstance(order, Join):
            self.late = order
        else:
            super().submit(order)

    def wait(self, timeout_s: float) -> list[Done]:
        if self.late is not None and not self.calls.pending:
            super().submit(self.late)
            self.late = None
        return super().wait(timeout_s)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("strategy", ["sgan", {"name": "pmgan", "classes": 3}])
def test_in_async_a_killed_player_comes_back_while_the_others_go_on(
    tmp_path: Path, strategy: Any, late: bool
) -> None:
    config = tiny_config(
        strategy=strategy, steps=600, num_pairs=3, tempo="async", round_steps=25,
        checkpoint={"every_steps": 100}, evaluation={"every_steps": 600},
    )  # fmt: skip
    setup = setup_of(config)
    controller = Controller(
        config, RunFolder.create(tmp_path, "run"), lambda: RayExecutor("revive", setup), [], 400
    )
    struck: list[int] = []
    victim = controller.state.strategy.locals(config)[1]

    def strike(c: Controller, done: Done) -> None:
        if c.state.done.get(victim, 0) >= 150 and not struck:
            where = c.executor.workers.actors[victim].where  # type: ignore[union-attr]
            struck.append(ray.get(where.remote(victim))["pid"])
            os.kill(struck[0], signal.SIGKILL)

    if late:
        controller.make_executor = lambda: Slow("late", setup)
    controller.listeners = [as_listener(strike)]
    controller.run()
    events = read_jsonl(tmp_path / "run/events.jsonl")
    kinds = [e["kind"] for e in events]
    assert kinds.count("death") == kinds.count("revive") == 1
    assert "restart" not in kinds
    assert set(controller.state.done.values()) == {600}
    rows = [r for r in read_jsonl(tmp_path / "run/metrics.jsonl") if r["kind"] == "train"]
    for player in controller.state.players:
        steps = sum(r["steps"] for r in rows if r["player"] == player)
        assert steps == 600 if player != victim else steps > 600
    final, problems = newest_valid(tmp_path / "run")
    assert final is not None
    assert problems == []
    assert final.steps == dict.fromkeys(controller.state.players, 600)


@pytest.mark.parametrize(("strategy", "together"), [("sgan", True), ("pmgan", False)])
def test_in_async_a_killed_pack_comes_back_while_the_others_go_on(
    tmp_path: Path, strategy: str, together: bool
) -> None:
    """A generator of PMGAN has a process of its own, whatever `pairs_per_actor` is."""
    config = tiny_config(
        strategy=strategy, steps=400, num_pairs=4, tempo="async", round_steps=25,
        checkpoint={"every_steps": 100}, evaluation={"every_steps": 400},
        resources={"pairs_per_actor": 2}, **({"loss": "reverse_kl"} if strategy == "pmgan" else {}),
    )  # fmt: skip
    setup = setup_of(config)
    controller = Controller(
        config, RunFolder.create(tmp_path, "run"), lambda: RayExecutor("packs", setup), [], 400
    )
    first, second = controller.state.strategy.locals(config)[:2]
    struck, homes, back = list[int](), set[bool](), list[str]()
    steps: dict[str, int] = {}

    def watch(c: Controller, done: Done) -> None:
        actors = c.executor.workers.actors  # type: ignore[union-attr]
        if c.state.done.get(first, 0) >= 150 and not struck:
            struck.append(ray.get(actors[first].where.remote(first))["pid"])
            os.kill(struck[0], signal.SIGKILL)
        homes.add(actors[first] is actors[second])
        for player, at in c.state.done.items():
            if at < steps.get(player, 0):
                back.append(player)
            steps[player] = at

    controller.listeners = [as_listener(watch)]
    controller.run()
    kinds = [e["kind"] for e in read_jsonl(tmp_path / "run/events.jsonl")]
    assert (kinds.count("death"), kinds.count("restart")) == (1, 0)
    assert kinds.count("revive") == 1 + together
    assert set(back) <= {first, second}, "the others' steps never go back"
    assert homes == {together}, "also once they are back"
    final, problems = newest_valid(tmp_path / "run")
    assert final is not None
    assert problems == []
    assert final.steps == dict.fromkeys(controller.state.players, 400)
