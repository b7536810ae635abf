"""SGAN against its paper: Algorithm 1 written out, its promises, its variants."""

import copy
import math
import threading
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch.nn.functional import softplus

from raygan.config import Config
from raygan.controller.inline import InlineExecutor
from raygan.controller.worker import Shelves
from raygan.errors import ConfigError
from raygan.gan import steps as S
from raygan.gan.bundle import unpack
from raygan.gan.optimizers import zero_grad
from raygan.gan.pair import Pair
from raygan.gan.weights import Publication, digest, flatten, whole
from raygan.service.verify import final_states
from raygan.strategies.base import Plan, Progress, strategy_of
from raygan.strategies.batching import fits
from raygan.strategies.orders import Train
from raygan.strategies.roles import GLOBAL
from raygan.strategies.sgan import opposition
from raygan.strategies.sgan.costs import sharing_of
from raygan.strategies.sgan.draws import draws, real
from raygan.strategies.sgan.global_pair import GlobalPair
from raygan.strategies.sgan.messengers import Messengers
from raygan.strategies.sgan.opponents import AtOnce, Opponent, Opponents
from raygan.strategies.sgan.payoffs import payoff_weights
from raygan.strategies.sgan.strategy import Sgan, prior_of
from tests.conftest import setup_of, tiny_config

CPU = torch.device("cpu")
R3GAN: dict[str, Any] = {
    "loss": {"name": "r3gan", "penalty_every": 3},
    "pair": {
        "beta1": 0.0,
        "lr_g": 1e-4,
        "lr_d": 1e-4,
        "schedule": {"lr": 0.1, "beta2": 0.9, "gamma": 0.1},
    },
}


def digests(config: Config, **kwargs: Any) -> dict[str, str]:
    setup = setup_of(config)
    return {
        p: digest(unpack(raw))
        for p, raw in final_states(config, lambda: InlineExecutor(setup), **kwargs).items()
    }


def test_the_global_pair_is_algorithm_1_line_by_line() -> None:
    """Three iterations with N = 2, written out from the paper with plain PyTorch: equal up to float
    rounding.
    """
    config = tiny_config(steps=3, strategy={"name": "sgan", "share_generators": "weights"})
    found = final_states(config, lambda: InlineExecutor(setup_of(config)))
    setup = setup_of(config)
    strategy = strategy_of(config)
    locals_ = {n: strategy.build(n, setup) for n in ("pair-00", "pair-01")}
    ref = strategy.build(GLOBAL, setup)
    assert isinstance(ref, GlobalPair)
    G0, D0 = ref.g, ref.d
    adam = lambda net: torch.optim.Adam(net.parameters(), lr=1e-3, betas=(0.5, 0.999))  # noqa: E731
    opt_g, opt_d = adam(G0), adam(D0)
    board = Shelves()

    def rand(use: str, purpose: str, i: int) -> torch.Generator:
        return ref.streams.at(f"{use}/{purpose}", i)

    def z(stream: torch.Generator) -> torch.Tensor:
        return torch.randn(16, 2, generator=stream)

    for i in range(3):
        for local in locals_.values():  # lines 4-13
            local.train(1, board)
        messengers = {  # line 14
            n: copy.deepcopy(p.d)  # type: ignore[attr-defined]
            for n, p in locals_.items()
        }
        for n, d in messengers.items():  # lines 15-21
            opt = adam(d)
            real = setup.data.batch(16, rand(f"messenger/{n}", "data", i), CPU)
            fake = G0(z(rand(f"messenger/{n}", "noise", i))).detach()
            opt.zero_grad()
            (softplus(-d(real)).mean() + softplus(d(fake)).mean()).backward()
            opt.step()
        opt_g.zero_grad()  # lines 22-26
        fake = G0(z(rand("g/", "noise", i)))
        sum(  # type: ignore[union-attr]
            softplus(-d(fake)).mean() for d in messengers.values()
        ).backward()
        opt_g.step()
        opt_d.zero_grad()  # lines 27-31
        for n, p in locals_.items():
            data, noise = rand(f"d/{n}", "data", i), rand(f"d/{n}", "noise", i)
            real = setup.data.batch(16, data, CPU)
            fake = p.g(z(noise)).detach()  # type: ignore[attr-defined]
            (softplus(-D0(real)).mean() + softplus(D0(fake)).mean()).backward()
        opt_d.step()
    state = unpack(found[GLOBAL])
    for prefix, net in (("g", G0), ("d", D0)):
        for key, value in net.state_dict().items():
            ours = state[f"{prefix}.{key}"]
            assert torch.allclose(value, ours, atol=1e-6), key  # type: ignore[arg-type]


