"""Pairs as one batched model: the same mathematics, each pair still itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from raygan.config import load_component, names, resolve
from raygan.controller.inline import InlineExecutor
from raygan.controller.worker import Packs, Shelves, host_all
from raygan.errors import NonFiniteError
from raygan.gan.bundle import pack as bundle
from raygan.gan.bundle import unpack
from raygan.gan.meter import Meter
from raygan.gan.pair import Pair, Sharing
from raygan.gan.weights import flatten
from raygan.service import autopack as packing
from raygan.service.training import train
from raygan.service.verify import compare, final_states
from raygan.strategies.base import homes, pair_name
from raygan.strategies.batching.alike import why_not
from raygan.strategies.batching.losses import each
from raygan.strategies.batching.pack import Pack
from raygan.strategies.orders import Train
from tests.conftest import TINY, setup_of, state_digest, tiny_config

MLP: dict[str, Any] = {
    "strategy": "independent",
    "num_pairs": 5,
    "network": {"name": "mlp", "hidden": 32, "z_dim": 8},
    "batch_size": 32,
}
MOVES = {"lr": 0.1, "beta1": 0.0, "beta2": 0.5, "gamma": 0.2, "ema": 0.5, "steps": 4}
IMAGES: dict[str, Any] = {
    "strategy": "independent", "num_pairs": 3, "data": {"name": "mnist"},
    "network": {"name": "dcgan", "width": 4, "z_dim": 8}, "batch_size": 8,
}  # fmt: skip


FOURIER = {"network": {"name": "mlp", "hidden": 32, "fourier": 8}}


def pairs_of(sharing: Sharing | None = None, **changes: Any) -> list[Pair]:
    config = tiny_config(**{**MLP, **changes})
    setup = setup_of(config)
    return [Pair(n, setup.parts(n), sharing) for n in map(pair_name, config.ids)]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"loss": {"name": "non_saturating", "d_steps": 3}},
        {"loss": {"name": "wgan"}},
        {"loss": {"name": "wgan_gp", "d_steps": 2}},
        {"loss": {"name": "dragan", "weight": 0.1}},
        {"loss": {"name": "least_squares"},
         "pair": {"ema": 0.9, "input_noise": 0.3, "clip_grad_d": 0.5, "prior": "uniform"}},
        {"loss": {"name": "gman"}, "network": {"name": "mlp", "hidden": 32, "judges": 3}},
        {"loss": {"name": "r3gan", "r1": 1.0, "penalty_every": 3}},
        {"network": {"name": "mlp", "hidden": 32, "fourier": 8, "fourier_scale": 0.5}},
        {"network": {"name": "mlp", "hidden": 32, "z_dim": 8, "categories": 3}},
        {"loss": {"name": "hinge", "r1": 0.3, "d_steps": 2},
         "pair": {"ema": 0.9, "schedule": MOVES}},
        {**IMAGES, "loss": {"name": "r3gan", "penalty_every": 2}},
        IMAGES,
        {**IMAGES,
         "network": {"name": "dcgan", "width": 4, "z_dim": 8, "norm_d": "layer", "norm_g": "none"}},
    ],
    ids=["mlp", "d steps", "weight clipping", "wgan-gp", "dragan", "ema, noise, clipping", "panel",
         "r3gan, lazy", "fourier", "categories", "r1, schedule",
         "r3gan, batch norm", "batch norm", "layer norm"],
)  # fmt: skip
def test_a_packed_pair_is_the_pair_within_rounding(changes: dict[str, Any]) -> None:
    alone, packed = pairs_of(**changes), pairs_of(**changes)
    if why := why_not(packed):
        assert "Panel" in why
        return
    pack, board = Pack(packed), Shelves()
    for _ in range(2):
        expected = [p.train(2, board) for p in alone]
        reports = pack.train(2, board)
    for one, other, theirs, ours in zip(alone, packed, expected, reports, strict=True):
        assert ours.keys() == theirs.keys()
        assert all(np.isclose(ours[k], theirs[k], rtol=2e-2, atol=2e-3) for k in ours), (
            ours,
            theirs,
        )
        assert one.step == other.step == 4
        for a, b in ((one.g, other.g), (one.d, other.d), (one.average, other.average)):
            for (key, x), y in zip(a.state_dict().items(), b.state_dict().values(), strict=True):
                difference = (x - y).abs().float()
                assert difference.mean() < 1e-4, f"{key}: {difference.mean()}"
    assert len({state_digest(p.state()) for p in packed}) == len(packed), "each pair is its own"


@pytest.mark.parametrize(
    "changes",
    [{}, {"batch_size": 20}, FOURIER, {**IMAGES, "num_pairs": 5}],
    ids=["losses at once", "losses one by one", "fourier", "dcgan"],
)
def test_a_pairs_bits_do_not_depend_on_who_is_in_the_pack(changes: dict[str, Any]) -> None:
    """What makes a run in packs repeatable: however its orders came together."""
    together, apart = pairs_of(**changes), pairs_of(**changes)
    board = Shelves()
    Pack(together).train(3, board)
    Pack([apart[3], apart[0]]).train(3, board)
    Pack([apart[4], apart[2], apart[1]]).train(3, board)
    assert [state_digest(p.state()) for p in together] == [state_digest(p.state()) for p in apart]


@pytest.mark.parametrize("name", [n for n in names("loss") if n not in ("d2gan", "gman")])
@pytest.mark.parametrize("size", [32, 100, 128])
def test_losses_at_once_are_the_losses_one_by_one_bit_for_bit(name: str, size: int) -> None:
    loss = load_component("loss", {"name": name})
    real, fake = torch.randn(2, 7, size, generator=torch.Generator().manual_seed(0)).mul(4)
    real.requires_grad_()
    one_by_one = torch.stack(
        [loss.d_loss(r, f) for r, f in zip(real, fake, strict=True)]  # type: ignore[attr-defined]
    )
    (expected,) = torch.autograd.grad(one_by_one.sum(), real)
    at_once = each(loss.d_loss, real, fake)  # type: ignore[attr-defined]
    (found,) = torch.autograd.grad(at_once.sum(), real)
    assert torch.equal(at_once, one_by_one)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("restored", [False, True])
@pytest.mark.parametrize("changes", [{"pair": {"ema": 0.9}}, IMAGES], ids=["mlp", "batch norm"])
def test_what_was_put_back_trains_as_if_nothing_had_been(
    changes: dict[str, Any], restored: bool
) -> None:
    """Also where the pairs' tensors were not the pack's any more, as after a restore."""
    pairs, board = pairs_of(**changes), Shelves()
    pack = Pack(pairs)
    pack.train(2, board)
    if restored:
        states = [unpack(bundle(p.state())) for p in pairs]
        pack.train(2, board)
        for pair, state in zip(pairs, states, strict=True):
            pair.restore(state)
        assert not pack.bound
    before = [state_digest(p.state()) for p in pairs]
    put_back = pack.snapshot()
    pack.train(2, board)
    after = [state_digest(p.state()) for p in pairs]
    put_back()
    assert [state_digest(p.state()) for p in pairs] == before
    pack.train(2, board)
    assert [state_digest(p.state()) for p in pairs] == after != before


def test_a_pack_is_bound_while_each_network_of_each_pair_is() -> None:
    pairs = pairs_of(pair={"ema": 0.9})
    pack = Pack(pairs)
    pack.train(1, Shelves())
    for network in (pairs[0].g, pairs[1].d, pairs[2].average):
        parameter = next(network.parameters())
        kept, parameter.data = parameter.data, parameter.data.clone()
        assert not pack.bound
        parameter.data = kept
        assert pack.bound


@pytest.mark.parametrize("kind", ["g", "average"])
def test_a_buffer_with_another_place_unbinds_a_pack(kind: str) -> None:
    pairs = pairs_of(**IMAGES, pair={"ema": 0.9})
    pack = Pack(pairs)
    buffer = next(getattr(pairs[1], kind).buffers())
    assert pack.bound
    buffer.data = buffer.data.clone()
    assert not pack.bound


def test_averages_keep_their_buffers_where_rounds_are_uneven() -> None:
    """A round in which each pair trains by itself lies between two of the pack."""
    pairs, board, packs = pairs_of(**IMAGES, pair={"ema": 0.9}), Shelves(), Packs(True)
    for counts in ((2, 2, 2), (2, 1, 2), (2, 2, 2), (1, 1, 1)):
        orders = [Train(p.name, n) for p, n in zip(pairs, counts, strict=True)]
        host_all({p.name: p for p in pairs}, orders, board, 0, packs)
        for pair in pairs:
            held = zip(pair.average.buffers(), pair.g.buffers(), strict=True)
            assert all(torch.equal(ours, theirs) for ours, theirs in held), counts
    assert packs.packs, "nothing was packed"


def test_each_pair_of_a_pack_follows_the_schedule_at_its_own_step() -> None:
    """As in async, or where one has joined: a pack asks for equal counts, not for equal steps."""
    pair = {"ema": 0.5, "schedule": {**MOVES, "ema": 0.999, "steps": 20}}
    alone, packed = (pairs_of(num_pairs=3, pair=pair) for _ in range(2))
    board = Shelves()
    for pairs in (alone, packed):
        pairs[1].train(10, board)
    for one in alone:
        one.train(4, board)
    Pack(packed).train(4, board)
    for one, other in zip(alone, packed, strict=True):
        for a, b in ((one.g, other.g), (one.d, other.d), (one.average, other.average)):
            assert np.abs(flatten(a) - flatten(b)).max() < 1e-4


def test_a_look_at_each_d_moves_no_buffer() -> None:
    looked, not_looked = pairs_of(**IMAGES), pairs_of(**IMAGES)
    a, b = Pack(looked), Pack(not_looked)
    a.one_step([Meter() for _ in looked])
    b.one_step(None)
    assert [state_digest(p.state()) for p in looked] == [
        state_digest(p.state()) for p in not_looked
    ]


def test_a_weight_that_is_not_finite_is_found_and_named() -> None:
    pairs = pairs_of()
    pack = Pack(pairs)
    pack.train(1, Shelves())
    pack.check()
    with torch.no_grad():
        next(pairs[3].d.parameters())[0] = torch.inf
    with pytest.raises(NonFiniteError, match="pair-03"):
        pack.check()


def test_one_pairs_nan_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bad step is skipped and counted for the pair that made it; the others' bits do not know
    of it.
    """
    clean, struck = pairs_of(), pairs_of()
    board = Shelves()
    blur = Pair.blur

    def spoilt(self: Pair, x: torch.Tensor, stream: torch.Generator) -> torch.Tensor:
        return x * torch.nan if self is struck[2] and self.step == 1 else blur(self, x, stream)

    for pairs in (clean, struck):
        for pair in pairs:
            pair.config = pair.config.model_copy(
                update={"input_noise": 1e-9}
            )  # so that blur is called
    monkeypatch.setattr(Pair, "blur", spoilt)
    packs = Pack(clean), Pack(struck)
    for pack in packs:
        pack.train(1, board)
    before = flatten(struck[2].g).copy(), flatten(struck[2].d).copy()
    packs[1].train(1, board)
    assert struck[2].bad_steps.total == 1
    assert (before[0] == flatten(struck[2].g)).all()
    assert (before[1] == flatten(struck[2].d)).all()
    packs[0].train(1, board)
    for pack in packs:
        pack.train(2, board)
    same = [
        state_digest(a.state()) == state_digest(b.state())
        for a, b in zip(clean, struck, strict=True)
    ]
    assert same == [True, True, False, True, True]
    assert struck[2].step == 4


