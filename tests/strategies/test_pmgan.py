"""PMGAN: the judge, the slots, the balance; against the algorithm written out by hand."""

import math
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from raygan.config import Config, load_component, names
from raygan.controller.inline import InlineExecutor
from raygan.controller.worker import Shelves, host
from raygan.errors import ConfigError, NonFiniteError, RayganError
from raygan.gan.balance import beta, dual_ascent
from raygan.gan.bundle import unpack
from raygan.gan.random_streams import Streams
from raygan.gan.types import State
from raygan.gan.weights import Publication, digest, flatten
from raygan.losses.base import one_with_one
from raygan.service.verify import final_states
from raygan.strategies.base import Plan, Progress, strategy_of
from raygan.strategies.orders import Train
from raygan.strategies.pmgan.generator import Generator
from raygan.strategies.pmgan.judge import Judge
from raygan.strategies.pmgan.networks import OwnStatistics, RealOrNot, WhichOne
from raygan.strategies.pmgan.slots import check_slot, share_of, slot_of, write_slot
from raygan.strategies.roles import JUDGE
from tests.conftest import setup_of, tiny_config

SMALL: dict[str, Any] = {"strategy": {"name": "pmgan"}, "loss": "reverse_kl", "num_pairs": 3}


OWN_LOSS = """
from raygan.losses.non_saturating import NonSaturating
class Both(NonSaturating):
    def d_loss(self, real, fake):
        return (fake - real).exp().mean()
class Near(NonSaturating):
    def penalty(self, d, real, fake, generator, at=None):
        return (d(real) - d(fake)).square().mean()
"""


@pytest.mark.parametrize("loss", ["wgan_gp", "dragan", "Both", "Near"])
@pytest.mark.parametrize("statistics", ["own", "mixture"])
def test_shares_that_do_not_divide_the_batch_meet_as_many_real_samples(
    loss: str, statistics: str, tmp_path: Path
) -> None:
    (tmp_path / "own.py").write_text(OWN_LOSS)
    name = loss if loss.islower() else f"{tmp_path / 'own.py'}:{loss}"
    strategy = {"name": "pmgan", "statistics": statistics}
    config = tiny_config(strategy=strategy, loss=name, num_pairs=3, steps=2, batch_size=16)
    states = final_states(config, lambda: InlineExecutor(setup_of(config)))
    assert unpack(states[JUDGE])["bad_steps"] == 0


def test_only_a_loss_that_takes_samples_in_twos_gets_more_real_ones() -> None:
    found = {n: one_with_one(load_component("loss", {"name": n})) for n in names("loss")}
    assert {n for n, even in found.items() if even} == {"r3gan", "relativistic", "wgan_gp"}


def digests(**changes: Any) -> dict[str, str]:
    config = tiny_config(**{**SMALL, **changes})
    return {
        p: digest(unpack(r))
        for p, r in final_states(config, lambda: InlineExecutor(setup_of(config))).items()
    }


# -------------------------------------------------------------------------------------------------
# the algorithm


