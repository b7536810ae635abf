"""GAP: who meets whom, what moves, and that nothing is lost or doubled whenever somebody dies."""

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygan.cli.telling import opponent
from raygan.config import resolve, validate
from raygan.controller.checkpoint import newest_valid
from raygan.controller.controller import Controller
from raygan.controller.inline import InlineExecutor
from raygan.controller.run_folder import RunFolder, read_jsonl
from raygan.errors import ConfigError
from raygan.gan.bundle import unpack
from raygan.gan.weights import digest
from raygan.service.verify import final_states
from raygan.strategies.base import Plan, Progress, strategy_of
from raygan.strategies.gap import Gap
from raygan.strategies.gap.couples import matching, overwrite_worst, takes_of
from raygan.strategies.meetings import is_point
from raygan.strategies.orders import Swap, Train
from tests.conftest import setup_of, stopped, tiny_config
from tests.strategies.mortal import INSTANTS, Mortal

FOUR = [f"pair-{i:02d}" for i in range(4)]


def plan(**changes: Any) -> Plan:
    values = {
        "steps": 100,
        "tempo": "lockstep",
        "round_steps": 30,
        "evaluate_every": 100,
        "checkpoint_every": 40,
    }
    return Plan(**{**values, "epoch_steps": 20.0, **changes})


# --------------------------------------------------------------------------------------------------
# matchings


