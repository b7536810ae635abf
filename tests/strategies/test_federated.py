"""One generator from data that stay where they are: what the sites' words become, whose do not
count, and that a run on them is as exact as any.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from raygan.config import Config, Resolved, load_component
from raygan.controller.inline import InlineExecutor
from raygan.controller.run_folder import read_jsonl
from raygan.data.clusters import clusters
from raygan.errors import ConfigError
from raygan.gan.bundle import unpack
from raygan.gan.meter import Meter
from raygan.gan.pair import Pair
from raygan.gan.weights import flatten
from raygan.metrics.mixture import shares
from raygan.networks.mlp import Mlp
from raygan.service.training import train
from raygan.service.verify import compare, final_states
from raygan.strategies.base import Plan, strategy_of
from raygan.strategies.fedavg import Fedavg
from raygan.strategies.federated.combining import (
    Combine,
    Word,
    agreement,
    by_sample,
    outliers,
    share,
    together,
)
from raygan.strategies.federated.site import Site
from raygan.strategies.mdgan import Mdgan
from raygan.strategies.roles import GLOBAL
from tests.conftest import setup_of, tiny_config
from tests.controller.test_membership import run as scaled

PARTS = {"partition": "by_class"}
JUDGES = {"name": "mlp", "judges": 2}
TURNS: list[dict[str, Any]] = [
    {"name": "federated"},
    {"name": "mdgan", "swap_every": 3},
    {"name": "fedavg", "every": 3},
]


def federated(**changes: Any) -> Config:
    return tiny_config(**{"data": PARTS, "strategy": "federated", "num_pairs": 4, **changes})


def words(x: Tensor, seeds: int) -> tuple[list[torch.nn.Module], dict[str, Word]]:
    judges, found = list[torch.nn.Module](), {}
    for seed in range(seeds):
        torch.manual_seed(seed)
        d = torch.nn.Sequential(torch.nn.Linear(2, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
        at = x.clone().requires_grad_()
        logits = d(at)[:, 0]
        (gradient,) = torch.autograd.grad(logits.sum(), at)
        judges.append(d)
        found[f"pair-{seed:02d}"] = Word(logits.detach(), gradient)
    return judges, found


@pytest.mark.parametrize("combine", ["odds", "sum"])
@pytest.mark.parametrize("loss", ["non_saturating", "reverse_kl"])
def test_answers_make_the_gradient_of_the_loss_over_all_sites(combine: Combine, loss: str) -> None:
    made: Any = load_component("loss", {"name": loss})
    x = torch.randn(9, 2, generator=torch.Generator().manual_seed(0))
    judges, found = words(x, 3)
    pi = dict(zip(found, (0.5, 0.3, 0.2), strict=True))
    value, gradient = by_sample(made, combine, found, pi)
    at = x.clone().requires_grad_()
    total = together(
        made, combine, torch.stack([d(at)[:, 0] for d in judges]), torch.tensor([*pi.values()])
    )
    (expected,) = torch.autograd.grad(total, at)
    assert value == pytest.approx(total.item(), rel=1e-5)
    torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-6)


def test_odds_of_all_shards_are_those_of_a_d_that_saw_all_of_them() -> None:
    """l_n = log p_n - log q of each shard's density; the whole is their mixture by the shares."""
    made: Any = load_component("loss", {"name": "non_saturating"})
    x, means, pi = (
        torch.linspace(-3, 3, 31),
        torch.tensor([-2.0, 0.0, 2.0]),
        torch.tensor([0.2, 0.5, 0.3]),
    )
    log_p = -0.5 * ((x[None] - means[:, None]) / 0.4) ** 2
    log_q = -0.5 * (x / 2) ** 2
    whole = torch.logsumexp(log_p + pi.log()[:, None], 0) - log_q
    assert together(made, "odds", log_p - log_q, pi).item() == pytest.approx(
        made.g_loss(whole).item()
    )
    assert together(made, "sum", log_p - log_q, pi).item() > 1.2 * made.g_loss(whole).item()


def test_the_gradients_of_a_function_agree_with_it_and_noise_does_not() -> None:
    x = torch.randn(128, 2, generator=torch.Generator().manual_seed(0))
    (word,) = words(x, 1)[1].values()
    noise = Word(word.logits, torch.randn(128, 2, generator=torch.Generator().manual_seed(1)))
    assert agreement(x, word) > 0.95
    assert abs(agreement(x, noise)) < 0.4
    assert agreement(x, Word(word.logits, -word.gradient)) < -0.95


