"""A population: what is drawn, who is copied, that the journal says all of it, and that deaths and
stops change no bit.
"""

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from raygan.config import Config, PairConfig, resolve
from raygan.controller.checkpoint import newest_valid
from raygan.controller.controller import Controller
from raygan.controller.history import read_journal
from raygan.controller.inline import InlineExecutor
from raygan.controller.run_folder import RunFolder, read_jsonl
from raygan.controller.storage import LocalStorage
from raygan.errors import ConfigError
from raygan.gan.bundle import unpack
from raygan.gan.weights import digest
from raygan.metrics.nearness import distance
from raygan.service.runs.lineage import replay
from raygan.service.runs.run import Run
from raygan.service.training import train
from raygan.service.verify import final_states, verify_config
from raygan.strategies.base import Plan, Progress, strategy_of
from raygan.strategies.batching.alike import why_not
from raygan.strategies.orders import Swap, Train
from raygan.strategies.population.exploring import BETAS, drawn, explored, shortened
from raygan.strategies.population.member import Member
from raygan.strategies.population.strategy import Population, takers
from tests.conftest import TINY, setup_of, stopped, tiny_config
from tests.strategies.mortal import INSTANTS, Mortal

FOUR = [f"pair-{i:02d}" for i in range(4)]
RANGES = {"lr_g": (0.1, 10.0), "lr_d": (0.01, 1.0)}
OWN = {"lr_g": 1.0, "lr_d": 1.0, "gamma": 1.0}
SMALL: dict[str, Any] = {
    "strategy": {"name": "population", "exploit_every": 3, "rank_samples": 50},
    "num_pairs": 4,
    "loss": {"name": "dragan", "weight": 0.1},
    "pair": {"ema": 0.9, "lr_decay": "linear"},
}


def small(**changes: Any) -> Config:
    return tiny_config(**{**SMALL, **changes})


def plan(**changes: Any) -> Plan:
    return Plan(**{"steps": 100, "tempo": "lockstep", "round_steps": 30, "evaluate_every": 100,
                   "checkpoint_every": 40, **changes})  # fmt: skip


def digests(config: Config, **more: Any) -> dict[str, str]:
    states = final_states(config, lambda: InlineExecutor(setup_of(config)), **more)
    return {p: digest(unpack(r)) for p, r in states.items()}


# -------------------------------------------------------------------------------------------------
# the rank


def points(*values: float) -> torch.Tensor:
    return torch.tensor(values)[:, None]


def test_the_energy_coefficient_of_a_case_that_can_be_done_by_hand() -> None:
    x, y = points(0.0, 2.0), points(3.0, 3.0)
    # between: (3 + 1) / 2; within x: (0 + 2 + 2 + 0) / 4; within y: 0
    assert distance(x, y, "energy") == pytest.approx((2 * 2 - 1) / (2 * 2))
    assert distance(y, x, "energy") == pytest.approx(0.75)
    assert distance(100 * x, 100 * y, "energy") == pytest.approx(0.75), "of no unit"
    assert distance(x, x, "energy") == pytest.approx(0.0)
    assert distance(y, y, "energy") == 0.0, "all are one point"


@pytest.mark.parametrize("by", ["energy", "neighbours"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_samples_that_are_not_finite_are_infinitely_far(by: Any, bad: float) -> None:
    assert distance(points(bad, 1.0), points(0.0, 1.0), by) == math.inf


@pytest.mark.parametrize("count", [511, 512, 1025])
def test_a_distance_does_not_depend_on_how_it_is_cut(count: int) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(count, 2, 3)), rng.normal(0.3, size=(700, 2, 3))
    flat = [a.reshape(len(a), -1) for a in (x, y)]

    def mean(a: Any, b: Any) -> float:
        return float(np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1)).mean())

    between = 2 * mean(*flat)
    expected = (between - mean(flat[0], flat[0]) - mean(flat[1], flat[1])) / between
    assert distance(torch.tensor(x), torch.tensor(y), "energy") == pytest.approx(expected, rel=1e-9)


def ring(good: float, modes: int, seed: int) -> torch.Tensor:
    """1,000 points: so many modes of 8, a share `good` at them, the others between neighbours."""
    rng = np.random.default_rng(seed)
    which, way = rng.integers(modes, size=1000), rng.random((1000, 1)) ** 3
    means = np.stack([f(2 * np.pi * np.arange(9) / 8) for f in (np.cos, np.sin)], 1)
    between = means[which] + way * (means[which + 1] - means[which])
    at = np.where(rng.random((1000, 1)) < good, means[which], between)
    return torch.from_numpy(at + rng.normal(scale=0.01, size=(1000, 2)))


