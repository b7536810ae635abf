"""Whatever layers a network has: all of its numbers come from its player's stream alone, and a
checkpoint and a swap take them.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune

from raygan.controller.worker import Shelves
from raygan.errors import ConfigError
from raygan.gan.pair import Pair
from raygan.gan.random_streams import Streams
from raygan.gan.weights import duplicate, flatten, tensors, unflatten
from raygan.networks.base import Logits, NetworkComponent, has_batch_norm
from raygan.networks.initial import Init, seeded
from tests.conftest import setup_of, state_digest, tiny_config

WIDTH = 8
Make = Callable[[], nn.Module]


class First(nn.Module):
    """A recurrent layer, or attention, over samples (N, WIDTH) as one step of a sequence."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        x = x.unsqueeze(1)
        out: Tensor = (
            self.layer(x, x, x) if isinstance(self.layer, nn.MultiheadAttention) else self.layer(x)
        )[0]
        return out.squeeze(1)


class Own(nn.Module):
    """Parameters and buffers of its own, from every global generator that there is."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.randn(WIDTH))
        self.register_buffer("mask", torch.rand(WIDTH, 3) > 0.5)
        self.register_buffer("order", torch.randperm(100)[:WIDTH])
        self.register_buffer(
            "below", -torch.randperm(100)[:WIDTH] - 1
        )  # its bits are those of a NaN
        self.register_buffer(
            "of_numpy", torch.from_numpy(np.random.rand(WIDTH)).float(), persistent=False
        )
        self.register_buffer("of_python", torch.tensor([random.random() for _ in range(WIDTH)]))

    def forward(self, x: Tensor) -> Tensor:
        mask, order = self.get_buffer("mask"), self.get_buffer("order")
        out: Tensor = (
            x * self.scale * mask[:, 0] + self.get_buffer("of_numpy") + self.get_buffer("of_python")
        )
        return out[:, order % WIDTH]


class Words(nn.Module):
    """An embedding, looked up by the sign of each feature."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.table((x > 0).long()).mean(-1)


class Half(nn.Module):
    """A parametrization without an inverse."""

    def forward(self, x: Tensor) -> Tensor:
        return x / 2


def normed(norm: Callable[..., nn.Module], *args: object) -> Make:
    return lambda: norm(nn.Linear(WIDTH, WIDTH), *args)


def halved() -> nn.Module:
    layer = nn.Linear(WIDTH, WIDTH)
    parametrize.register_parametrization(layer, "weight", Half())
    return layer


KINDS: dict[str, Make] = {
    "linear": lambda: nn.Linear(WIDTH, WIDTH),
    "spectral norm": normed(parametrizations.spectral_norm),
    "spectral norm, a hook": normed(nn.utils.spectral_norm),
    "weight norm": normed(parametrizations.weight_norm),
    "weight norm, a hook": normed(nn.utils.weight_norm),
    "weight norm of the whole, a hook": normed(nn.utils.weight_norm, "weight", None),
    "orthogonal": normed(parametrizations.orthogonal),
    "no inverse": halved,
    "pruned": normed(prune.random_unstructured, "weight", 0.5),
    "gru": lambda: First(nn.GRU(WIDTH, WIDTH, batch_first=True)),
    "lstm": lambda: First(nn.LSTM(WIDTH, WIDTH, batch_first=True)),
    "attention": lambda: First(nn.MultiheadAttention(WIDTH, 2, batch_first=True)),
    "embedding": Words,
    "prelu": nn.PReLU,
    "frozen": lambda: nn.Linear(WIDTH, WIDTH).requires_grad_(False),
    "bilinear, convolutions": lambda: nn.Sequential(
        nn.Unflatten(1, (1, WIDTH, 1, 1)),
        nn.Conv3d(1, 2, 1),
        nn.ConvTranspose3d(2, 1, 1),
        nn.BatchNorm3d(1),
        nn.Flatten(),
    ),
    "own": Own,
    "lazy": lambda: nn.Sequential(nn.LazyLinear(WIDTH), nn.LazyBatchNorm1d()),
}
CONSTANT = ("orthogonal", "1.parametrizations.weight.original")
"""A kind, and its tensor that is the same everywhere though its numbers differ: -1 on the diagonal,
beside a random `base`.
"""