def test_lockstep_is_the_algorithm_written_out() -> None:
    """Two iterations by hand: D on the mixture, C, beta of eq. 3-4, G_k on g_loss + beta_k CE."""
    config = tiny_config(
        **{**SMALL, "steps": 2, "evaluation": {"every_steps": 2}, "checkpoint": {"every_steps": 2}}
    )
    setup = setup_of(config)
    found = {p: unpack(r) for p, r in final_states(config, lambda: InlineExecutor(setup)).items()}
    names = ["gen-00", "gen-01", "gen-02"]
    parts = {n: setup.parts(n) for n in [*names, JUDGE]}
    d, c = parts[JUDGE].discriminator, setup.classifier(JUDGE, 3)
    adam = {
        n: torch.optim.Adam(m.parameters(), 1e-3, betas=(0.5, 0.999), fused=True)
        for n, m in [("d", d), ("c", c)]
    }
    opt = {
        n: torch.optim.Adam(parts[n].generator.parameters(), 1e-3, betas=(0.5, 0.999), fused=True)
        for n in names
    }
    limit = math.log(0.9 / 0.1)
    for i in range(2):
        x = {}
        for n in names:
            z = torch.randn((16, 2), generator=Streams(config.seed, n).at("noise", i))
            x[n] = parts[n].generator(z)
        real = setup.data.batch(16, Streams(config.seed, JUDGE).at("data", i), torch.device("cpu"))
        mix = torch.cat([x[n][:6].detach() for n in names])
        labels = torch.tensor([0] * 6 + [1] * 6 + [2] * 6)
        adam["d"].zero_grad()
        (F.softplus(-d(real)).mean() + F.softplus(d(mix)).mean()).backward()
        adam["d"].step()
        adam["c"].zero_grad()
        F.cross_entropy(c(mix), labels).backward()
        adam["c"].step()
        with torch.no_grad():
            j_real = torch.sigmoid(d(real)).log().mean()
            j_d = np.array(
                [(j_real + (1 - torch.sigmoid(d(b))).log().mean()).item() for b in mix.split(6)]
            )
            j_c = np.array(
                [c(b).log_softmax(1)[:, k].mean().item() for k, b in enumerate(mix.split(6))]
            )
        w = np.exp(j_d) / np.exp(j_d).sum()
        raw = w * np.exp(-np.clip(j_c / (1 / (1 + np.exp(-j_d))), -4, 4))
        weights = 3 * raw / raw.sum()
        for k, n in enumerate(names):
            opt[n].zero_grad()
            loss = 1 - torch.clamp(d(x[n]), max=limit).mean()
            loss = loss + float(np.float32(weights[k])) * F.cross_entropy(
                c(x[n]), torch.full((16,), k)
            )
            loss.backward()
            opt[n].step()
    for n in names:
        for key, value in parts[n].generator.state_dict().items():
            ours = found[n][f"g.{key}"]
            assert torch.allclose(ours, value, atol=1e-6), (n, key)  # type: ignore[arg-type]
    for key, value in d.state_dict().items():
        assert torch.allclose(found[JUDGE][f"d.{key}"], value, atol=1e-6)  # type: ignore[arg-type]
    for key, value in c.state_dict().items():
        assert torch.allclose(found[JUDGE][f"c.{key}"], value, atol=1e-6)  # type: ignore[arg-type]


UNLIKE_LOSSES = [{"count": 2}, {"count": 1, "loss": "least_squares"}]


@pytest.mark.parametrize(
    "changes",
    [{}, {"num_pairs": 3, "pairs": UNLIKE_LOSSES}, {"pair": {"input_noise": 0.5}}],
    ids=str,
)
def test_both_feedbacks_give_the_same_generators(changes: dict[str, Any]) -> None:
    """d loss / d samples through G's graph is the gradient that D's and C's weights would have
    given.
    """
    a = tiny_config(**{**SMALL, **changes})
    b = tiny_config(**{**SMALL, **changes, "strategy": {"name": "pmgan", "feedback": "gradients"}})

    def states(config: Config) -> dict[str, State]:
        return {
            p: unpack(r)
            for p, r in final_states(config, lambda: InlineExecutor(setup_of(config))).items()
        }

    one, two = states(a), states(b)
    for p, state in one.items():
        for key, value in state.items():
            if isinstance(value, Tensor) and key.startswith("g."):
                theirs = two[p][key]
                assert torch.allclose(value, theirs, atol=1e-6), (p, key)  # type: ignore[arg-type]