def test_neighbours_far_from_0_are_neighbours() -> None:
    x = torch.randn(128, 2, generator=torch.Generator().manual_seed(0))
    wave = Word(torch.sin(2 * x).sum(1), 2 * torch.cos(2 * x))
    assert agreement(x, wave) > 0.8
    assert agreement(x + 4096, wave) == pytest.approx(agreement(x, wave), abs=0.01)


@pytest.mark.parametrize("spoil", [float("nan"), float("inf"), 1e6])
def test_a_word_that_cannot_be_is_an_outlier_and_the_others_are_not(spoil: float) -> None:
    found = words(torch.randn(16, 2), 4)[1]
    bad = found["pair-02"]
    found["pair-02"] = Word(bad.logits, bad.gradient * spoil)
    assert list(outliers(found)) == ["pair-02"]
    assert sum(share({n: 1.0 for n in found if n != "pair-02"}).values()) == pytest.approx(1.0)


def noise(word: dict[str, Any], seen: int) -> dict[str, Any]:
    size = float(np.abs(word["gradient"]).mean())
    rng = np.random.default_rng(seen)
    return {**word, "gradient": rng.normal(0, size, word["gradient"].shape).astype(np.float32)}


LIES: dict[str, Callable[[dict[str, Any], int], dict[str, Any]]] = {
    "NaN": lambda word, _: {**word, "gradient": word["gradient"] * np.float32("nan")},
    "large": lambda word, _: {**word, "gradient": word["gradient"] * np.float32(1e5)},
    "noise": noise,
}