def test_state_and_swap_go_through_a_pack() -> None:
    """A restored pack goes on bit for bit; a swapped discriminator arrives in the taker's slice,
    optimizer and all.
    """
    through, first = pairs_of(), pairs_of()
    board = Shelves()
    pack = Pack(through)
    pack.train(5, board)
    parcel = through[1].offer("D", "all")
    through[0].adopt("D", parcel)
    pack.train(5, board)
    Pack(first).train(5, board)
    states = [p.state() for p in first]
    again = pairs_of()
    resumed = Pack(again)
    resumed.train(2, board)  # something else lies in the slices
    for pair, state in zip(again, states, strict=True):
        pair.restore(state)
    again[0].adopt("D", again[1].offer("D", "all"))
    resumed.train(5, board)
    assert [state_digest(p.state()) for p in through] == [state_digest(p.state()) for p in again]
    assert through[0].identity["D"] == "pair-01"


def test_publications_are_those_of_the_moment() -> None:
    """Each pair publishes each version that is due, as it was at that step."""
    pairs, board = pairs_of(Sharing(every=1)), Shelves()
    Pack(pairs).train(4, board)
    for pair in pairs:
        found = board.between([pair.name], 0, 4)[pair.name]
        assert [p.version for p in found] == [1, 2, 3, 4]
        assert (found[-1].arrays["D"] == flatten(pair.d)).all()
        assert not (found[-2].arrays["D"] == flatten(pair.d)).all()
        assert not found[0].arrays["D"].flags.writeable