@pytest.mark.parametrize("feedback", ["weights", "gradients"])
def test_whatever_d_is_asked_of_it_sees_under_the_noise_that_it_was_trained_with(
    feedback: str,
) -> None:
    """In its own steps, for J^D, and for the generators; C sees samples as they are."""
    strategy = {"name": "pmgan", "feedback": feedback}
    config = tiny_config(**{**SMALL, "strategy": strategy, "pair": {"input_noise": 1000.0}})
    setup, board, pmgan = setup_of(config), Shelves(), strategy_of(config)
    players = {p: pmgan.build(p, setup) for p in pmgan.players(config)}
    of_d, of_c = list[float](), list[float]()
    for player in players.values():
        assert isinstance(player, Judge | Generator)
        player.open(board)
        for network, seen in ((player.d, of_d), (player.c, of_c)):
            network.register_forward_pre_hook(
                lambda _, x, seen=seen: seen.append(x[0].detach().std().item())
            )
    for _ in range(2):
        for name in [JUDGE, *pmgan.locals(config)]:
            players[name].train(1, board)
    assert min(of_d) > 100
    assert max(of_c) < 100


def test_noise_of_one_generator_s_own_is_refused() -> None:
    pairs = [{"count": 2}, {"count": 1, "pair": {"input_noise": 0.3}}]
    for over in ({"name": "pmgan"}, {"name": "sgan", "over": {"name": "pmgan"}}):
        config = tiny_config(strategy=over, num_pairs=3, pairs=pairs)
        with pytest.raises(ConfigError, match=r"pairs.pair.input_noise = 0.3: changes nothing"):
            strategy_of(config).check_new(config)


VARIANTS: list[dict[str, Any]] = [
    {},
    {"feedback": "gradients"},
    {"balance": "paper"},
    {"balance": "constant", "diversity": -1.0},
    {"balance": "learned"},
    {"balance": "off"},
    {"decay": 0.1},
    {"classes": 5},
    {"publish": "bfloat16"},
    {"publish": "float16", "generator_batch": "share"},
    {"publish": "bfloat16", "generator_batch": "share", "feedback": "gradients"},
]


@pytest.mark.parametrize("settings", VARIANTS, ids=str)
def test_stopped_and_resumed_equals_never_stopped(settings: dict[str, Any]) -> None:
    config = tiny_config(**{**SMALL, "strategy": {"name": "pmgan", **settings}})
    make = lambda: InlineExecutor(setup_of(config))  # noqa: E731
    expected = {p: digest(unpack(r)) for p, r in final_states(config, make).items()}
    for at in (1, 5):
        states = final_states(config, make, stop_at=at)
        again = final_states(config, make, states=states)
        assert {p: digest(unpack(r)) for p, r in again.items()} == expected


def test_batch_norm_survives_the_slot_being_written_again() -> None:
    changes = {
        "data": {"name": "mnist", "limit": 200},
        "network": {"name": "dcgan", "width": 4, "z_dim": 4},
        "steps": 3,
    }
    config = tiny_config(**{**SMALL, **changes, "evaluation": {"every_steps": 3}})
    make = lambda: InlineExecutor(setup_of(config))  # noqa: E731
    expected = {p: digest(unpack(r)) for p, r in final_states(config, make).items()}
    again = final_states(config, make, states=final_states(config, make, stop_at=1))
    assert {p: digest(unpack(r)) for p, r in again.items()} == expected


def test_a_generators_own_step_may_take_its_share_of_the_batch() -> None:
    """As in MGAN: 16 samples for 3 generators are 6 each, for its own step and in its slot."""
    config = tiny_config(**{**SMALL, "strategy": {"name": "pmgan", "generator_batch": "share"}})
    strategy, board = strategy_of(config), Shelves()
    generator = strategy.build("gen-00", setup_of(config))
    generator.open(board)
    shelf = slot_of("gen-00")
    assert isinstance(generator, Generator)
    assert generator.samples is not None
    assert len(generator.samples) == 6
    assert len(board.newest([shelf])[shelf].arrays["samples"]) == 6


IMAGES: dict[str, Any] = {
    **SMALL,
    "data": {"name": "mnist", "limit": 200},
    "network": {"name": "dcgan", "width": 4, "z_dim": 4},
    "steps": 2,
    "evaluation": {"every_steps": 2},
    "checkpoint": {"every_steps": 2},
}


