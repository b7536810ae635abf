"""Pairs of a class of their own, and with networks, optimizers or losses of their own, where pairs
share a process: batched only where that is what they would do by themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from inspect import getattr_static
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import raygan
from raygan.components import names
from raygan.controller.worker import Packs, Shelves, host_all
from raygan.gan.pair import Pair, Sharing
from raygan.gan.types import Board, Report
from raygan.gan.weights import Publication, Vector, flatten, unflatten
from raygan.losses.dragan import Dragan
from raygan.networks.base import Logits
from raygan.service import autopack as packing
from raygan.strategies.base import pair_name
from raygan.strategies.batching.alike import LEFT_TO_PAIRS, why_not
from raygan.strategies.batching.fits import one_at_a_time
from raygan.strategies.batching.pack import Pack
from raygan.strategies.independent import Independent
from raygan.strategies.orders import Train
from tests.conftest import setup_of, state_digest, tiny_config

CONFIG: dict[str, Any] = {
    "strategy": "independent",
    "num_pairs": 3,
    "network": {"name": "mlp", "hidden": 16, "z_dim": 2},
    "batch_size": 32,
}
METHODS = sorted(
    {n for kind in (Pair, Pair.__base__) for n in vars(kind) if not n.startswith("__")}
)


def pairs_of(
    kind: Callable[..., Pair] = Pair, sharing: Sharing | None = None, **changes: Any
) -> list[Pair]:
    setup = setup_of(tiny_config(**{**CONFIG, **changes}))
    return [kind(name, setup.parts(name), sharing) for name in map(pair_name, range(3))]


class FedPair(Pair):
    """Takes up the mean of what all have published before it trains."""

    def train(self, steps: int, board: Board) -> Report:
        """Federated averaging of D."""
        if found := board.newest([pair_name(i) for i in range(3)]):
            unflatten(
                self.d, np.mean([p.arrays["D"] for p in found.values()], axis=0, dtype=np.float32)
            )
        return super().train(steps, board)


def test_a_pair_with_its_own_training_trains_so_among_others() -> None:
    """Three in a process that batches what it can, and three one after the other: the same bits."""
    packed, alone = (pairs_of(FedPair, Sharing(every=2)) for _ in range(2))
    boards = Shelves(), Shelves()
    packs = Packs(True)
    for _ in range(3):
        orders = [Train(p.name, 2) for p in packed]
        host_all({p.name: p for p in packed}, orders, boards[0], 0, packs)
        for pair in alone:
            pair.train(2, boards[1])
    assert [state_digest(p.state()) for p in packed] == [state_digest(p.state()) for p in alone]
    assert why_not(packed) == "pair-00 is a FedPair with a method train() of its own"


def with_own(name: str, called: list[str]) -> type[Pair]:
    """A class whose method `name` is a plain one that notes when it is called."""
    plain = getattr_static(Pair, name)
    if isinstance(plain, property):
        return type(
            "Own",
            (Pair,),
            {name: property(lambda self: (called.append(name), plain.fget(self))[1])},
        )  # type: ignore[misc]
    return type(
        "Own", (Pair,), {name: lambda self, *a, **k: (called.append(name), plain(self, *a, **k))[1]}
    )


@pytest.mark.parametrize("name", METHODS)
def test_only_methods_that_a_pack_leaves_to_the_pair_may_be_its_own(name: str) -> None:
    """Whatever is called alone is called in a pack as often, or the pair is not batched."""
    counts = []
    for packed in (False, True):
        called: list[str] = []
        pairs = pairs_of(
            with_own(name, called),
            Sharing(every=1, samples=1),
            pair={"ema": 0.9, "input_noise": 0.1},
        )
        why = why_not(pairs)
        if name not in LEFT_TO_PAIRS:
            assert why == f"pair-00 is a Own with a method {name}() of its own"
            return
        assert why is None
        called.clear()
        board, pack = Shelves(), Pack(pairs) if packed else None
        for _ in range(2):
            if pack is not None:
                pack.train(2, board)
            else:
                for pair in pairs:
                    pair.train(2, board)
        counts.append(len(called))
    assert counts[0] == counts[1]


def test_the_list_of_methods_is_of_methods_that_there_are() -> None:
    assert set(METHODS) > LEFT_TO_PAIRS


def test_one_pair_among_plain_ones_is_enough() -> None:
    pairs = pairs_of()
    pairs[2].one_step = lambda probe=None: {}  # type: ignore[method-assign]
    assert why_not(pairs) == "pair-02 is a Pair with a method one_step() of its own"


def test_a_class_may_add_what_a_plain_pair_does_not_have() -> None:
    class More(Pair):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self.seen = 0

        def noise(self, stream: torch.Generator) -> Tensor:
            self.seen += 1
            return super().noise(stream).abs()

    pairs, plain, board = pairs_of(More), pairs_of(), Shelves()
    assert why_not(pairs) is None
    Pack(pairs).train(2, board), Pack(plain).train(2, board)
    assert [p.seen for p in pairs] == [4, 4, 4]  # type: ignore[attr-defined]
    assert state_digest(pairs[0].state()) != state_digest(plain[0].state())


def test_a_publication_of_its_own_is_what_a_pack_publishes() -> None:
    class Louder(Pair):
        def publication(self, d: Vector | None = None, g: Vector | None = None) -> Publication:
            assert d is None
            assert g is None
            found = super().publication()
            return replace(found, arrays={**found.arrays, "mine": np.ones(1, np.float32)})

    pairs, board = pairs_of(Louder, Sharing(every=1)), Shelves()
    Pack(pairs).train(1, board)
    assert all("mine" in p.arrays for p in board.newest([p.name for p in pairs]).values())


class Scaled(nn.Linear):
    """A layer that is no linear one, though it is made like one."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