VARIANTS: list[dict[str, Any]] = [
    {},
    {"variant": "simplified"},
    {"variant": "early_global"},
    {"messenger_steps": 3, "messenger_lr_scale": 2.0},
    {"messenger_optimizer": "clone"},
    {"messenger_optimizer": "persist", "messenger_lifetime": 3},
    {"messenger_lifetime": 5},
    {"opponents": "payoff", "combine": "mean"},
    {"share_generators": "weights", "global_d_steps": 2},
    {"share_generators": "samples", "messenger_lifetime": 4, "global_d_steps": 2},
]


@pytest.mark.parametrize("settings", VARIANTS)
def test_locals_never_read_the_global_pair(settings: dict[str, Any]) -> None:
    config = tiny_config(strategy={"name": "sgan", **settings})
    pairs = ["pair-00", "pair-01"]
    with_global = digests(config)
    assert digests(config, players=pairs) == {p: with_global[p] for p in pairs}


@pytest.mark.parametrize("settings", VARIANTS)
def test_rounds_and_lead_change_nothing(settings: dict[str, Any]) -> None:
    strategy = {"name": "sgan", **settings}
    assert digests(tiny_config(strategy=strategy)) == digests(
        tiny_config(strategy={**strategy, "max_lead": 1}, round_steps=2)
    )


@pytest.mark.parametrize("settings", VARIANTS)
@pytest.mark.parametrize("at", [1, 7])
def test_stopped_at_any_step_and_resumed_equals_never_stopped(
    settings: dict[str, Any], at: int
) -> None:
    strategy = {"name": "sgan", **settings}
    config = tiny_config(strategy=strategy)
    half = tiny_config(strategy=strategy, steps=at)
    stopped = final_states(half, lambda: InlineExecutor(setup_of(half)))
    assert digests(config, states=stopped) == digests(config)