def test_the_judge_normalises_each_generators_batch_as_the_generator_will() -> None:
    """Batch norm's statistics in D are those of one generator's samples, where D learns and where
    it is asked.
    """
    config = tiny_config(**IMAGES)
    strategy, board = strategy_of(config), Shelves()
    judge = strategy.build(JUDGE, setup_of(config))
    assert isinstance(judge, Judge)
    met: list[Tensor] = []
    judge.d.register_forward_hook(lambda _module, inputs, _out: met.append(inputs[0].detach()))
    for name in strategy.locals(config):
        strategy.build(name, setup_of(config)).open(board)
    judge.train(1, board)
    slots = [
        torch.tensor(slot.arrays["samples"][:6])
        for slot in board.newest([slot_of(g) for g in judge.inbox.members]).values()
    ]
    alone = [x for x in met if any(len(x) == len(s) and torch.equal(x, s) for s in slots)]
    assert len(alone) >= 2 * len(slots), (
        "in D's step and in J^D, each generator's samples by themselves"
    )
    assert max(len(x) for x in met) == 6, "and real samples in parts of the same size"


@pytest.mark.parametrize("members", [3, 5, 7, 9])
def test_no_part_of_a_batch_is_one_sample(members: int) -> None:
    """Batch norm has no statistics of one: 64 real samples by 9 are seven parts and a rest of 1."""
    share = share_of(64, members)
    net = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.BatchNorm1d(4))
    sizes: list[int] = []
    net.register_forward_hook(lambda _module, inputs, _out: sizes.append(len(inputs[0])))
    out = OwnStatistics(net, [share] * members)(torch.randn(64, 2))
    assert len(out) == sum(sizes) == 64
    assert min(sizes) > 1


def test_without_batch_norm_there_are_no_statistics_to_share() -> None:
    of = lambda **s: digests(strategy={"name": "pmgan", **s})[JUDGE]  # noqa: E731
    assert of() == of(statistics="mixture")
    images = lambda **s: digests(  # noqa: E731
        **{**IMAGES, "strategy": {"name": "pmgan", **s}}
    )[JUDGE]
    assert images() != images(statistics="mixture")


def test_settings_do_something() -> None:
    found = [
        digests(strategy={"name": "pmgan", **s})["gen-00"] for s in VARIANTS if "feedback" not in s
    ]
    assert len(set(found)) == len(found)


# --------------------------------------------------------------------------------------------------
# the balance


def test_the_three_intuitions_of_section_3_2() -> None:
    base = beta(np.array([-1.4, -1.4]), np.array([-1.0, -1.0]))
    assert base == pytest.approx([1.0, 1.0]), "1. alike in everything: nothing to change"
    near, far = -1.5, -0.5  # J^D: low = near the data
    overlapping = beta(np.array([near, near]), np.array([-2.0, -0.05]))
    assert overlapping[0] > overlapping[1], "3. near the data and in somebody's mode: beta rises"
    outward = beta(np.array([far, near]), np.array([-0.01, -1.0]))
    assert outward[0] < outward[1], "2. far from the data, without overlap: beta falls"


@given(
    st.lists(st.floats(-200, 0), min_size=1, max_size=6),
    st.sampled_from(["bounded", "paper", "constant", "learned", "off"]),
    st.floats(-5, 5),
)
def test_beta_is_finite_whatever_the_judge_says(
    j: list[float], balance: Any, diversity: float
) -> None:
    values = np.array(j)
    held = dual_ascent(np.ones(len(values)), values, 0.05, 0.5) if balance == "learned" else None
    out = beta(values, values[::-1], balance, diversity, multipliers=held)
    assert np.isfinite(out).all()
    assert (out >= 0).all()