def spectral(d: nn.Sequential) -> None:
    nn.utils.parametrizations.spectral_norm(d[1])


def twice(d: nn.Sequential) -> None:
    d[5] = d[3]


def tied(d: nn.Sequential) -> None:
    d[5].weight = d[3].weight


def frozen(d: nn.Sequential) -> None:
    d[3].requires_grad_(False)


def scaled(d: nn.Sequential) -> None:
    d[3] = Scaled(16, 16)


def patched(d: nn.Sequential) -> None:
    d[3].forward = lambda x: x


CHANGES: dict[str, tuple[Callable[[Any], object], str]] = {
    "a subclass of a layer": (scaled, "layers of kind Scaled"),
    "spectral norm": (spectral, "layers of kind ParametrizedLinear"),
    "the old spectral norm": (lambda d: nn.utils.spectral_norm(d[1]), "hooks"),
    "a hook on a layer": (lambda d: d[3].register_forward_hook(lambda m, i, o: o * 2), "hooks"),
    "a hook before a layer": (lambda d: d[3].register_forward_pre_hook(lambda m, i: i), "hooks"),
    "a hook on all": (lambda d: d.register_forward_hook(lambda m, i, o: o * 2), "hooks"),
    "a hook on a gradient": (lambda d: d[3].weight.register_hook(lambda g: g * 2), "hooks"),
    "a forward of its own": (patched, "hooks"),
    "a frozen layer": (frozen, "layers that do not train"),
    "a layer in eval mode": (lambda d: d[2].eval(), "layers that do not train"),
    "a layer twice": (twice, "layers that come twice"),
    "one weight twice": (tied, "layers that come twice"),
    "flattened from elsewhere": (
        lambda d: setattr(d[0], "start_dim", 0),
        "Flatten with start_dim 0",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_networks_that_a_batched_model_would_compute_otherwise(change: str) -> None:
    pairs = pairs_of()
    for pair in pairs:
        CHANGES[change][0](pair.d)
        pair.opt_d = pair.optimizer(pair.d, pair.config.lr_d)
    assert CHANGES[change][1] in str(why_not(pairs))


@pytest.mark.parametrize(
    ("layer", "what"),
    [
        (nn.Conv2d(1, 4, 3, dilation=2), "dilation"),
        (nn.Conv2d(2, 4, 3, groups=2), "groups"),
        (nn.Conv2d(1, 4, 3, padding=1, padding_mode="circular"), "padding_mode"),
        (nn.Conv2d(1, 4, 3, padding="same"), "as layer 0 has it"),
        (nn.ConvTranspose2d(1, 4, 3, stride=2, output_padding=1), "output_padding"),
        (nn.BatchNorm2d(1, affine=False), "affine"),
        (nn.BatchNorm2d(1, track_running_stats=False), "track_running_stats"),
        (nn.BatchNorm2d(1, momentum=None), "as layer 0 has it"),
        (nn.GroupNorm(1, 1, affine=False), "affine"),
    ],
    ids=str,
)
def test_settings_of_layers_that_are_not_batched(layer: nn.Module, what: str) -> None:
    pairs = pairs_of()
    pairs[1].d = nn.Sequential(layer, nn.Flatten(), Logits())
    assert what in str(why_not(pairs))


def test_a_network_that_is_one_layer_is_not_batched() -> None:
    pairs = pairs_of()
    pairs[0].g = nn.Linear(2, 2)
    assert why_not(pairs) == "layers of kind Linear are not batched"


def test_linear_layers_without_a_bias_are_batched() -> None:
    def bare(name: str, parts: Any, sharing: Any) -> Pair:
        d = nn.Sequential(
            nn.Linear(2, 8, bias=False), nn.ReLU(), nn.Linear(8, 1, bias=False), Logits()
        )
        (
            torch.nn.init.constant_(d[0].weight, 0.3 + int(name[-1])),
            torch.nn.init.constant_(d[2].weight, 0.1),
        )
        return Pair(name, replace(parts, discriminator=d), sharing)

    alone, packed, board = pairs_of(bare), pairs_of(bare), Shelves()
    assert why_not(packed) is None
    Pack(packed).train(2, board)
    for one, other in zip(alone, packed, strict=True):
        one.train(2, board)
        assert np.allclose(flatten(one.d), flatten(other.d), atol=1e-5)


@pytest.mark.parametrize("setting", [{"slope": 0.2}, {"output": "tanh"}])
def test_pairs_with_other_layers_of_the_same_shapes_are_not_one_model(
    setting: dict[str, Any],
) -> None:
    """A pack computes with the first pair's layers: the others' slopes would have been lost."""
    network = {"network": {**CONFIG["network"], **setting}}
    assert why_not([*pairs_of()[:2], *pairs_of(**network)[2:]]) in (
        "their networks have layers with other settings", "their networks have other shapes",
    )  # fmt: skip
    assert why_not(pairs_of(**network)) is None


OPTIMIZERS: dict[str, Callable[[nn.Module], torch.optim.Optimizer]] = {
    "sgd": lambda d: torch.optim.SGD(d.parameters(), 0.1),
    "adamw": lambda d: torch.optim.AdamW(d.parameters(), 0.1, fused=True),
    "torch's adam": lambda d: torch.optim.Adam(d.parameters(), 0.1, fused=True),
}


@pytest.mark.parametrize(
    "which",
    [*OPTIMIZERS, "weight decay", "amsgrad", "two groups", "a part", "a hook", "an average"],
)
def test_an_optimizer_of_its_own_is_not_batched(which: str) -> None:
    pairs = pairs_of()
    pair = pairs[1]
    group, why = pair.opt_d.param_groups[0], "pair-01 has an optimizer of its own"
    if which in OPTIMIZERS:
        pair.opt_d = OPTIMIZERS[which](pair.d)
    elif which == "two groups":
        pair.opt_d.add_param_group({**group, "params": [group["params"].pop()]})
    elif which == "a part":
        group["params"].pop()
    elif which == "a hook":
        pair.opt_d.register_step_pre_hook(lambda *_: None)
    elif which == "an average":
        pair.average, why = pairs_of()[1].g, "pair-01 has an average of G of its own"
    else:
        group |= {"weight_decay": 0.1} if which == "weight decay" else {"amsgrad": True}
    assert why_not(pairs) == why


def test_rates_may_differ() -> None:
    pairs = pairs_of()
    pairs[1].opt_d.param_groups[0]["lr"] = 0.5
    assert why_not(pairs) is None


def test_a_loss_with_a_penalty_of_its_own_is_not_batched() -> None:
    class Mine(Dragan):
        def penalty(self, *_: object) -> Tensor:
            return torch.zeros(())

    setup = setup_of(tiny_config(**CONFIG))
    pairs = [Pair(n, replace(setup.parts(n), loss=Mine())) for n in map(pair_name, range(3))]
    assert why_not(pairs) == "the penalty of loss Mine is not batched"


def test_every_kind_of_process_is_looked_at_for_the_warning() -> None:
    """Also where the largest one is batched: pair-02 and pair-03 live together, and are unlike."""
    config = tiny_config(
        strategy="independent", num_pairs=4, resources={"pairs_per_actor": 2},
        pairs=[{"count": 3}, {"count": 1, "pair": {"prior": "uniform"}}],
    )  # fmt: skip
    assert packing.not_batched(setup_of(config)) == (2, "their settings differ")


def test_the_warning_says_which_class_and_which_method(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Independent,
        "build",
        lambda self, name, setup, sharing=None: FedPair(name, setup.parts(name)),
    )
    config = tiny_config(**CONFIG, resources={"pairs_per_actor": 3})
    assert packing.not_batched(setup_of(config)) == (
        3,
        "pair-00 is a FedPair with a method train() of its own",
    )


ALONE = {
    "d_loss of loss own.py:Own": "real.mean().item() - fake.mean()",
    "d_loss of loss own.py:Own, a branch": (
        "fake.mean() - real.mean() if fake.mean() > real.mean() else fake.square().mean()"
    ),
    "d_loss of loss own.py:Own, random": "(fake * torch.rand(fake.shape)).mean() - real.mean()",
    "penalty_of of loss own.py:Own": "F.softplus(-real).mean() + F.softplus(fake).mean()",
}
OWN = """
import torch
import torch.nn.functional as F

from raygan.losses.base import LossComponent

class Own(LossComponent):
    def d_loss(self, real, fake):
        return {}

    def g_loss(self, fake, real=None):
        return F.softplus(-fake).mean()

    def penalty_points(self, real, fake, generator):
        return real

    def penalty_of(self, norms):
        return (norms - 1).square().mean({})
"""


@pytest.mark.parametrize(
    "strategy", ["independent", pytest.param("sgan", marks=pytest.mark.exhaustive)]
)
@pytest.mark.parametrize("why", ALONE)
def test_a_loss_that_takes_one_batch_at_a_time_is_trained_one_by_one_and_told(
    why: str, strategy: str, tmp_path: Path
) -> None:
    """In a pack and among SGAN's messengers; W107 names it, and the weights are those of pairs in
    processes of their own.
    """
    file = tmp_path / "own.py"
    file.write_text(OWN.format(ALONE[why], "" if why.startswith("penalty") else "-1"))
    ends = []
    for packed in (3, 1):
        settings = {**CONFIG, "strategy": strategy, "steps": 4, "loss": str(file),
                    "resources": {"pairs_per_actor": packed},
                    "evaluation": {"samples": 1600}}  # fmt: skip
        run = raygan.train(
            None, run_dir=tmp_path / "runs", name=str(packed), inline=True, **settings
        )
        ends.append([run.generator(p).sample(4) for p in ("pair:0", "pair:2")])
        told = [
            e["text"] for e in run.events if e["kind"] == "warning" and e["name"].startswith("W107")
        ]
        assert any(why.partition(",")[0] in text for text in told) == (packed == 3)
    if "random" not in why:
        assert np.array_equal(*ends)


@pytest.mark.parametrize("name", [n for n in names("loss") if n not in ("gman", "d2gan")])
def test_each_loss_of_the_package_is_computed_for_several_pairs_at_once(name: str) -> None:
    loss = tiny_config(loss=name).component("loss")
    assert one_at_a_time(loss) is None  # type: ignore[arg-type]