@pytest.mark.parametrize("lie", [None, *LIES])
def test_a_site_that_lies_is_left_out_and_named(
    lie: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Site.judge

    def judge(site: Site, sample: Tensor) -> dict[str, Any]:
        word = honest(site, sample)
        return LIES[lie](word, site.step) if lie and site.name == "pair-01" else word

    monkeypatch.setattr(Site, "judge", judge)
    config = federated(steps=120, round_steps=60, evaluation={"every_steps": 120})
    run = train(Resolved(config=config, origins={}), run_dir=tmp_path, name="run", inline=True)
    told = [
        e for e in read_jsonl(run.path / "events.jsonl") if e.get("name", "").startswith("W110")
    ]
    assert [e["text"].partition(":")[0] for e in told] == ([] if lie is None else ["pair-01"])
    final = unpack(final_states(config, lambda: InlineExecutor(setup_of(config)))[GLOBAL])
    assert final["bad_steps"] == 0, "nobody else's step is lost"


@pytest.mark.parametrize("noise", [0.5, 1.0])
def test_noise_on_d_s_inputs_accuses_nobody(noise: float, tmp_path: Path) -> None:
    """It blurs what sites judge once, at the centre: what their words are held against."""
    config = federated(
        steps=60, batch_size=64, pair={"input_noise": noise}, evaluation={"every_steps": 60}
    )
    run = train(Resolved(config=config, origins={}), run_dir=tmp_path, name="run", inline=True)
    assert run.info["status"] == "done"
    told = [e.get("name", "") for e in read_jsonl(run.path / "events.jsonl")]
    assert not [name for name in told if name.startswith("W110")]


def test_all_sites_answer_at_the_same_points() -> None:
    """Odds at points with another noise each are those of no D that has seen all data."""
    config = federated(pair={"input_noise": 1.0})
    setup, strategy = setup_of(config), strategy_of(config)
    sites = [strategy.build(p, setup) for p in ("pair-00", "pair-01")]
    one, two = (site for site in sites if isinstance(site, Site))
    two.d.load_state_dict(one.d.state_dict())
    sample = torch.randn(8, 2)
    first, second = one.judge(sample), two.judge(sample)
    assert all(np.array_equal(first[k], second[k]) for k in first)


def test_a_site_alone_meets_nobody() -> None:
    strategy = {"name": "mdgan", "swap_every": 3}
    config = federated(strategy=strategy, num_pairs=1)
    states = final_states(config, lambda: InlineExecutor(setup_of(config)))
    assert {unpack(raw)["step"] for raw in states.values()} == {config.steps}


def test_a_d_that_draws_is_refused_where_words_are_held_against_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = Mlp._discriminator

    def dropped(self: Mlp, *args: Any) -> torch.nn.Module:
        network = plain(self, *args)
        assert isinstance(network, torch.nn.Sequential)
        return torch.nn.Sequential(*network[:2], torch.nn.Dropout(0.3), *network[2:])

    monkeypatch.setattr(Mlp, "_discriminator", dropped)
    config = federated()
    with pytest.raises(ConfigError, match="Set trust to 0"):
        strategy_of(config).check_setup(setup_of(config))
    config = federated(strategy={"name": "federated", "trust": 0.0})
    strategy_of(config).check_setup(setup_of(config))


@pytest.mark.parametrize("strategy", TURNS, ids=lambda s: str(s["name"]))
def test_a_run_on_parts_is_resumed_exactly(strategy: dict[str, Any]) -> None:
    config = federated(strategy=strategy, num_pairs=3, pair={"ema": 0.9})
    setup, memory = setup_of(config), dict[str, Any]()
    whole = final_states(config, lambda: InlineExecutor(setup))
    stopped = final_states(config, lambda: InlineExecutor(setup), stop_at=7, memory=memory)
    resumed = final_states(config, lambda: InlineExecutor(setup), states=stopped, memory=memory)
    assert compare("resumed", whole, resumed).ok


def test_sites_leave_and_join_while_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A joiner has a part where the run began with one for it; the share of one that left is the
    others'.
    """
    data = {**PARTS, "partition_parts": 4}
    controller = scaled(
        tmp_path, {4: 4, 12: 2}, monkeypatch, strategy={"name": "federated"}, data=data,
        loss="non_saturating"
    )  # fmt: skip
    assert controller.state.players == ["pair-00", "pair-01", GLOBAL]
    kinds = {
        (e["kind"], e.get("player"))
        for e in read_jsonl(controller.log.folder.path / "events.jsonl")
    }
    assert {("join", "pair-03"), ("leave", "pair-02"), ("leave", "pair-03")} <= kinds
    assert {controller.state.done[p] for p in controller.state.players} == {24}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"loss": "wgan"}, "no log density ratios"),
        ({"loss": "hinge"}, "no log density ratios"),
        ({"loss": "r3gan"}, "pairs each generated sample with a real one"),
        ({"tempo": "async"}, "goes by turns"),
        ({"loss": "gman", "network": JUDGES}, "one logit a sample"),
        ({"strategy": "mdgan", "loss": "d2gan", "network": JUDGES}, "one logit a sample"),
        ({"strategy": {"name": "fedavg"}, "tempo": "async"}, "waits for all"),
        ({"strategy": {"name": "sgan", "combine": "odds"}}, "Use --strategy federated"),
        ({"strategy": {"name": "sgan"}}, "Use --strategy federated"),
    ],
)
def test_what_cannot_be_is_one_line(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as error:
        strategy_of(federated(**changes))
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_a_d_that_looks_at_a_whole_batch_is_refused() -> None:
    config = federated(network={"name": "dcgan"}, data={"name": "mnist", "partition": "by_class"})
    setup = setup_of(tiny_config())
    shaped = type(setup)(config, setup.data, setup.device)
    object.__setattr__(shaped, "data", _Shaped())
    with pytest.raises(ConfigError, match="batch norm"):
        strategy_of(config).check_setup(shaped)


class _Shaped:
    shape = (1, 28, 28)
    parts: dict[str, Any] = {}  # noqa: RUF012  never changed


@pytest.mark.parametrize(
    ("partition", "strategy", "warned"),
    [("by_class", "mdgan", True), ("clusters", {"name": "federated", "combine": "sum"}, True),
     ("shards", "mdgan", False), ("by_class", "federated", False)],
)  # fmt: skip
def test_a_sum_over_unlike_data_is_warned_of(partition: str, strategy: Any, warned: bool) -> None:
    config = federated(data={"partition": partition}, strategy=strategy)
    notes = [name for name, _ in strategy_of(config).notes(Plan.of(config, 100))]
    assert ("W111 sum-over-unlike-data" in notes) == warned


def test_k_means_finds_neighbouring_modes_and_splits_none() -> None:
    data = setup_of(tiny_config(data={"train": 4000})).data
    train, held = clusters((data.train, data.held_out), 4, 0)
    assert data.labels is not None
    assert data.held_out_labels is not None
    for found, labels in ((train, data.labels), (held, data.held_out_labels)):
        of_mode = [set(found[labels == m]) for m in range(8)]
        assert all(len(of) == 1 for of in of_mode)
    assert len({next(iter(of)) for of in of_mode}) == 4


def test_a_mixture_is_weighted_by_the_parts(tmp_path: Path) -> None:
    """Modes dealt to three pairs: 3, 3 and 2 of 8."""
    config = tiny_config(data=PARTS, strategy="independent", num_pairs=3)
    run = train(Resolved(config=config, origins={}), run_dir=tmp_path, name="run", inline=True)
    counts = [part.train for part in setup_of(config).data.parts.values()]
    assert run.cast.shares("mixture") == dict(zip(run.pairs, map(float, counts), strict=True))
    assert counts[2] < counts[0]
    drawn = run.generator("mixture")
    assert drawn.weights is not None
    assert shares(100, [drawn.weights[p] for p in run.pairs]) == shares(100, counts)
    # its share rounded down: no draw gives it less
    same = run.generator("pair:0").draw(400 * counts[0] // sum(counts), 0)
    pool = {row.tobytes() for row in run.generator("mixture").draw(400, 0)}
    assert sum(row.tobytes() in pool for row in same) == len(same)


def test_sites_have_no_mixture(tmp_path: Path) -> None:
    run = train(Resolved(config=federated(), origins={}), run_dir=tmp_path, name="run", inline=True)
    assert set(run.scores()) == {GLOBAL}
    with pytest.raises(ConfigError, match="has a generator"):
        run.generator("mixture")


@pytest.mark.parametrize(("every", "told"), [(0, False), (39, False), (40, True)])
def test_mdgan_without_a_swap_is_told(every: int, told: bool) -> None:
    notes = Mdgan(swap_every=every).notes(Plan(40, "lockstep", 10, 40, 40))
    assert [name for name, _ in notes] == ["W105 no-swap"] * told


@pytest.mark.parametrize(("every", "told"), [(50, True), (38, False), (39, True)])
def test_fedavg_without_a_mean_is_told(every: int, told: bool) -> None:
    # the first that counts is taken up at the step after a period, and the run has 40
    plan = Plan(40, "lockstep", 10, 40, 40)
    notes = Fedavg(every=every).notes(plan)
    assert [name for name, _ in notes] == ["W105 no-swap"] * told


def test_fedavg_s_means_count_each_part_as_it_is_large() -> None:
    from raygan.gan.weights import Publication
    from raygan.strategies.fedavg import mean_of

    told = {n: Publication(n, 1, {"D": np.float32([v, -v])}) for n, v in (("a", 1.0), ("b", 4.0))}
    network = torch.nn.Linear(2, 1, bias=False)
    assert mean_of(network, told, {"a": 200.0, "b": 100.0}, "D").tolist() == [2.0, -2.0]


@pytest.mark.parametrize("bad", [0, 1])
def test_a_site_counts_a_skipped_update_also_where_a_good_one_follows(
    bad: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = federated(loss={"name": "non_saturating", "d_steps": 2})
    site = strategy_of(config).build("pair-00", setup_of(config))
    assert isinstance(site, Site)
    losses = [0.5, 0.5]
    losses[bad] = math.nan
    monkeypatch.setattr("raygan.strategies.federated.site.S.d_step", lambda *a, **k: losses.pop(0))
    site.learn(torch.randn(2, 8, 2), Meter())
    assert site.bad_steps.total == 1


@pytest.mark.parametrize("network", [{"fourier": 4}, {"init": "he"}], ids=str)
def test_all_pairs_of_fedavg_begin_with_the_same_weights(network: dict[str, Any]) -> None:
    """The mean of networks that were drawn apart has weights, and Fourier frequencies, that are too
    small; of like ones it is each of them.
    """
    setup = setup_of(
        tiny_config(strategy="fedavg", num_pairs=3, network={"name": "mlp", **network})
    )
    strategy = strategy_of(setup.config)
    pairs = [strategy.build(p, setup) for p in strategy.locals(setup.config)]
    apart = [Pair(p, setup.parts(p)) for p in strategy.locals(setup.config)]
    for key in ("d", "g"):
        first, *others = (flatten(getattr(pair, key)) for pair in pairs)
        assert all(np.array_equal(first, other) for other in others)
        assert np.array_equal(first, flatten(getattr(apart[0], key))), "as the first one's own"
        assert not np.array_equal(first, flatten(getattr(apart[1], key)))
    cpu = torch.device("cpu")
    other = {"name": "fedavg", "begin": "apart"}
    alone = setup_of(setup.config.model_copy(update={"strategy": other}))
    assert np.array_equal(
        flatten(strategy_of(alone.config).build(apart[1].name, alone).g), flatten(apart[1].g)
    )
    batches = [pair.data.batch(4, pair.streams.at("data", 0), cpu) for pair in pairs]
    assert not torch.equal(batches[0], batches[1]), "and go on over batches of their own"