@given(
    st.lists(st.floats(-200, 0), min_size=1, max_size=6),
    st.floats(0, 0.9),
    st.floats(0.001, 1),
)
def test_a_multiplier_rises_where_overlap_is_above_its_target_and_falls_below(
    j_c: list[float], target: float, rate: float
) -> None:
    overlap, before = 1 - np.exp(np.array(j_c)), np.full(len(j_c), 5.0)
    after = dual_ascent(before, np.array(j_c), target, rate)
    assert np.sign(after - before).tolist() == pytest.approx(
        np.sign(overlap - target).tolist()
    ) or (np.abs(overlap - target).min() * rate < 1e-14)


def test_competition_ends_where_modes_are_divided() -> None:
    multipliers = np.ones(2)
    for _ in range(1000):
        multipliers = dual_ascent(multipliers, np.log([0.999, 0.7]), 0.05, 0.05)
    assert multipliers.tolist() == [0.0, 10.0]


def test_lambda_moves_the_mean_and_the_paper_cancels_it() -> None:
    j_d, j_c = np.array([-1.0, -1.3, -0.9]), np.array([-0.4, -0.8, -0.2])
    for diversity in (-1.0, 0.0, 2.0):
        assert beta(j_d, j_c, diversity=diversity).mean() == pytest.approx(math.exp(diversity))
        assert beta(j_d, j_c, diversity=diversity, scale="1").sum() == pytest.approx(
            math.exp(diversity)
        )
    assert beta(j_d, j_c, "paper", 0.0).sum() == pytest.approx(1)
    assert beta(j_d, j_c, decay=0.01, step=100) == pytest.approx(beta(j_d, j_c) * math.exp(-1))


# --------------------------------------------------------------------------------------------------
# slots


def test_a_torn_slot_is_found() -> None:
    slot = write_slot("gen-00", 3, np.ones((4, 2), np.float32), 0.5)
    check_slot(slot)
    torn = Publication(
        slot.player, slot.version, {**slot.arrays, "samples": np.zeros((4, 2), np.float32)}
    )
    with pytest.raises(RayganError, match="torn slot"):
        check_slot(torn)
    with pytest.raises(RayganError, match="torn slot"):
        check_slot(Publication(slot.player, 4, slot.arrays))


@pytest.mark.exhaustive
def test_a_hundred_thousand_writes_against_readers() -> None:
    """0 torn, versions never go back, and the buffer stays one object large."""
    from raygan.actors.publications import Exchange

    class Deaf:
        class announce:  # noqa: N801
            @staticmethod
            def remote(*_: object) -> None: ...

    board = Exchange(Deaf(), keep_all=False)
    writes, stop = 100_000, threading.Event()
    seen: list[list[int]] = [[], []]
    failures: list[str] = []

    def read(mine: list[int]) -> None:
        last = -1
        while not stop.is_set():
            for slot in board.kept.newest([slot_of("gen-00")]).values():
                try:
                    check_slot(slot)
                except RayganError as error:
                    failures.append(str(error))
                if slot.version < last:
                    failures.append(f"version {slot.version} after {last}")
                last = slot.version
                mine.append(last)

    readers = [threading.Thread(target=read, args=(s,)) for s in seen]
    kept = set[int]()
    for r in readers:
        r.start()
    for version in range(writes):
        board.publish(write_slot("gen-00", version, np.full((8, 2), version, np.float32), 0.0))
        kept.add(len(board.kept._shelves.shelves[slot_of("gen-00")]))
    stop.set()
    for r in readers:
        r.join()
    assert failures == []
    assert all(len(set(s)) > 100 for s in seen), "readers saw the slot change"
    assert kept == {1}, "a slot takes the place of the one before"


# -------------------------------------------------------------------------------------------------
# decisions, async