@pytest.mark.parametrize("samples", [0, 3])
@pytest.mark.parametrize("changes", [{}, IMAGES], ids=["mlp", "batch norm"])
def test_what_a_pack_publishes_is_what_its_pairs_would(
    samples: int, changes: dict[str, Any]
) -> None:
    sharing = Sharing(every=1, samples=samples, optimizer=True)
    pairs, board = pairs_of(sharing, **changes), Shelves()
    Pack(pairs).train(2, board)
    before = [state_digest(p.state()) for p in pairs]
    for name, publication in board.newest([p.name for p in pairs]).items():
        pair = pairs[int(name[-2:])]
        expected = pair.publication().arrays
        assert publication.arrays.keys() == expected.keys()
        for key, array in expected.items():
            found = publication.arrays[key]
            assert found.shape == array.shape
            assert not found.flags.writeable
            assert (
                np.allclose(found, array, rtol=1e-4, atol=1e-5)
                if key == "samples"
                else (found == array).all()
            )
    assert [state_digest(p.state()) for p in pairs] == before


def test_publications_do_not_depend_on_who_is_in_the_pack() -> None:
    sharing = Sharing(every=1, samples=2)
    together, apart, boards = pairs_of(sharing), pairs_of(sharing), [Shelves(), Shelves()]
    Pack(together).train(2, boards[0])
    Pack([apart[3], apart[0]]).train(2, boards[1])
    Pack([apart[4], apart[2], apart[1]]).train(2, boards[1])
    one, other = (b.newest([p.name for p in together]) for b in boards)
    for name, publication in one.items():
        assert all((a == other[name].arrays[key]).all() for key, a in publication.arrays.items()), (
            name
        )