class Odd(NetworkComponent):
    """One layer of a kind between two linear ones."""

    make: Make
    init: Init = "torch"

    @property
    def _init(self) -> Init:
        return self.init

    def _generator(self, shape: tuple[int, ...]) -> nn.Module:
        return nn.Sequential(nn.Linear(self.z_dim, WIDTH), self.make(), nn.Linear(WIDTH, *shape))

    def _discriminator(self, shape: tuple[int, ...], outputs: int = 1) -> nn.Module:
        return nn.Sequential(
            nn.Linear(*shape, WIDTH), self.make(), nn.Linear(WIDTH, outputs), Logits(outputs)
        )


def odd(kind: str, init: Init = "torch", judges: int = 1) -> Odd:
    return Odd(make=KINDS[kind], init=init, z_dim=3, judges=judges)


def stream(player: str) -> torch.Generator:
    return Streams(0, player).at("init-d")


def pair(kind: str, name: str) -> Pair:
    """A pair with an average of G: its networks are copied too."""
    parts = setup_of(tiny_config(pair={"ema": 0.9}, batch_size=8)).parts(name)
    network = odd(kind)
    g, d = (
        network.generator((2,), Streams(0, name).at("init-g")),
        network.discriminator((2,), stream(name)),
    )
    return Pair(name, replace(parts, generator=g, discriminator=d, z_dim=network.z_dim))


pytestmark = pytest.mark.filterwarnings(
    "ignore:.*weight_norm.* is deprecated", "ignore:Lazy modules are a new feature"
)


@pytest.mark.parametrize("init", ["torch", "normal", "own"])
@pytest.mark.parametrize("kind", KINDS)
def test_two_players_have_no_random_number_in_common(kind: str, init: Init) -> None:
    one, other = (
        dict(tensors(odd(kind, init).discriminator((2,), stream(p))))
        for p in ("pair-00", "pair-01")
    )
    for name, tensor in one.items():
        if torch.equal(tensor, other[name]) and (kind, name) != CONSTANT:
            assert tensor.unique().numel() == 1, f"{name} is random, and the same for both players"