@pytest.mark.parametrize(
    "changes", [{}, {"strategy": {"name": "sgan", "messenger_lifetime": 3, "messenger_shards": 2}}]
)
def test_publications_read_in_small_portions_change_nothing(
    changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(num_pairs=3, **changes)
    whole = digests(config)
    monkeypatch.setattr(opposition, "PORTION_BYTES", 1.0)  # one iteration each
    assert digests(config) == whole


def test_the_next_portion_is_on_its_way_while_this_one_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(opposition, "PORTION_BYTES", 1.0)
    config = tiny_config(steps=3)
    strategy, setup = strategy_of(config), setup_of(config)
    second_asked = threading.Event()

    class Watched(Shelves):
        def between(
            self, players: Sequence[str], after: int, upto: int
        ) -> dict[str, list[Publication]]:
            if after == 1:
                second_asked.set()
            return super().between(players, after, upto)

    board = Watched()
    for name in ("pair-00", "pair-01"):
        strategy.build(name, setup).train(3, board)
    ref = strategy.build(GLOBAL, setup)
    assert isinstance(ref, GlobalPair)
    portions = ref.opposition.portions(0, 3, board)
    assert next(portions) == 1
    assert second_asked.wait(10), "asked before the first iteration is carried out"
    assert ref.step == 0
    assert 2 not in ref.opposition.here.ahead["pair-00"], "and not used before its turn"
    portions.close()


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("share", ["weights", "samples"])
def test_short_publications_have_half_the_bytes_and_leave_the_locals_alone(
    share: str, precision: str
) -> None:
    of = lambda p: tiny_config(  # noqa: E731
        strategy={"name": "sgan", "share_generators": share, "publish": p}
    )
    found = {}
    for p in ("float32", precision):
        strategy, board = strategy_of(of(p)), Shelves()
        strategy.build("pair-00", setup_of(of(p))).train(1, board)
        found[p] = board.newest(["pair-00"])["pair-00"]
    assert found[precision].nbytes * 2 == found["float32"].nbytes
    for key, words in found[precision].arrays.items():
        exact = found["float32"].arrays[key]
        assert np.allclose(
            whole(words), exact, rtol=2**-8 if precision == "bfloat16" else 2**-10, atol=1e-6
        ), key
        assert not np.array_equal(whole(words), exact)
    long, short = digests(of("float32")), digests(of(precision))
    assert long[GLOBAL] != short[GLOBAL]
    assert long["pair-00"] == short["pair-00"]


def test_variants_are_really_different() -> None:
    found = [digests(tiny_config(strategy={"name": "sgan", **s}))[GLOBAL] for s in VARIANTS[:8]]
    assert len(set(found)) == len(found)


def test_early_global_updates_g0_once_for_each_local_update() -> None:
    """App. A.2: N updates of G0 an iteration instead of one."""
    counts = {}
    for variant in ("full", "early_global"):
        config = tiny_config(num_pairs=3, strategy={"name": "sgan", "variant": variant})
        state = unpack(
            final_states(config, lambda: InlineExecutor(setup_of(config)))[GLOBAL]  # noqa: B023
        )
        counts[variant] = float(state["opt_g.0.step"])  # type: ignore[arg-type]
        assert float(state["opt_d.0.step"]) == 12  # type: ignore[arg-type]
    assert counts == {"full": 12, "early_global": 36}


@pytest.mark.parametrize("normed", [False, True], ids=["mlp", "batch norm"])
def test_real_and_fake_share_a_batch_where_no_layer_looks_at_a_whole_one(normed: bool) -> None:
    """There it is the same up to rounding; batch norm would take both for one."""
    images = {
        "data": {"name": "mnist", "limit": 200},
        "network": {"name": "dcgan", "width": 4, "z_dim": 4},
    }
    setup = setup_of(tiny_config(**(images if normed else {})))
    pair = strategy_of(setup.config).build(GLOBAL, setup)
    assert isinstance(pair, GlobalPair)
    assert pair.messengers.together is not normed
    shape = setup.data.shape
    real, fake = (
        torch.randn(16, *shape, generator=torch.Generator().manual_seed(i)) for i in (0, 1)
    )
    gradients = []
    for together in (False, True):
        zero_grad(pair.opt_d)
        S.d_backward(
            pair.d, pair.loss, real, fake, torch.Generator(), weight=0.5, together=together
        )
        gradients.append(
            torch.cat([p.grad.reshape(-1) for p in pair.d.parameters() if p.grad is not None])
        )
    assert torch.allclose(*gradients, rtol=1e-4, atol=1e-7) is not normed
    setup = setup_of(tiny_config(loss="wgan_gp"))
    pair = strategy_of(setup.config).build(GLOBAL, setup)
    assert isinstance(pair, GlobalPair)
    assert not pair.messengers.together, "a bias whose gradient is exactly 0 stays where it is"


def test_a_messenger_starts_equal_to_the_published_discriminator(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    published: dict[tuple[str, int], np.ndarray] = {}
    seen = []
    original, publish = Opponent.refresh, Shelves.publish

    def spy(self: Opponent, publication: Publication, settings: Sgan, device: torch.device) -> None:
        original(self, publication, settings, device)
        seen.append((publication.player, publication.version))
        assert np.array_equal(flatten(self.d), published[seen[-1]])

    def note(self: Shelves, publication: Publication) -> None:
        published[publication.player, publication.version] = publication.arrays["D"].copy()
        publish(self, publication)

    monkeypatch.setattr(Opponent, "refresh", spy)
    monkeypatch.setattr(Shelves, "publish", note)
    digests(tiny_config(strategy={"name": "sgan", "messenger_lifetime": 4}))
    assert seen == [(p, v) for v in (1, 5, 9) for p in ("pair-00", "pair-01")]


@pytest.mark.parametrize(("kind", "expected"), [("fresh", {1.0}), ("persist", {1.0, 2.0, 3.0})])
def test_what_a_messengers_optimizer_remembers(
    kind: str, expected: set[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = set()
    original = GlobalPair.step_g

    def spy(self: GlobalPair, *args: Any, **kwargs: Any) -> float:
        steps.update(
            float(next(iter(o.optimizer.state.values()))["step"])
            for o in self.opposition.here.by_name.values()
        )
        return original(self, *args, **kwargs)

    monkeypatch.setattr(GlobalPair, "step_g", spy)
    digests(tiny_config(steps=3, strategy={"name": "sgan", "messenger_optimizer": kind}))
    assert steps == expected


def test_a_cloned_messenger_optimizer_is_the_locals_own(monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny_config(steps=3, strategy={"name": "sgan", "messenger_optimizer": "clone"})
    setup = setup_of(config)
    strategy = strategy_of(config)
    local, supervisor = strategy.build("pair-00", setup), strategy.build(GLOBAL, setup)
    board = Shelves()
    local.train(3, board)
    assert isinstance(supervisor, GlobalPair)
    opponent = supervisor.opposition.here.by_name["pair-00"]
    before = flatten(opponent.d).copy()
    opponent.refresh(board.newest(["pair-00"])["pair-00"], supervisor.settings, CPU)
    assert not np.array_equal(flatten(opponent.d), before)
    for p, q in zip(
        opponent.optimizer.param_groups[0]["params"],
        local.opt_d.param_groups[0]["params"],
        strict=True,
    ):  # type: ignore[attr-defined]
        for key, value in local.opt_d.state[q].items():  # type: ignore[attr-defined]
            assert torch.equal(opponent.optimizer.state[p][key], value), key


def test_early_global_compares_each_of_g0s_steps_with_a_batch_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    strategy = {"name": "sgan", "variant": "early_global"}
    config = tiny_config(num_pairs=3, strategy=strategy, loss="relativistic")
    supervisor, board = facing_locals(config, 1)
    seen: list[bytes] = []
    on_real = S.on_real

    def noted(d: torch.nn.Module, real: torch.Tensor | None) -> torch.Tensor:
        assert real is not None
        seen.append(real.numpy().tobytes())
        return on_real(d, real)

    monkeypatch.setattr(S, "on_real", noted)
    supervisor.train(1, board)
    assert len(seen) == len(set(seen)) == 1 + 2 + 3  # they are met one after the other


@pytest.mark.parametrize("at", [51, 52, 100, 101, 149, 150, 151])
def test_a_copy_is_as_far_behind_as_max_lag_says_and_its_publisher_a_life_further(at: int) -> None:
    strategy = {"name": "sgan", "messenger_lifetime": 50, "max_lag": 50}
    config = tiny_config(num_pairs=1, tempo="async", strategy=strategy, batch_size=4)
    setup, board = setup_of(config), Shelves()
    local, supervisor = (strategy_of(config).build(n, setup) for n in ("pair-00", GLOBAL))
    assert isinstance(supervisor, GlobalPair)
    local.train(1, board)
    supervisor.train(1, board)
    local.train(at - 1, board)
    lag = supervisor.train(1, board)["lag"]
    version = supervisor.opposition.version("pair-00")
    newest = board.progress(["pair-00"])["pair-00"]
    assert lag == newest - version <= 50
    assert at - version <= 50 + 50 - 1


@pytest.mark.parametrize("tempo", ["lockstep", "async"])
@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("loss", ["non_saturating", "wgan_gp"])
@pytest.mark.parametrize(
    ("was", "now"), [("samples", "weights"), ("weights", "samples"), ("samples", "samples")]
)
def test_a_fork_may_share_generators_otherwise_in_the_middle_of_a_life(
    was: str, now: str, loss: str, batched: bool, tempo: Any
) -> None:
    """What the run before held of G_n serves until the next copy."""

    def begun(share: str, batch_size: int, lifetime: int) -> tuple[Any, list[Pair], GlobalPair]:
        strategy = {"name": "sgan", "share_generators": share, "messenger_lifetime": lifetime}
        config = tiny_config(strategy=strategy, loss=loss, batch_size=batch_size, tempo=tempo)
        setup, made = setup_of(config), strategy_of(config)
        supervisor = made.build(GLOBAL, setup)
        assert isinstance(supervisor, GlobalPair)
        supervisor.opposition.here.batched = batched
        locals_ = [cast(Pair, made.build(n, setup)) for n in made.locals(config)]
        return Shelves(), locals_, supervisor

    board, locals_, supervisor = begun(was, 16, 4)
    for local in locals_:
        local.train(6, board)
    supervisor.train(6, board)
    there, others, forked = begun(now, 12, 5)
    for local, other in zip(locals_, others, strict=True):
        other.restore(local.state())
        other.open(there)
        other.train(8, there)
    forked.restore(supervisor.state())
    report = forked.train(3, there)
    assert math.isfinite(report["loss_d"])
    again = begun(now, 12, 5)[2]
    again.restore(forked.state())
    for each in (forked, again):
        each.train(5, there)
    assert digest(forked.state()) == digest(again.state())
    assert all((o.samples is None) == (now == "weights") for o in forked.opposition.here.known)


def facing_locals(config: Config, steps: int) -> tuple[GlobalPair, Shelves]:
    """A new global pair, and a board on which its locals have published so many steps."""
    setup, strategy, board = setup_of(config), strategy_of(config), Shelves()
    for name in strategy.locals(config):
        strategy.build(name, setup).train(steps, board)
    supervisor = strategy.build(GLOBAL, setup)
    assert isinstance(supervisor, GlobalPair)
    return supervisor, board


def test_sum_and_mean_agree_under_adam_and_differ_by_n_without_it() -> None:
    grads = {}
    for combine in ("sum", "mean"):
        config = tiny_config(steps=1, num_pairs=3, strategy={"name": "sgan", "combine": combine})
        supervisor, board = facing_locals(config, 1)
        supervisor.train(1, board)
        grads[combine] = [
            p.grad.clone()  # type: ignore[union-attr]
            for p in supervisor.g.parameters()
        ]
    for a, b in zip(grads["sum"], grads["mean"], strict=True):
        assert torch.allclose(a, 3 * b, rtol=1e-5, atol=1e-9)


def test_payoff_weights_prefer_the_opponents_that_are_lost_against() -> None:
    weights = payoff_weights({"a": 0.0, "b": 1.0, "c": 2.0}, temperature=1.0)
    assert weights["a"] < weights["b"] < weights["c"]
    assert sum(weights.values()) == pytest.approx(3)
    flat = payoff_weights({"a": 0.0, "b": 1.0}, temperature=1e9)
    assert flat["a"] == pytest.approx(1)
    assert payoff_weights({"a": -900.0, "b": 900.0}, 1.0)["b"] == pytest.approx(2)


@pytest.mark.parametrize("loss", ["non_saturating", "relativistic"])
def test_g0_matches_features_at_each_messenger(loss: str) -> None:
    """As a pair's G does at its D: the messenger's loss and the weighted distance, in one graph."""
    config = tiny_config(num_pairs=2, loss=loss, pair={"feature_matching": 3.0})
    supervisor, board = facing_locals(config, 1)
    supervisor.train(1, board)
    fake = supervisor.messengers.fake().detach().requires_grad_()
    shares = {"pair-00": 0.75, "pair-01": 0.25}
    total, losses = supervisor.messengers.judge(fake, shares)
    expected = torch.zeros(())
    for opponent in supervisor.opposition.here.known:
        beside = real(supervisor, draws(supervisor, f"compare/{opponent.name}"))
        distance, logits = S.feature_distance(opponent.d, beside, fake)
        compared = [opponent.d(beside).detach()] if loss == "relativistic" else []
        own = supervisor.loss.g_loss(logits, *compared) + 3 * distance
        assert distance > 0
        assert losses[opponent.name] == pytest.approx(own.item(), rel=1e-5)
        expected = expected + shares[opponent.name] * own
    (ours,), (theirs,) = (torch.autograd.grad(of, fake) for of in (total, expected))
    assert torch.allclose(ours, theirs, atol=1e-7)


def test_generators_travel_as_whichever_is_fewer_bytes() -> None:
    def kind(**changes: Any) -> int:
        config = tiny_config(**changes)
        parts = setup_of(config).parts("pair-00")
        return sharing_of(cast(Sgan, strategy_of(config)), parts).samples

    assert kind() == 1  # 32 numbers against a whole network
    assert kind(batch_size=4096) == 0
    assert kind(strategy={"name": "sgan", "share_generators": "weights"}) == 0


@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("at_once", [True, False])
def test_a_copied_generator_is_driven_with_its_local_s_own_prior(
    shards: int, at_once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """U(-1, 1) where it has learned from that, N(0, 1) where it has not; the joiners' too."""
    seen: dict[str, torch.Tensor] = {}
    alone, together = Opponent.fakes, AtOnce.fakes

    def one(self: Opponent, draw: Any) -> torch.Tensor:
        seen[self.name] = draw()
        return alone(self, lambda: seen[self.name])

    def several(self: AtOnce, draws: Any) -> torch.Tensor:
        for opponent, draw in zip(self.opponents, draws, strict=True):
            seen[opponent.name] = draw()
        return together(self, [partial(seen.__getitem__, o.name) for o in self.opponents])

    monkeypatch.setattr(Opponent, "fakes", one)
    monkeypatch.setattr(AtOnce, "fakes", several)
    monkeypatch.setattr("raygan.strategies.sgan.opponents.pays", lambda d: at_once)
    config = tiny_config(
        num_pairs=4,
        batch_size=256,
        pairs=[{"count": 2}, {"count": 2, "pair": {"prior": "uniform"}}],
        strategy={"name": "sgan", "share_generators": "weights", "messenger_shards": shards},
    )
    supervisor, board = facing_locals(config, 1)
    supervisor.train(1, board)
    assert sorted(seen) == [f"pair-0{i}" for i in range(4)]
    for name, z in seen.items():
        assert (z.abs().max() <= 1) == (name in ("pair-02", "pair-03")), name
    late = Opponents(supervisor, cast(Sgan, strategy_of(config)), True, partial(prior_of, config))
    late.have(["pair-07"])
    assert late.by_name["pair-07"].prior == "uniform"


# --------------------------------------------------------------------------------------------------
# decide


def plan(**changes: Any) -> Plan:
    return Plan.of(tiny_config(**changes), 400)


def test_decisions_are_pure_and_bounded_by_the_lead() -> None:
    strategy = Sgan(max_lead=4)
    done = {"pair-00": 4, "pair-01": 2, GLOBAL: 0}
    orders = strategy.decide(["pair-00", "pair-01", GLOBAL], Progress(done), plan())
    assert orders == [Train("pair-01", 2, 1), Train(GLOBAL, 2)]
    assert orders == strategy.decide(["pair-00", "pair-01", GLOBAL], Progress(done), plan())


def test_the_global_pair_waits_for_the_slowest_local() -> None:
    assert (
        list(Sgan().decide([GLOBAL], Progress({"pair-00": 9, "pair-01": 0, GLOBAL: 0}), plan()))
        == []
    )
    assert Sgan().decide([GLOBAL], Progress({"pair-00": 9, "pair-01": 3, GLOBAL: 1}), plan()) == [
        Train(GLOBAL, 2)
    ]


def test_nobody_trains_past_the_end() -> None:
    done = {"pair-00": 12, "pair-01": 12, GLOBAL: 12}
    assert list(Sgan().decide(list(done), Progress(done), plan())) == []


def test_in_async_nobody_waits_once_something_is_published() -> None:
    strategy, fast = Sgan(max_lead=1), plan(tempo="async")
    players = ["pair-00", "pair-01", GLOBAL]
    assert [
        o.player for o in strategy.decide(players, Progress(dict.fromkeys(players, 0)), fast)
    ] == [
        "pair-00",
        "pair-01",
    ]
    ahead = {"pair-00": 9, "pair-01": 1, GLOBAL: 4}
    assert [o.player for o in strategy.decide(players, Progress(ahead), fast)] == players


@pytest.mark.parametrize("lifetime", [1, 3])
def test_async_uses_the_newest_version_and_keeps_the_lag_below_its_bound(lifetime: int) -> None:
    config = tiny_config(
        tempo="async", strategy={"name": "sgan", "messenger_lifetime": lifetime, "max_lag": 4}
    )
    setup = setup_of(config)
    strategy = strategy_of(config)
    local = [strategy.build(n, setup) for n in strategy.locals(config)]
    supervisor, board = strategy.build(GLOBAL, setup), Shelves()
    assert isinstance(supervisor, GlobalPair)
    for i in range(10):
        for p in local:
            p.train(1 + i % 4, board)
        report = supervisor.train(1, board)
        assert 0 <= report["lag"] <= 4
        if i % lifetime == 0:
            assert {
                n: o.version for n, o in supervisor.opposition.here.by_name.items()
            } == board.progress(supervisor.opposition.locals)


def test_a_bound_that_cannot_hold_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"max_lag = 2 is below messenger_lifetime = 5"):
        strategy_of(
            tiny_config(
                tempo="async", strategy={"name": "sgan", "messenger_lifetime": 5, "max_lag": 2}
            )
        )


# --------------------------------------------------------------------------------------------------
# N-SW and mixtures


def test_sharing_locals_have_half_of_their_weights_in_common() -> None:
    """Next to the pixels for D, the last layers for G; trained by all, in turn."""
    config = tiny_config(
        num_pairs=3,
        strategy={"name": "sgan", "over": {"name": "independent", "share_weights": True}},
    )
    setup, strategy, board = setup_of(config), strategy_of(config), Shelves()
    pairs = [strategy.build(n, setup) for n in strategy.locals(config)]
    assert all(isinstance(p, Pair) for p in pairs)
    a, b = pairs[0], pairs[1]
    assert isinstance(a, Pair) and isinstance(b, Pair)  # noqa: PT018
    for x, y, first in ((a.d, b.d, True), (a.g, b.g, False)):
        same = [p is q for p, q in zip(x.parameters(), y.parameters(), strict=True)]
        share = sum(p.numel() for p, s in zip(x.parameters(), same, strict=True) if s) / sum(
            p.numel() for p in x.parameters()
        )
        assert 0.3 < share < 0.7
        assert same[0] is first
        assert same[-1] is not first
    before = b.discriminator_vector()
    a.train(1, board)
    assert not np.array_equal(b.discriminator_vector(), before), "what one learns, the others have"


def test_sharing_locals_take_turns_and_ignore_the_global_pair() -> None:
    strategy = {"name": "sgan", "over": {"name": "independent", "share_weights": True}}
    config = tiny_config(num_pairs=3, strategy=strategy)
    found = digests(config)
    pairs = ["pair-00", "pair-01", "pair-02"]
    assert digests(config, players=pairs) == {p: found[p] for p in pairs}
    half = tiny_config(num_pairs=3, strategy=strategy, steps=5)
    stopped = final_states(half, lambda: InlineExecutor(setup_of(half)))
    assert digests(config, states=stopped) == found
    with pytest.raises(ConfigError, match="pairs take turns"):
        strategy_of(tiny_config(tempo="async", strategy=strategy))


@pytest.mark.parametrize(
    "over", [{"name": "gap", "swap_every": 3}, {"name": "pmgan"}], ids=lambda o: o["name"]
)
def test_any_locals_are_the_same_with_and_without_a_global_pair(over: dict[str, Any]) -> None:
    alone = digests(tiny_config(num_pairs=3, strategy=over))
    mixed = digests(tiny_config(num_pairs=3, strategy={"name": "sgan", "over": over}))
    assert {p: d for p, d in mixed.items() if p != GLOBAL} == alone
    assert GLOBAL in mixed
    clipped = digests(
        tiny_config(
            num_pairs=3, strategy={"name": "sgan", "over": over, "max_lead": 1}, round_steps=2
        )
    )
    assert clipped == mixed


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"loss": {"name": "dragan", "weight": 0.1}, "pair": {"ema": 0.9, "input_noise": 0.1}},
        {"strategy": {"name": "sgan", "messenger_lifetime": 4, "messenger_optimizer": "clone",
                      "share_generators": "weights"}},
        {"strategy": {"name": "sgan", "messenger_lifetime": 3, "messenger_optimizer": "persist",
                      "messenger_steps": 3}},
        {"strategy": {"name": "sgan", "variant": "simplified", "opponents": "payoff",
                      "global_d_steps": 2}},
        {"loss": {"name": "wgan_gp", "d_steps": 2}, "strategy": {"name": "sgan", "combine": "mean"},
         "pair": {"clip_grad_d": 1.0}},
        R3GAN,
    ],
    ids=["default", "dragan", "weights, clone", "persist", "simplified, payoff", "wgan-gp",
         "r3gan, lazy, schedule"],
)  # fmt: skip
def test_messengers_at_once_are_messengers_one_by_one_within_rounding(
    changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also through a stop in the middle of a messenger's life, bit for bit."""
    config = tiny_config(
        **{"num_pairs": 3, "steps": 6, "pair": {"lr_g": 1e-4, "lr_d": 1e-4}, **changes}
    )
    setup, found = setup_of(config), []
    used: list[int] = []
    train = Messengers.train_at_once
    monkeypatch.setattr(
        Messengers, "train_at_once", lambda self, b: (used.append(b.d.size), train(self, b))[1]
    )
    for below in (0, 200_000):
        monkeypatch.setattr(fits, "BATCHED_BELOW", below)
        found.append(unpack(final_states(config, lambda: InlineExecutor(setup))[GLOBAL]))
    assert set(used) == (set() if config.strategy.get("variant") == "simplified" else {3})
    one, other = found
    assert one.keys() <= other.keys(), (
        "the batched ones have their optimizers' tensors from the start"
    )
    for key, value in one.items():
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            assert (value - other[key]).abs().mean() < 1e-5, key  # type: ignore[operator]
    memory: dict[str, Any] = {}
    stopped = final_states(config, lambda: InlineExecutor(setup), stop_at=4, memory=memory)
    again = final_states(config, lambda: InlineExecutor(setup), states=stopped, memory=memory)
    assert digest(unpack(again[GLOBAL])) == digest(other)


SHARDED: list[dict[str, Any]] = [
    {},
    R3GAN,
    {"strategy": {"name": "sgan", "messenger_lifetime": 4, "messenger_optimizer": "clone",
                  "share_generators": "weights"}},
    {"strategy": {"name": "sgan", "messenger_lifetime": 3, "messenger_optimizer": "persist",
                  "messenger_steps": 2}},
    {"strategy": {"name": "sgan", "variant": "simplified", "opponents": "payoff",
                  "global_d_steps": 3}},
    {"loss": {"name": "wgan_gp", "d_steps": 2}, "strategy": {"name": "sgan", "combine": "mean"},
     "pair": {"clip_grad_d": 1.0}},
    {"loss": {"name": "dragan", "weight": 0.1}, "pair": {"input_noise": 0.1},
     "resources": {"batched": False}},
    {"pair": {"feature_matching": 1.0}},
]  # fmt: skip


@pytest.mark.parametrize("changes", SHARDED)
@pytest.mark.parametrize("shards", [2, pytest.param(5, marks=pytest.mark.exhaustive)])
def test_sharded_messengers_are_the_unsharded_ones_within_rounding(
    changes: dict[str, Any], shards: int
) -> None:
    """Also through a stop in the middle, bit for bit."""
    changes = {"num_pairs": 5, "steps": 6, **changes}
    config = tiny_config(**changes)
    spec = {**config.strategy, "messenger_shards": shards}
    sharded = config.model_copy(update={"strategy": spec})
    one, other = (
        final_states(c, lambda c=c: InlineExecutor(setup_of(c))) for c in (config, sharded)
    )  # type: ignore[misc]
    assert {p: r for p, r in one.items() if p != GLOBAL} == {
        p: r for p, r in other.items() if p != GLOBAL
    }
    a, b = unpack(one[GLOBAL]), unpack(other[GLOBAL])
    assert b.keys() <= a.keys(), (
        "batched ones have their optimizers' tensors from the start; alone, a messenger is not"
        " batched"
    )
    for key, value in b.items():
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            assert (value - a[key]).abs().mean() < 1e-5, key  # type: ignore[operator]
    memory: dict[str, Any] = {}
    setup = setup_of(sharded)
    stopped = final_states(sharded, lambda: InlineExecutor(setup), stop_at=4, memory=memory)
    again = final_states(sharded, lambda: InlineExecutor(setup), states=stopped, memory=memory)
    assert digest(unpack(again[GLOBAL])) == digest(b)


@pytest.mark.parametrize("shards", [1, 3])
def test_a_global_pair_that_is_rolled_back_forgets_whom_it_met_since(shards: int) -> None:
    config = tiny_config(num_pairs=3, strategy={"name": "sgan", "messenger_shards": shards})
    supervisor, board = facing_locals(config, 2)
    good = supervisor.state()
    supervisor.train(2, board)
    after = digest(supervisor.state())
    assert len(supervisor.opposition.met) == 3
    supervisor.restore(good)
    assert supervisor.opposition.met == []
    supervisor.train(2, board)
    assert digest(supervisor.state()) == after


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"messenger_shards": 3}, "there are 2 pairs"),
        (
            {"messenger_shards": 2, "variant": "early_global"},
            "variant early_global goes from one messenger to the next",
        ),
    ],
)
def test_shards_that_cannot_be(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        strategy_of(tiny_config(strategy={"name": "sgan", **settings}))


@pytest.mark.parametrize("over", ["population", "federated", "mdgan", "fedavg"])
def test_locals_that_publish_nothing_for_a_global_pair_are_refused(over: str) -> None:
    with pytest.raises(ConfigError, match=f"over = '{over}': its pairs publish nothing"):
        strategy_of(tiny_config(num_pairs=2, strategy={"name": "sgan", "over": {"name": over}}))


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("shards", [1, 2])
def test_updates_of_messengers_that_are_skipped_are_counted(
    shards: int, batched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(
        num_pairs=4, strategy={"name": "sgan", "messenger_shards": shards, "messenger_steps": 2}
    )
    pair, board = facing_locals(config, 1)
    monkeypatch.setattr(
        "raygan.strategies.sgan.messengers.d_steps", lambda *a: [math.nan] * len(a[3])
    )
    monkeypatch.setattr("raygan.strategies.sgan.messengers.S.d_step", lambda *a, **k: math.nan)
    for opponents in (
        pair.opposition.here,
        *(d.shard.opponents for d in pair.opposition.deputies),  # type: ignore[attr-defined]
    ):
        opponents.batched = batched
    assert pair.train(1, board)["bad_steps"] == 4 * 2


@pytest.mark.parametrize(
    ("variant", "shards"), [("full", 1), ("full", 2), ("simplified", 1), ("early_global", 1)]
)
@pytest.mark.parametrize("opponents", ["uniform", "payoff"])
def test_a_global_pair_that_has_met_nobody_waits(
    shards: int, opponents: str, variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """async: who had published has died before the first iteration."""
    monkeypatch.setattr("raygan.strategies.sgan.global_pair.LOOK_S", 0.0)
    strategy = {
        "name": "sgan",
        "messenger_shards": shards,
        "opponents": opponents,
        "variant": variant,
    }
    config = tiny_config(num_pairs=4, tempo="async", strategy=strategy)
    pair = strategy_of(config).build(GLOBAL, setup_of(config))
    report = pair.train(3, Shelves())
    assert (pair.step, report["steps_done"], report["unmet"]) == (0, 0.0, 4.0)