def test_lockstep_takes_turns() -> None:
    strategy = strategy_of(tiny_config(**SMALL))
    plan = Plan.of(tiny_config(**SMALL), 400)
    names = ["gen-00", "gen-01", "gen-02"]
    start = dict.fromkeys([*names, JUDGE], 0)
    assert strategy.decide([*names, JUDGE], Progress(start), plan) == [Train(JUDGE, 1, 1)]
    judged = {**start, JUDGE: 1}
    assert strategy.decide([*names, JUDGE], Progress(judged), plan) == [
        Train(n, 1, 1) for n in names
    ]
    assert strategy.decide(
        ["gen-02", JUDGE], Progress({**judged, "gen-00": 1, "gen-01": 1}), plan
    ) == [Train("gen-02", 1, 1)]


def async_players(**settings: Any) -> tuple[list[Generator], Judge, Shelves]:
    config = tiny_config(**{**SMALL, "tempo": "async", "strategy": {"name": "pmgan", **settings}})
    setup, strategy, board = setup_of(config), strategy_of(config), Shelves()
    players = [strategy.build(n, setup) for n in strategy.players(config)]
    for p in players:
        p.open(board)
    *generators, judge = players
    assert isinstance(judge, Judge)
    return generators, judge, board  # type: ignore[return-value]


def test_async_generators_keep_stepping_while_the_judge_is_silent() -> None:
    generators, judge, board = async_players()
    before = flatten(judge.d).copy()
    for g in generators:
        report = g.train(10, board)
        assert g.step == 10
        assert report["wait_s"] < 0.5
        assert report["lag"] == pytest.approx(4.5), (
            "the judge has seen only the first slot: 0, 1, ... 9 steps"
        )
    report = judge.train(10, board)
    assert judge.step == 10
    assert report["updates"] == 1
    assert not np.array_equal(flatten(judge.d), before)