@given(st.integers(1, 9), st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_matching_is_an_involution_in_which_at_most_one_sits_out(
    n: int, seed: int, step: int
) -> None:
    players = [f"pair-{i:02d}" for i in range(n)]
    takes = takes_of(matching(players, seed, step), players)
    assert all(takes[takes[p]] == p for p in players)
    assert sum(takes[p] == p for p in players) == n % 2
    assert takes == takes_of(matching(players, seed, step), players), "a function of (seed, step)"


def test_everybody_meets_everybody_equally_often() -> None:
    """Three matchings of four pairs exist; each comes up a third of the time (chi square, p >
    0.001).
    """
    counts: dict[frozenset[frozenset[str]], int] = {}
    for step in range(3000):
        key = frozenset(frozenset(c) for c in matching(FOUR, 7, step))
        counts[key] = counts.get(key, 0) + 1
    assert len(counts) == 3
    assert sum((c - 1000) ** 2 / 1000 for c in counts.values()) < 13.8


def test_the_best_overwrites_the_worst() -> None:
    takes = overwrite_worst(
        {"a": "b", "b": "a", "c": "d", "d": "c"}, {"a": 0.2, "b": 0.1, "c": 0.9, "d": 0.5}, 1
    )
    assert takes == {"a": "b", "b": "a", "c": "d", "d": "b"}, "who would take c's network takes b's"


# --------------------------------------------------------------------------------------------------
# decisions


def test_lockstep_trains_to_the_swap_point_and_then_all_meet() -> None:
    gap = Gap(swap_every=50)
    assert gap.decide(FOUR, Progress(dict.fromkeys(FOUR, 30)), plan()) == [
        Train(p, 10) for p in FOUR
    ]  # checkpoint at 40
    assert gap.decide(FOUR, Progress(dict.fromkeys(FOUR, 40)), plan()) == [
        Train(p, 10) for p in FOUR
    ]
    at = dict.fromkeys(FOUR, 50)
    assert gap.decide(FOUR[:3], Progress(at), plan()) == [], "one is still busy"
    (swap,) = gap.decide(FOUR, Progress(at), plan())
    assert isinstance(swap, Swap)
    assert sorted(swap.players) == FOUR
    assert [type(o) for o in gap.decide(FOUR, Progress(at, swapped=at), plan())] == [Train] * 4, (
        "once"
    )


def test_no_swap_before_the_warm_up_nor_at_the_end() -> None:
    gap = Gap(swap_every=25, swap_warmup=60)
    assert [
        s for s in range(101) if is_point(s, plan().steps, lambda at: gap.points(plan()).after(at))
    ] == [75]
    epochs = Gap(swap_every=0.5, unit="epochs")
    assert [
        s
        for s in range(101)
        if is_point(s, plan().steps, lambda at: epochs.points(plan()).after(at))
    ] == [
        10,
        20,
        30,
        40,
        50,
        60,
        70,
        80,
        90,
    ]


def test_async_matches_the_two_that_are_ready() -> None:
    gap, fast = Gap(swap_every=10, max_wait=5), plan(tempo="async")
    done = {"pair-00": 12, "pair-01": 11, "pair-02": 3, "pair-03": 9}
    orders = gap.decide(
        ["pair-00", "pair-01", "pair-02"], Progress(done, waited={"pair-01": 2.0}), fast
    )
    assert orders == [
        Swap(12, (("pair-01", "pair-00"), ("pair-00", "pair-01"))),
        Train("pair-02", 7),
    ]


def test_async_never_waits_longer_than_max_wait_and_counts_it() -> None:
    gap, fast = Gap(swap_every=10, max_wait=5), plan(tempo="async")
    done = {"pair-00": 12, "pair-01": 3}
    assert gap.decide(["pair-00"], Progress(done, waited={"pair-00": 4.9}), fast) == []
    assert gap.decide(["pair-00"], Progress(done, waited={"pair-00": 5.0}), fast) == [
        Train("pair-00", 18, missed=True)
    ]
    late = {"pair-00": 12, "pair-01": 100}
    assert gap.decide(["pair-00"], Progress(late, waited={"pair-00": 0.0}), fast) == [
        Train("pair-00", 18, missed=True)
    ]


def test_async_swaps_never_cross_a_checkpoint() -> None:
    """pair-00 has saved at 40, pair-01 has not: a swap would put one discriminator into both halves
    of the cut.
    """
    gap, fast = Gap(swap_every=10), plan(tempo="async")
    orders = gap.decide(["pair-00", "pair-01"], Progress({"pair-00": 40, "pair-01": 39}), fast)
    assert not any(isinstance(o, Swap) for o in orders)


# --------------------------------------------------------------------------------------------------
# what is refused


def test_bad_settings_are_one_line_each() -> None:
    with pytest.raises(ConfigError, match=r"num_pairs = 1: GAP needs two pairs"):
        strategy_of(tiny_config(strategy="gap", num_pairs=1))
    with pytest.raises(ConfigError, match=r"winner_replace = 2: at most half"):
        strategy_of(tiny_config(strategy={"name": "gap", "winner_replace": 2}))
    with pytest.raises(ConfigError, match="max_wait"):
        strategy_of(tiny_config(strategy={"name": "gap", "max_wait": -1}))
    assert Gap(swap_every=500).notes(plan())[0][0] == "W105 no-swap"
    assert Gap(swap_every=50).notes(plan()) == []


UNLIKE = [{"count": 1}, {"count": 1, "network": {"name": "mlp", "hidden": 8}}]


def test_unlike_shapes_are_refused_before_anything_starts() -> None:
    config = tiny_config(strategy="gap", pairs=UNLIKE)
    with pytest.raises(
        ConfigError, match=r"strategy.gap swaps D: D of pair-01 \(\d+ numbers\) is not of the shape"
    ):
        strategy_of(config).check_setup(setup_of(config))
    alike = tiny_config(
        strategy="gap",
        pairs=[{"count": 1}, {"count": 1, "pair": {"prior": "uniform", "lr_d": 5e-4}}],
    )
    strategy_of(alike).check_setup(setup_of(alike))


def test_pairs_must_add_up_and_know_their_settings() -> None:
    with pytest.raises(ConfigError, match="num_pairs = 2, but `pairs` has 3"):
        tiny_config(pairs=[{"count": 3}])
    with pytest.raises(ConfigError, match=r"no setting 'lr_dd'. Did you mean 'lr_d'"):
        tiny_config(pairs=[{"count": 2, "pair": {"lr_dd": 1}}])
    flags = {"pairs": [{"count": 2}, {"count": 1, "loss": "hinge"}]}
    config = resolve("ring8-sgan", flags=flags).config
    assert config.num_pairs == 3
    assert config.of("pair-02").loss == {"name": "hinge"}
    assert config.of("pair-00").loss["name"] == "dragan"
    assert validate(type(config), config.model_dump()).pairs == config.pairs


# --------------------------------------------------------------------------------------------------
# whole runs


def run(tmp_path: Path, **changes: Any) -> Controller:
    config = tiny_config(**changes)
    setup = setup_of(config)
    controller = Controller(
        config, RunFolder.create(tmp_path, "run"), lambda: InlineExecutor(setup), [], 400
    )
    controller.run()
    return controller


def swaps(controller: Controller) -> list[dict[str, Any]]:
    return [
        e for e in read_jsonl(controller.log.folder.path / "events.jsonl") if e["kind"] == "swap"
    ]


@pytest.mark.parametrize("what", ["D", "G"])
@pytest.mark.parametrize("pairs", [2, 5])
def test_networks_are_a_permutation_at_every_record(tmp_path: Path, pairs: int, what: str) -> None:
    controller = run(
        tmp_path, num_pairs=pairs, strategy={"name": "gap", "swap_every": 2, "what": what}
    )
    records = swaps(controller)
    assert len(records) == 5
    holds = {p: p for p in controller.state.players}
    for record in records:
        moved = {m["player"]: holds[m["from"]] for m in record["moves"]}
        assert {m["player"]: m["identity"] for m in record["moves"]} == moved, (
            "the record says whose network it is"
        )
        holds |= moved
        assert sorted(holds.values()) == sorted(holds)
        assert len(record["sitting"]) == pairs % 2
    final, _ = newest_valid(controller.log.folder.path)
    assert final is not None
    assert {p: unpack(r)[f"identity.{what}"] for p, r in final.parts.items()} == holds


@pytest.mark.parametrize("what", ["D", "G"])
def test_who_looks_on_is_told_whose_network_a_pair_has_after_a_resume_too(
    tmp_path: Path, what: str
) -> None:
    strategy = {"name": "gap", "swap_every": 5, "what": what}
    before = run(tmp_path, num_pairs=3, strategy=strategy)
    final, _ = newest_valid(before.log.folder.path)
    config, folder = before.state.config, RunFolder(before.log.folder.path)
    again = Controller(config, folder, lambda: InlineExecutor(setup_of(config)), [], 400)
    assert [opponent(again, p) for p in again.state.players] == ["own D"] * 3, "not begun yet"
    again.begin(final)
    told = [opponent(again, p) for p in again.state.players]
    assert told == [opponent(before, p) for p in before.state.players]
    assert told != ["own D"] * 3
    again.begin(None)
    assert [opponent(again, p) for p in again.state.players] == ["own D"] * 3, "back to the start"


def test_an_identity_matching_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = tiny_config(strategy="independent", num_pairs=3)
    gap = tiny_config(strategy={"name": "gap", "swap_every": 2}, num_pairs=3)
    expected = final_states(alone, lambda: InlineExecutor(setup_of(alone)))
    differ = final_states(gap, lambda: InlineExecutor(setup_of(gap)))
    assert digest(unpack(expected["pair-00"])) != digest(unpack(differ["pair-00"]))
    monkeypatch.setattr("raygan.strategies.gap.strategy.matching", lambda *_: [])
    same = final_states(gap, lambda: InlineExecutor(setup_of(gap)))
    assert {p: digest(unpack(r)) for p, r in same.items()} == {
        p: digest(unpack(r)) for p, r in expected.items()
    }


def test_swapping_g_or_d_differs_only_in_whose_seat_it_is() -> None:
    """Two pairs, one swap, noise and data aside: the couples that train together afterwards are the
    same.
    """
    states = {}
    for what in ("D", "G"):
        config = tiny_config(
            strategy={"name": "gap", "swap_every": 6, "what": what},
            steps=7,
            pair={"lr_g": 1e-9, "lr_d": 1e-9},
        )
        states[what] = {
            p: unpack(r)
            for p, r in final_states(config, lambda c=config: InlineExecutor(setup_of(c))).items()
        }
    d, g = states["D"]["pair-00"], states["G"]["pair-01"]
    assert (
        (d["identity.G"], d["identity.D"])
        == (g["identity.G"], g["identity.D"])
        == ("pair-00", "pair-01")
    )


OPTIONS: list[dict[str, Any]] = [
    {"swap_every": 3},
    {"swap_every": 3, "what": "G"},
    {"swap_every": 2, "carry": "weights"},
    {"swap_every": 3, "lr_smoothing": True},
    {"swap_every": 4, "winner_replace": 1},
    {"swap_every": 0.1, "unit": "epochs", "swap_warmup": 0.2},
]


@pytest.mark.parametrize("settings", OPTIONS, ids=str)
def test_rounds_change_nothing_and_neither_does_being_stopped(settings: dict[str, Any]) -> None:
    strategy = {"name": "gap", **settings}
    config = tiny_config(strategy=strategy, num_pairs=3)

    def digests(c: Any, **more: Any) -> dict[str, str]:
        states = final_states(c, lambda: InlineExecutor(setup_of(c)), samples=400, **more)
        return {p: digest(unpack(r)) for p, r in states.items()}

    expected = digests(config)
    assert digests(tiny_config(strategy=strategy, num_pairs=3, round_steps=2)) == expected
    for at in (4, 6, 7):
        memory: dict[str, Any] = {}
        stopped = final_states(
            config, lambda: InlineExecutor(setup_of(config)), stop_at=at, samples=400, memory=memory
        )
        assert digests(config, states=stopped, memory=memory) == expected
    others = [o for o in OPTIONS if o != settings]
    assert all(
        digests(tiny_config(strategy={"name": "gap", **o}, num_pairs=3)) != expected
        for o in others[:2]
    ), "options do something"


def test_whose_d_is_overwritten_does_not_hang_on_a_global_pairs_lead() -> None:
    def swapped(lead: int) -> dict[str, str]:
        over = {"name": "gap", "swap_every": 10, "winner_replace": 1}
        strategy = {"name": "sgan", "over": over, "max_lead": lead}
        config = tiny_config(
            strategy=strategy, num_pairs=4, steps=31, round_steps=31, batch_size=4,
            evaluation={"every_steps": 31}, checkpoint={"every_steps": 31},
        )  # fmt: skip
        states = final_states(config, lambda: InlineExecutor(setup_of(config)), samples=400)
        return {p: digest(unpack(r)) for p, r in states.items()}

    expected = swapped(200)
    assert [swapped(lead) for lead in (3, 7, 9)] == [expected] * 3


@pytest.mark.parametrize("after", range(1, 26, 3))
def test_a_signal_at_any_moment_keeps_the_cut_consistent(tmp_path: Path, after: int) -> None:
    config = tiny_config(strategy={"name": "gap", "swap_every": 2}, num_pairs=4, round_steps=1)
    setup = setup_of(config)
    expected = final_states(config, lambda: InlineExecutor(setup))
    controller = Controller(
        config, RunFolder.create(tmp_path, "run"), lambda: InlineExecutor(setup), [], 400
    )
    checkpoint = stopped(controller, after)
    there = [unpack(r)["identity.D"] for r in checkpoint.parts.values()]
    assert sorted(there) == FOUR  # type: ignore[type-var]
    Controller(config, controller.log.folder, lambda: InlineExecutor(setup), [], 400).run(
        checkpoint
    )
    final, _ = newest_valid(tmp_path / "run")
    assert final is not None
    assert {p: digest(unpack(r)) for p, r in final.parts.items()} == {
        p: digest(unpack(r)) for p, r in expected.items()
    }


def kill_in_every_swap(
    tmp_path: Path, steps: int, pairs: int
) -> tuple[dict[int, str], list[bool], bool, list[dict[str, Any]]]:
    """(instant of the kill in each swap, adoptions equal to their source, final bits = undisturbed,
    the journal).
    """
    config = tiny_config(
        strategy={"name": "gap", "swap_every": 1}, num_pairs=pairs, steps=steps, round_steps=1,
        batch_size=4, network={"name": "mlp", "hidden": 4, "z_dim": 2},
        data={"name": "ring", "modes": 8, "train": 60, "held_out": 20},
        evaluation={"every_steps": 10**6, "samples": 1600, "mixture": False},
        checkpoint={"every_steps": 1}, failures={"budget": 10**6},
    )  # fmt: skip
    setup = setup_of(config)
    kills: dict[int, str] = {}
    hashes: list[bool] = []
    rng = random.Random(0)
    controller = Controller(
        config,
        RunFolder.create(tmp_path, "run"),
        lambda: Mortal(setup, rng, kills, hashes),
        [],
        len(setup.data.train),
    )
    controller.run()
    final, _ = newest_valid(tmp_path / "run")
    assert final is not None
    expected = final_states(config, lambda: InlineExecutor(setup), samples=len(setup.data.train))
    same = {p: digest(unpack(r)) for p, r in final.parts.items()} == {
        p: digest(unpack(r)) for p, r in expected.items()
    }
    return kills, hashes, same, read_jsonl(tmp_path / "run/events.jsonl")


@pytest.mark.exhaustive
def test_a_death_at_any_instant_of_a_swap_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Each swap of the run is disturbed once; `python -m benchmarks swaps`: 10,000 matchings."""
    kills, hashes, same, events = kill_in_every_swap(tmp_path, 120, 5)
    assert len(kills) == 119
    assert set(kills.values()) == set(INSTANTS)
    assert hashes
    assert all(hashes), "every tensor and buffer equals its source"
    assert same, "final bits equal those of the undisturbed run"
    assert sum(e["kind"] == "death" for e in events) == 119


@pytest.mark.exhaustive
def test_async_keeps_every_discriminator(tmp_path: Path) -> None:
    controller = run(
        tmp_path, tempo="async", num_pairs=5, steps=60, strategy={"name": "gap", "swap_every": 5}
    )
    final, _ = newest_valid(tmp_path / "run")
    assert final is not None
    there = [unpack(r)["identity.D"] for r in final.parts.values()]
    assert sorted(there) == controller.state.players  # type: ignore[type-var]
    assert swaps(controller)


@given(st.integers(1, 400), st.integers(1, 60), st.integers(0, 300))
def test_a_plan_tells_as_many_swaps_as_there_are(steps: int, every: int, warmup: int) -> None:
    gap, of = Gap(swap_every=every, swap_warmup=warmup), plan(steps=steps)
    points = [i for i in range(steps + 1) if is_point(i, steps, lambda q: gap.points(of).after(q))]
    assert gap.points(of).count(of.steps) == len(points)