def test_neighbours_see_what_lies_between_modes_where_energy_does_not() -> None:
    def wrong(by: Any, worse: tuple[float, int], better: tuple[float, int]) -> int:
        return sum(
            distance(ring(*worse, 3 * s), real, by) <= distance(ring(*better, 3 * s + 1), real, by)
            for s in range(20)
            for real in [ring(1.0, 8, 3 * s + 2)]
        )

    assert wrong("neighbours", (0.65, 8), (0.85, 8)) == 0
    assert wrong("neighbours", (0.9, 7), (0.9, 8)) == 0
    assert wrong("energy", (0.65, 8), (0.85, 8)) > 2, "then the default could be energy"


def test_far_off_energy_still_ranks() -> None:
    real = ring(1.0, 8, 0)
    near, far = (distance(real + shift, real, "neighbours") for shift in (20.0, 40.0))
    assert 2.5 < near < far <= 3


def test_the_worst_take_the_best_ones_pairs() -> None:
    own = {p: {"distance": e} for p, e in zip(FOUR, (0.3, 0.1, 0.4, 0.2), strict=True)}
    assert takers(own, FOUR, 0) == {p: p for p in FOUR}
    assert takers(own, FOUR, 1) == {p: p for p in FOUR} | {"pair-02": "pair-01"}
    two = takers(own, FOUR, 2)
    assert two == {p: p for p in FOUR} | {"pair-02": "pair-01", "pair-00": "pair-03"}


def test_who_has_no_rank_is_worst_and_gives_nothing_away() -> None:
    own = {"pair-00": {"distance": 5.0}, "pair-01": {}, "pair-02": {"distance": 1.0}}
    assert takers(own, FOUR, 1)["pair-03"] == "pair-02", "one that has said nothing yet"
    assert takers({}, FOUR, 2) == {p: p for p in FOUR}


# -------------------------------------------------------------------------------------------------
# settings


def test_settings_are_log_uniform_over_their_range() -> None:
    found = [drawn(RANGES, seed, p) for seed in range(500) for p in FOUR]
    for name, (low, high) in RANGES.items():
        values = np.array([f[name] for f in found])
        share = np.log(values / low) / np.log(high / low)
        assert kstest(share, "uniform").pvalue > 1e-3
    assert drawn(RANGES, 3, "pair-01") == drawn(RANGES, 3, "pair-01")
    assert drawn(RANGES, 3, "pair-01") != drawn(RANGES, 3, "pair-02")


@given(st.integers(0, 10**6), st.floats(0.1, 10), st.floats(1, 9), st.floats(0, 1))
def test_explored_settings_stay_in_their_range(
    seed: int, value: float, factor: float, resample: float
) -> None:
    at = (seed, "pair-00", 7)
    found = explored({"lr_g": value, "lr_d": 0.5}, RANGES, factor, resample, at)
    assert all(low <= found[n] <= high for n, (low, high) in RANGES.items())
    assert found == explored({"lr_g": value, "lr_d": 0.5}, RANGES, factor, resample, at)


def test_explored_settings_are_perturbed_or_drawn_anew_as_often_as_said() -> None:
    wide = {"lr_g": (1e-9, 1e9)}
    found = [
        explored({"lr_g": 1.0}, wide, 1.25, 0.25, (0, "pair-00", s))["lr_g"] for s in range(4000)
    ]
    up, down = sum(v == 1.25 for v in found), sum(v == 0.8 for v in found)
    assert abs(up - 1500) < 120
    assert abs(down - 1500) < 120
    assert up + down + sum(v not in (1.25, 0.8) for v in found) == 4000