@pytest.mark.parametrize("init", ["torch", "normal", "own"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_global_random_state_is_neither_read_nor_moved(kind: str, init: Init) -> None:
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed), np.random.seed(seed), random.seed(seed)
        before = (
            torch.get_rng_state(),
            np.random.get_state()[1].copy(),  # type: ignore[index,union-attr]
            random.getstate(),
        )
        found.append([flatten(n) for n in networks(odd(kind, init, judges=2))])
        after = (
            torch.get_rng_state(),
            np.random.get_state()[1],  # type: ignore[index]
            random.getstate(),
        )
        assert torch.equal(before[0], after[0])
        assert (before[1] == after[1]).all()
        assert before[2] == after[2]
    assert all((a.view(np.uint8) == b.view(np.uint8)).all() for a, b in zip(*found, strict=True))


def networks(network: NetworkComponent) -> list[nn.Module]:
    return [
        network.generator((2,), stream("p")),
        network.discriminator((2,), stream("p")),
        network.classifier((2,), 4, stream("p")),
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_and_a_swap_take_every_number(kind: str) -> None:
    """A swapped D goes on after a restore as without one, whoever is built in its place."""
    board, one, other = Shelves(), pair(kind, "pair-00"), pair(kind, "pair-01")
    one.train(2, board), other.train(2, board)
    one.adopt("D", other.offer("D", "all"))
    assert (flatten(one.d).view(np.uint8) == flatten(other.d).view(np.uint8)).all()
    state = one.state()
    one.train(2, board)
    again = pair(kind, "pair-00")
    again.restore(state)
    again.train(2, board)
    assert state_digest(again.state()) == state_digest(one.state())
    assert (flatten(again.average).view(np.uint8) == flatten(one.average).view(np.uint8)).all()


@pytest.mark.parametrize(
    "kind",
    ["linear", "spectral norm", "spectral norm, a hook", "weight norm", "weight norm, a hook"],
)
def test_the_rule_holds_for_a_weight_that_is_computed(kind: str) -> None:
    """N(0, 0.02) reaches what the weight is made of; a spectral norm knows the new weight at its
    first batch.
    """
    d = odd(kind, "normal").discriminator((2,), stream("p"))
    d(torch.randn(4, 2))
    weight = d.get_submodule("1").weight
    assert isinstance(weight, Tensor)
    if "spectral" in kind:
        weight = dict(d.named_parameters())[
            "1.weight_orig" if "hook" in kind else "1.parametrizations.weight.original"
        ]
    assert weight.std().item() == pytest.approx(0.02, rel=0.3)
    if kind == "spectral norm":
        assert torch.linalg.matrix_norm(d.get_submodule("1").weight, 2).item() == pytest.approx(
            1, rel=0.05
        )  # type: ignore[arg-type]


def test_own_leaves_what_the_constructor_drew() -> None:
    with seeded(stream("p")):
        torch.rand(1)
        expected = nn.Linear(WIDTH, WIDTH)
    network = Odd(make=lambda: copy.deepcopy(expected), init="own", z_dim=3)
    assert torch.equal(
        network.discriminator((2,), stream("q")).get_parameter("1.weight"), expected.weight
    )


def test_a_constructors_numbers_are_not_the_streams_own() -> None:
    """The same sequence would make a layer that is drawn anew and one that is not copies of each
    other.
    """
    with seeded(stream("p")):
        drawn = torch.rand(5)
    assert not torch.isin(drawn, torch.rand(5, generator=stream("p"))).any()


def test_a_stream_that_has_moved_gives_another_network() -> None:
    moved = stream("p")
    one, other = (odd("own").discriminator((2,), moved) for _ in range(2))
    assert not torch.equal(one.get_parameter("1.scale"), other.get_parameter("1.scale"))


def test_a_lazy_layer_that_nothing_reaches_is_one_line() -> None:
    class Unused(nn.Linear):
        def __init__(self) -> None:
            super().__init__(WIDTH, WIDTH)
            self.spare = nn.LazyLinear(3)

    with pytest.raises(
        ConfigError, match=r"1\.spare\.weight has no shape after a first batch.*Use it in forward"
    ):
        Odd(make=Unused, z_dim=3).discriminator((2,), stream("p"))


def test_lazy_layers_leave_modes_and_statistics_alone() -> None:
    def make() -> nn.Module:
        return nn.Sequential(nn.LazyLinear(WIDTH), nn.LazyBatchNorm1d(), nn.Dropout().eval())

    d = Odd(make=make, z_dim=3).discriminator((2,), stream("p"))
    assert [m.training for m in d[1]] == [True, True, False]  # type: ignore[index,union-attr]
    assert d.get_buffer("1.1.num_batches_tracked") == 0
    assert has_batch_norm(d)


@pytest.mark.parametrize("kind", KINDS)
def test_networks_can_be_copied_after_a_batch(kind: str) -> None:
    """torch refuses where a hook keeps a computed weight; SGAN's messengers and the average of G
    are such copies.
    """
    d, x = odd(kind).discriminator((2,), stream("p")), torch.randn(4, 2)
    d(x).sum().backward()
    copied = duplicate(d)
    assert torch.equal(copied.eval()(x), d.eval()(x))
    unflatten(copied, flatten(odd(kind).discriminator((2,), stream("q"))))
    assert torch.equal(d(x), d(x))
    assert {id(t) for _, t in tensors(copied)}.isdisjoint({id(t) for _, t in tensors(d)})


def test_a_layer_that_is_frozen_stays_so() -> None:
    """Also where D waits for G's step, beside an optimizer that travels, and after a restore."""
    board, one, other = Shelves(), pair("frozen", "pair-00"), pair("frozen", "pair-01")
    before = flatten(one.d.get_submodule("1")), flatten(one.g.get_submodule("1"))
    one.train(3, board)
    assert (flatten(one.d.get_submodule("1")) == before[0]).all()
    assert (flatten(one.g.get_submodule("1")) == before[1]).all()
    other.adopt("D", one.offer("D", "all"))
    other.restore(other.state())
    other.train(1, board)
    assert (flatten(other.d.get_submodule("1")) == before[0]).all()