def test_a_nan_in_a_pack_is_not_published_and_is_its_pairs() -> None:
    pairs = pairs_of(Sharing(every=1, samples=1))
    pack = Pack(pairs)
    pack.train(1, Shelves())
    with torch.no_grad():
        next(pairs[3].d.parameters())[0] = torch.nan
    with pytest.raises(NonFiniteError, match="pair-03"):
        pack.publish(Shelves())


def test_whoever_cannot_be_batched_is_told_why() -> None:
    assert why_not(pairs_of()) is None
    assert "RMSProp" in str(why_not(pairs_of(pair={"optimizer": "rmsprop"})))
    unlike = [*pairs_of(), *pairs_of(network={"name": "mlp", "hidden": 16})]
    assert why_not(unlike) == "their networks have other shapes"
    assert why_not([*pairs_of(), *pairs_of(pair={"lr_g": 3e-3})]) == "their settings differ"
    assert why_not([*pairs_of(), *pairs_of(Sharing(every=2))]) == "their settings differ"
    one = pairs_of()[0]
    assert why_not([one, one]) == "they share layers"


@pytest.mark.parametrize(
    ("strategy", "tempo"),
    [("independent", "lockstep"), ("sgan", "lockstep"),
     ({"name": "gap", "swap_every": 4}, "lockstep"), ("sgan", "async")],
)  # fmt: skip
def test_a_run_in_packs_ends_and_resumes_bit_for_bit(strategy: Any, tempo: str) -> None:
    """Five pairs, two an actor, inline: the same final states with and without a stop in the
    middle; every step counted.
    """
    config = tiny_config(
        strategy=strategy,
        num_pairs=5,
        tempo=tempo,
        resources={"pairs_per_actor": 2},
        evaluation={"every_steps": 12},
    )
    setup = setup_of(config)
    whole = final_states(config, lambda: InlineExecutor(setup))
    assert {int(str(unpack(raw)["step"])) for raw in whole.values()} == {12}
    if tempo == "lockstep":
        for stop_at in (4, 8):
            memory: dict[str, Any] = {}
            stopped = final_states(
                config, lambda: InlineExecutor(setup), stop_at=stop_at, memory=memory
            )
            resumed = final_states(
                config, lambda: InlineExecutor(setup), states=stopped, memory=memory
            )
            assert (result := compare("resumed", whole, resumed)).ok, result.text