@pytest.mark.parametrize("name", ["lr_g", "lr_d", "gamma", "beta1", "beta2"])
def test_a_members_share_is_what_the_configured_value_would_be(name: str) -> None:
    """A share of 2 of a setting = a plain pair with twice that setting, bit for bit."""
    pinned = {k: [1, 1] for k in OWN} | {name: [2, 2]}
    one = small(strategy={**SMALL["strategy"], "exploit_share": 0, **pinned})
    doubled: dict[str, Any] = {"pair": {**TINY["pair"], **SMALL["pair"]}, "loss": SMALL["loss"]}
    if name == "gamma":
        doubled["loss"] = {"name": "dragan", "weight": 0.2}
    elif name in BETAS:
        doubled["pair"] = {**doubled["pair"], name: shortened(getattr(PairConfig(), name), 2.0)}
    else:
        doubled["pair"] = {**doubled["pair"], name: 2e-3}
    other = small(strategy="independent", **doubled)
    ours, plain = (final_states(c, lambda c=c: InlineExecutor(setup_of(c))) for c in (one, other))
    for player, raw in plain.items():
        expected, found = unpack(raw), unpack(ours[player])
        assert digest(expected) == digest({k: found[k] for k in expected})


def test_betas_are_drawn_where_they_are_asked_for_alone() -> None:
    plain, asked = (
        Population(**more).ranges for more in ({}, {"beta2": (0.1, 10.0)})
    )  # fmt: skip
    assert set(plain) == {"lr_g", "lr_d", "gamma"}
    assert set(asked) == {*plain, "beta2"}
    for player in FOUR:
        # what is drawn for the others does not move
        assert drawn(plain, 0, player).items() <= drawn(asked, 0, player).items()


@pytest.mark.parametrize("schedule", [{}, {"beta2": 0.9}], ids=["constant", "scheduled"])
def test_members_of_unlike_betas_train_together_as_they_do_alone(
    schedule: dict[str, float],
) -> None:
    strategy = {**SMALL["strategy"], "beta1": [0.5, 1.5], "beta2": [0.1, 10]}
    pair = {**TINY["pair"], "ema": 0.9, "schedule": schedule}
    together, alone = (
        final_states(config, lambda c=config: InlineExecutor(setup_of(c)))
        for n in (4, 1)
        for config in [small(strategy=strategy, pair=pair, resources={"pairs_per_actor": n})]
    )
    for player, raw in alone.items():
        expected, found = unpack(raw), unpack(together[player])
        assert {k: v for k, v in found.items() if k.startswith("own.")} == {
            k: v for k, v in expected.items() if k.startswith("own.")
        }
        for key in (k for k in expected if k.startswith(("d.", "g."))):
            torch.testing.assert_close(found[key], expected[key], rtol=1e-3, atol=1e-5)


def test_members_with_unlike_settings_are_one_batched_model() -> None:
    config = small()
    setup = setup_of(config)
    members = [strategy_of(config).build(p, setup) for p in FOUR]
    assert why_not(members) is None
    assert all(isinstance(m, Member) for m in members)
    assert len({m.settings["lr_g"] for m in members if isinstance(m, Member)}) == 4


# -------------------------------------------------------------------------------------------------
# decisions


def test_all_meet_at_an_exploit_and_go_on_after_it() -> None:
    population = Population(exploit_every=50)
    assert population.decide(FOUR, Progress(dict.fromkeys(FOUR, 40)), plan()) == [
        Train(p, 10) for p in FOUR
    ]
    at = dict.fromkeys(FOUR, 50)
    own = {p: {"distance": float(i), **OWN} for i, p in enumerate(FOUR)}
    assert population.decide(FOUR[:3], Progress(at, own=own), plan()) == [], "one is still busy"
    (swap,) = population.decide(FOUR, Progress(at, own=own), plan())
    assert isinstance(swap, Swap)
    assert swap.moves == {"pair-03": "pair-00"}
    assert swap.what == "pair"
    assert set(swap.settings_of("pair-03")) == set(OWN)
    assert swap.settings_of("pair-00") == {}, "the better ones keep their own"
    after = population.decide(FOUR, Progress(at, swapped=at, own=own), plan())
    assert after == [Train(p, 10) for p in FOUR], "once"
    end = dict.fromkeys(FOUR, 100)
    assert population.decide(FOUR, Progress(end, own=own), plan()) == [], "nobody trains after it"