def test_the_judge_waits_for_all_or_for_any(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raygan.strategies.pmgan.judge.PATIENCE_S", 0.05)
    for update, expected in (("all_fresh", 1.0), ("any_fresh", 2.0)):
        generators, judge, board = async_players(judge_update=update)
        for g in generators:
            g.train(1, board)
        judge.train(1, board)
        generators[0].train(3, board)
        report = judge.train(3, board)
        assert report["updates"] == expected
        assert report["steps_done"] == 0, "it follows the slowest generator"


def test_a_generator_waits_for_the_judges_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    """However fast its machine: not for a look at its slots, of which one would do for a hundred of
    its steps.
    """
    monkeypatch.setattr("raygan.strategies.pmgan.answers.PATIENCE_S", 0.05)
    monkeypatch.setattr("raygan.strategies.pmgan.judge.PATIENCE_S", 0.05)
    generators, judge, board = async_players(max_lag=4)
    fast, *slow = generators
    assert fast.train(12, board)["steps_done"] == 4, "the round ends before its time"
    for done in range(1, 5):
        for g in slow:
            g.train(1, board)
        judge.train(1, board)
        assert judge.updates == done
        report = fast.train(12, board)
        assert (report["steps_done"], fast.step) == (1, 4 + done), "a step for each update"
        assert report["wait_s"] >= 0.05
    assert fast.train(1, board)["steps_done"] == 0


def test_one_that_is_behind_the_judge_is_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A joiner and one that comes back begin steps behind: no credit to use up at once."""
    monkeypatch.setattr("raygan.strategies.pmgan.answers.PATIENCE_S", 0.05)
    generators, judge, board = async_players(max_lag=2)
    for _ in range(6):
        for g in generators:
            g.train(1, board)
        judge.train(1, board)
    late = generators[0]
    late.step, late.answers.lead.base = 0, None
    assert late.train(12, board)["steps_done"] == 2
    late.step, late.answers.lead.base = 9, None
    assert late.train(3, board)["steps_done"] == 0, "too far ahead, and its slot is to be used yet"
    late.answers.lead.base, judge.inbox.used[late.name], judge.updates = None, 9, judge.updates + 1
    judge.publish(board, judge.updates, {})
    assert late.train(3, board)["steps_done"] == 1, (
        "too far ahead: one slot, for which the judge waits"
    )


@pytest.mark.parametrize("feedback", ["weights", "gradients"])
@pytest.mark.parametrize("lag", [1, 2, 3])
@pytest.mark.parametrize("back", [0, 1, 2, 6])
def test_a_generator_that_was_saved_before_the_judge_is_heard(
    back: int, lag: int, feedback: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In async a checkpoint takes everybody where they are: the judge may have used slots that
    their generator has lost. What that one has in its slot is new all the same.
    """
    monkeypatch.setattr("raygan.strategies.pmgan.answers.PATIENCE_S", 0.05)
    monkeypatch.setattr("raygan.strategies.pmgan.judge.PATIENCE_S", 0.05)
    generators, judge, board = async_players(max_lag=lag, feedback=feedback)
    early = generators[0].state()
    for done in range(6):
        for g in generators:
            g.train(1, board)
        judge.train(1, board)
        if done == 5 - back:
            early = generators[0].state()
    states = [early, *(g.state() for g in generators[1:]), judge.state()]
    generators, judge, board = async_players(max_lag=lag, feedback=feedback)
    for player, state in zip([*generators, judge], states, strict=True):
        player.restore(state)
        player.open(board)
    for _ in range(12):
        for g in generators:
            g.train(1, board)
        judge.train(1, board)
    assert judge.updates >= 6 + 11, "one an exchange, as before"
    assert all(g.step >= 11 for g in generators)


def test_a_judge_that_says_nothing_is_an_error_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raygan.strategies.pmgan.answers.PATIENCE_S", 0.01)
    monkeypatch.setattr("raygan.strategies.pmgan.answers.DEADLINE_S", 30.0)
    generators, _, board = async_players(max_lag=4)
    generators[0].train(5, board)
    assert generators[0].step == 4
    generators[0].answers.unanswered = 31.0
    with pytest.raises(RayganError, match="no answer of the judge within"):
        generators[0].train(5, board)


@pytest.mark.parametrize("found_by", ["check", "publish"])
@pytest.mark.parametrize("settings", [{}, {"feedback": "gradients"}, {"judge_update": "all_fresh"}])
@pytest.mark.parametrize("who", [JUDGE, "gen-00"])
def test_a_round_that_is_undone_holds_nobody_up(
    who: str, settings: dict[str, Any], found_by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """async: others have gone on by what it had published, and nobody takes up older versions."""
    for module in ("answers", "judge"):
        monkeypatch.setattr(f"raygan.strategies.pmgan.{module}.PATIENCE_S", 0.005)
        monkeypatch.setattr(f"raygan.strategies.pmgan.{module}.LOOK_S", 0.0)
    generators, judge, board = async_players(max_lag=5, **settings)
    players = {p.name: p for p in (*generators, judge)}
    bad = players[who]
    where = "check" if found_by == "check" else "publish" if who == JUDGE else "write"
    real, left = getattr(bad, where), [12 if found_by == "publish" else 1]

    def fails_once(*args: Any) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise NonFiniteError(who, "injected")
        real(*args)

    monkeypatch.setattr(bad, where, fails_once)
    undone = 0.0
    for _ in range(60):
        for player in players.values():
            if player.step < 40:
                order = Train(player.name, min(20, 40 - player.step))
                try:
                    undone += host(player, order, board, rollbacks=2).get("rollbacks", 0.0)
                except NonFiniteError:
                    assert not player.can_undo, "else it is undone"
                    return
    assert {p.step for p in players.values()} == {40}, {n: p.step for n, p in players.items()}
    assert undone == bad.can_undo


def test_bad_settings_are_one_line_each() -> None:
    with pytest.raises(ConfigError, match=r"num_pairs = 3: the classifier has 2 classes"):
        strategy_of(tiny_config(**{**SMALL, "strategy": {"name": "pmgan", "classes": 2}}))
    for bad in (float("nan"), float("inf")):
        with pytest.raises(
            ConfigError, match=r"strategy.pmgan.diversity = (NaN|Infinity): .*finite"
        ):
            strategy_of(tiny_config(**{**SMALL, "strategy": {"name": "pmgan", "diversity": bad}}))
    with pytest.raises(ConfigError, match="no discriminator that a messenger could copy"):
        strategy_of(
            tiny_config(
                strategy={"name": "sgan", "over": {"name": "pmgan", "feedback": "gradients"}}
            )
        )
    with pytest.raises(ConfigError, match="a global pair learns from locals"):
        strategy_of(tiny_config(strategy={"name": "sgan", "over": {"name": "sgan"}}))


def test_who_is_at_the_end_does_not_hold_up_the_judge() -> None:
    """Two have written their last slot: the judge goes on for the third, whose slots are the only
    fresh ones.
    """
    generators, judge, board = async_players()
    for g in generators[:2]:
        g.train(12, board)
    for _ in range(4):
        generators[2].train(3, board)
        report = judge.train(3, board)
    assert judge.step == 12
    assert report["updates"] == 4


def test_the_judge_goes_on_for_one_that_comes_back_after_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("raygan.strategies.pmgan.judge.PATIENCE_S", 0.05)
    generators, judge, board = async_players()
    late = generators.pop()
    judge.set_members([g.name for g in generators])  # it died
    for g in generators:
        g.train(12, board)
    judge.train(12, board)
    assert judge.step == 12

    config = tiny_config(**{**SMALL, "tempo": "async"})
    done = {"gen-00": 12, "gen-01": 12, "gen-02": 0, JUDGE: 12}
    orders = strategy_of(config).decide(["gen-02", JUDGE], Progress(done), Plan.of(config, 400))
    assert [(o.player, o.steps) for o in orders if isinstance(o, Train)] == [
        ("gen-02", 4),
        (JUDGE, 1),
    ]
    ended = {**done, "gen-02": 12}
    assert strategy_of(config).decide([JUDGE], Progress(ended), Plan.of(config, 400)) == []

    judge.set_members(["gen-00", "gen-01", "gen-02"])
    for steps in (1, 11):
        before = judge.updates, judge.beats
        report = judge.train(1, board)
        assert (report["updates"], judge.beats) == (before[0] + 1, before[1] + 1)
        assert report["steps_done"] == 0
        late.train(steps, board)
    assert late.step == 12


def test_a_joint_judge_is_a_classifier_of_the_generators_and_of_real() -> None:
    """MAD-GAN: D's loss on fakes plus C's adds up to the cross-entropy over K + 1 classes."""
    body = torch.nn.Linear(2, 4)  # 3 generators, and real
    d, c = RealOrNot(body), WhichOne(body)
    real, fake, labels = torch.randn(5, 2), torch.randn(6, 2), torch.tensor([0, 1, 2, 0, 1, 2])
    whole = F.cross_entropy(body(real), torch.full((5,), 3)) + F.cross_entropy(body(fake), labels)
    parts = (
        F.softplus(-d(real)).mean() + F.softplus(d(fake)).mean() + F.cross_entropy(c(fake), labels)
    )
    assert parts.item() == pytest.approx(whole.item(), rel=1e-5)


def test_a_joint_judge_trains_resumes_and_shares_one_network() -> None:
    joint = {
        "strategy": {"name": "pmgan", "joint": True, "balance": "off"},
        "loss": "non_saturating",
    }
    assert digests(**joint) == digests(**joint)
    assert digests(**joint) != digests(
        loss="non_saturating", strategy={"name": "pmgan", "balance": "off"}
    )
    config = tiny_config(**{**SMALL, **joint})
    judge = strategy_of(config).build(JUDGE, setup_of(config))
    assert isinstance(judge, Judge)
    assert [id(p) for p in judge.d.parameters()] == [id(p) for p in judge.c.parameters()]
    assert judge.opt_c is judge.opt_d