def test_homes_stay_when_members_change() -> None:
    """By number: whoever leaves or joins moves nobody else."""
    config = tiny_config(num_pairs=5, resources={"pairs_per_actor": 2})
    players = [*map(pair_name, range(5)), "global"]
    assert homes(config, players) == [
        ["pair-00", "pair-01"],
        ["pair-02", "pair-03"],
        ["pair-04"],
        ["global"],
    ]
    left = config.model_copy(update={"members": (1, 2, 3, 4, 5), "num_pairs": 5})
    names = [pair_name(i) for i in left.ids]
    assert homes(left, names) == [["pair-01"], ["pair-02", "pair-03"], ["pair-04", "pair-05"]]


def test_auto_takes_what_is_faster_and_says_what_it_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = tiny_config(num_pairs=6, resources={"pairs_per_actor": "auto"})
    measured = iter([10.0, 4.0, 4.0, 10.0])
    monkeypatch.setattr(packing, "milliseconds", lambda work: next(measured))
    settled, facts = packing.settle(setup_of(config), places=2)
    assert (settled.resources.pairs_per_actor, settled.resources.batched) == (3, True)
    assert (facts["alone_ms"], facts["packed_ms"]) == (10.0, 4.0)
    again = packing.settle(setup_of(config), places=2)[0].resources
    assert (again.pairs_per_actor, again.batched) == (
        3,
        False,
    ), "one after the other was faster this time"
    assert packing.settle(setup_of(config), places=6)[0].resources.pairs_per_actor == 1, (
        "a place for each"
    )
    other = tiny_config(
        num_pairs=6, pair={"optimizer": "rmsprop"}, resources={"pairs_per_actor": "auto"}
    )
    settled, facts = packing.settle(setup_of(other), places=1)
    assert (settled.resources.pairs_per_actor, settled.resources.batched) == (6, False)
    assert "RMSProp" in facts["why"]


def test_who_is_not_batched_is_warned_about(tmp_path: Path) -> None:
    flags = {
        **TINY,
        "num_pairs": 3,
        "steps": 4,
        "pair.optimizer": "rmsprop",
        "resources": {"pairs_per_actor": 3},
    }
    run = train(resolve(None, flags=flags), run_dir=tmp_path, name="slow", inline=True)
    assert any(n.startswith("W107") for n in run.info["warnings"])
    flags |= {"pair.optimizer": "adam", "resources": {"pairs_per_actor": "auto"}}
    auto = train(resolve(None, flags=flags), run_dir=tmp_path, name="auto", inline=True)
    assert auto.info["packs"]["pairs_per_actor"] == auto.config.resources.pairs_per_actor == 3
    assert auto.config.resources.batched == (
        auto.info["packs"]["packed_ms"] < auto.info["packs"]["alone_ms"]
    )


@pytest.mark.parametrize(
    ("hidden", "batched", "at_once"),
    [(32, None, True), (512, None, False), (512, True, True), (32, False, False)],
)
def test_large_networks_are_batched_on_request_only(
    hidden: int, batched: bool | None, at_once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measured: on a CPU one model of many large networks is no faster."""
    config = tiny_config(
        strategy="independent",
        num_pairs=2,
        steps=2,
        network={"name": "mlp", "hidden": hidden, "z_dim": 8},
        resources={"pairs_per_actor": 2, "batched": batched},
    )
    trained: list[int] = []
    train_all = Pack.train
    monkeypatch.setattr(
        Pack,
        "train",
        lambda self, steps, board: (trained.append(steps), train_all(self, steps, board))[1],
    )
    final_states(config, lambda: InlineExecutor(setup_of(config)))
    assert bool(trained) == at_once