def test_no_exploit_before_the_warm_up() -> None:
    late = Population(exploit_every=20, exploit_warmup=50)
    assert [s for s in range(101) if s and late.points.after(s - 1) == s] == [60, 80, 100]
    assert late.notes(plan()) == []
    assert late.notes(plan(steps=60))[0][0] == "W105 no-swap"
    (line,) = late.traffic(setup_of(small(steps=100)))
    assert line.endswith("every 20 updates from 60 on, 2 in all")
    assert late.shortened(10).points.after(0) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_pairs": 1}, r"num_pairs = 1: a population needs two pairs"),
        ({"tempo": "async"}, r"ranks all pairs at one step. Use --tempo lockstep"),
        ({"strategy": {"name": "population", "lr_g": [3, 1]}}, r"population.lr_g = \[3, 1\]: a r"),
        ({"strategy": {"name": "population", "gamma": [0, 1]}}, r"population.gamma = \[0, 1\]"),
        ({"strategy": {"name": "population", "exploit_share": 0.6}}, "exploit_share"),
        ({"data": {"name": "ring", "partition": "clusters"}}, r"partition = clusters: pairs on un"),
    ],
)
def test_bad_settings_are_one_line_each(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        strategy_of(small(**changes))
    assert "\n" not in str(error.value)


def test_unlike_shapes_are_refused_before_anything_starts() -> None:
    config = small(pairs=[{"count": 2}, {"count": 2, "network": {"name": "mlp", "hidden": 8}}])
    with pytest.raises(ConfigError, match=r"strategy.population copies pairs: D of pair-02"):
        strategy_of(config).check_setup(setup_of(config))


def test_a_period_longer_than_the_run_is_told() -> None:
    assert Population(exploit_every=100).notes(plan())[0][0] == "W105 no-swap"
    assert Population(exploit_every=50).notes(plan()) == []
    assert Population(exploit_every=100, exploit_share=0).notes(plan()) == []


# -------------------------------------------------------------------------------------------------
# whole runs


def controlled(path: Path, config: Config, executor: Callable[[], Any] | None = None) -> Controller:
    setup = setup_of(config)
    made = executor or (lambda: InlineExecutor(setup))
    return Controller(config, RunFolder.create(path, "run"), made, [], 400)


def final(path: Path) -> dict[str, Any]:
    checkpoint, _ = newest_valid(path / "run")
    assert checkpoint is not None
    return {p: unpack(raw) for p, raw in checkpoint.parts.items()}


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_rank_leaves_frozen_layers_frozen(ema: float) -> None:
    config = small(pair={"ema": ema})
    member = strategy_of(config).build("pair-00", setup_of(config))
    assert isinstance(member, Member)
    next(iter(member.average.children())).eval()
    modes = [layer.training for layer in member.average.modules()]
    assert len(set(modes)) == 2
    assert math.isfinite(member.distance())
    assert [layer.training for layer in member.average.modules()] == modes


def test_the_journal_says_who_took_whose_pair_and_with_which_settings(tmp_path: Path) -> None:
    config = small(round_steps=3)
    controlled(tmp_path, config).run()
    records = read_journal(LocalStorage(tmp_path / "run")).of("swap")
    assert [r["step"] for r in records] == [3, 6, 9]
    settings = {p: drawn(Population().ranges, config.seed, p) for p in FOUR}
    born = {p: p for p in FOUR}
    rows = [r for r in read_jsonl(tmp_path / "run/metrics.jsonl") if r["kind"] == "train"]
    for record in records:
        (move,) = record["moves"]
        assert move["what"] == "pair"
        far = {r["player"]: r["own/distance"] for r in rows if r["step"] == record["step"]}
        assert move["from"] == min(FOUR, key=far.__getitem__)
        assert move["player"] == max(FOUR, key=far.__getitem__)
        assert move["identity"] == born[move["from"]]
        born[move["player"]] = move["identity"]
        settings[move["player"]] = move["settings"]
    states = final(tmp_path)
    assert {p: {k: s[f"own.{k}"] for k in OWN} for p, s in states.items()} == settings
    assert {p: s["identity.G"] for p, s in states.items()} == born
    assert {p: s["identity.D"] for p, s in states.items()} == born
    last = {r["player"]: r for r in rows}
    assert {p: {k: r[f"own/{k}"] for k in OWN} for p, r in last.items()} == settings, "shown too"
    found = replay("run", strategy_of(config).roles(config), records, dict.fromkeys(FOUR, 9))
    assert found.generators == {p: frozenset({f"run/{i}"}) for p, i in born.items()}
    assert found.discriminators == found.generators, "a D has met what its copies' G descend from"


@pytest.mark.parametrize("packed", [1, 2])
@pytest.mark.parametrize(
    "settings",
    [{}, {"exploit_share": 0.5, "resample": 1}, {"exploit_every": 2, "exploit_warmup": 5}],
    ids=str,
)
def test_rounds_change_nothing_and_neither_does_being_stopped(
    settings: dict[str, Any], packed: int
) -> None:
    strategy = {**SMALL["strategy"], **settings}
    resources = {"pairs_per_actor": packed, "batched": packed > 1}
    config = small(strategy=strategy, resources=resources)
    expected = digests(config)
    assert digests(small(strategy=strategy, resources=resources, round_steps=2)) == expected
    for at in (3, 4, 6, 10):
        memory: dict[str, Any] = {}
        stopped = final_states(
            config, lambda: InlineExecutor(setup_of(config)), stop_at=at, memory=memory
        )
        assert digests(config, states=stopped, memory=memory) == expected
    other = {**strategy, "explore_factor": 3, "resample": 0}
    assert digests(small(strategy=other, resources=resources)) != expected


@pytest.mark.parametrize("after", range(1, 40, 5))
def test_a_signal_at_any_moment_changes_nothing(tmp_path: Path, after: int) -> None:
    config = small(round_steps=1)
    setup = setup_of(config)
    expected = digests(config)
    controller = controlled(tmp_path, config)
    checkpoint = stopped(controller, after)
    again = Controller(config, controller.log.folder, lambda: InlineExecutor(setup), [], 400)
    again.run(checkpoint)
    assert {p: digest(s) for p, s in final(tmp_path).items()} == expected


def test_a_death_at_any_instant_of_an_exploit_changes_nothing(tmp_path: Path) -> None:
    """Every exploit of the run is disturbed once."""
    config = small(
        strategy={**SMALL["strategy"], "exploit_every": 1, "exploit_share": 0.5,
                  "rank_samples": 20},
        steps=30, round_steps=1, batch_size=4, network={"name": "mlp", "hidden": 4, "z_dim": 2},
        evaluation={"every_steps": 10**6}, checkpoint={"every_steps": 1},
        failures={"budget": 10**6},
    )  # fmt: skip
    setup, kills, hashes, rng = setup_of(config), dict[int, str](), list[bool](), random.Random(0)
    controlled(tmp_path, config, lambda: Mortal(setup, rng, kills, hashes)).run()
    assert set(kills.values()) == set(INSTANTS)
    assert len(kills) == 29
    assert hashes
    assert all(hashes), "every tensor and buffer equals its source"
    assert {p: digest(s) for p, s in final(tmp_path).items()} == digests(config)


def test_a_member_that_cannot_train_is_overwritten_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first update of G takes the weights so far that no loss is finite afterwards."""

    def absurd(ranges: Any, seed: int, player: str) -> dict[str, float]:
        return {**OWN, "lr_g": 1e20} if player == "pair-01" else OWN

    monkeypatch.setattr("raygan.strategies.population.strategy.drawn", absurd)
    config = small(
        strategy={**SMALL["strategy"], "exploit_every": 6},
        pair={"max_bad_steps": 2, "ema": 0.9}, evaluation={"every_steps": 12},
    )  # fmt: skip
    controlled(tmp_path, config).run()
    (record,) = read_journal(LocalStorage(tmp_path / "run")).of("swap")
    assert [m["player"] for m in record["moves"]] == ["pair-01"]
    state = final(tmp_path)["pair-01"]
    assert int(state["bad_steps"]) > config.pair.max_bad_steps, "it did skip steps"
    assert int(state["bad_steps_in_a_row"]) == 0, "and trains again"
    assert all(t.isfinite().all() for t in state.values() if isinstance(t, torch.Tensor))


def test_verify_holds_for_a_population() -> None:
    results = verify_config(small(), 10, "local", inline_only=True)
    assert all(r.ok for r in results), [r.text for r in results if not r.ok]
    assert any("swaps conserve" in r.text for r in results if r.promised)


def test_best_is_the_one_nearest_to_held_out_data(tmp_path: Path) -> None:
    flags = {**TINY, **SMALL, "pair": {**TINY["pair"], **SMALL["pair"]}}
    run = train(resolve(None, flags=flags), run_dir=tmp_path, name="run", inline=True)
    far = {r["player"]: r["own/distance"] for r in run.rows if "own/distance" in r}
    assert run.best == min(far, key=far.__getitem__)
    assert Run.load(run.path).cast.named("best") == [run.best]
    run.store("best.json", {"player": "pair-03", "by": "gam2"})
    assert Run.load(run.path).best == "pair-03", "what was chosen by GAM-II goes first"
