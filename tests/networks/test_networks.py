import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from raygan.config import load_component
from raygan.controller.worker import Shelves
from raygan.errors import ConfigError
from raygan.gan.pair import Pair
from raygan.gan.random_streams import Streams, sample_prior
from raygan.gan.weights import flatten, signature, unflatten
from raygan.networks.base import Category, NetworkComponent, Tuned, untuned
from raygan.networks.dcgan import Dcgan
from raygan.strategies.base import strategy_of
from raygan.strategies.batching.alike import why_not
from tests.conftest import setup_of, tiny_config


def component(**spec: object) -> NetworkComponent:
    out = load_component("network", spec)
    assert isinstance(out, NetworkComponent)
    return out


def stream(seed: int = 0) -> torch.Generator:
    return Streams(seed, "p").at("init")


@pytest.mark.parametrize("shape", [(2,), (1, 28, 28), (3, 32, 32)])
def test_mlp_makes_and_judges_any_shape(shape: tuple[int, ...]) -> None:
    net = component(name="mlp", hidden=8, z_dim=3)
    x = net.generator(shape, stream())(torch.randn(5, 3))
    assert x.shape == (5, *shape)
    assert net.discriminator(shape, stream())(x).shape == (5,)


@pytest.mark.parametrize("side", [28, 32, 64])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
def test_dcgan_makes_images_of_its_sizes(side: int, channels: int, norm: str) -> None:
    net = component(name="dcgan", width=4, z_dim=6, norm_d=norm, norm_g=norm)
    shape = (channels, side, side)
    x = net.generator(shape, stream())(torch.randn(2, 6))
    assert x.shape == (2, *shape)
    assert x.abs().max() <= 1
    assert net.discriminator(shape, stream())(x).shape == (2,)


def test_28_pixels_take_four_transposed_convolutions() -> None:
    g = component(name="dcgan", width=4).generator((1, 28, 28), stream())
    assert sum(isinstance(m, nn.ConvTranspose2d) for m in g.modules()) == 4
    g = component(name="dcgan", width=4).generator((3, 64, 64), stream())
    assert sum(isinstance(m, nn.ConvTranspose2d) for m in g.modules()) == 5


def test_dcgan_starts_from_normal_002_and_momentum_01() -> None:
    g = component(name="dcgan", width=32).generator((1, 28, 28), stream())
    for layer in g.modules():
        if isinstance(layer, nn.ConvTranspose2d) and layer.weight.numel() > 10_000:
            assert layer.weight.std().item() == pytest.approx(0.02, rel=0.03)
            assert abs(layer.weight.mean().item()) < 0.001
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.momentum == 0.1


def test_the_papers_toy_net() -> None:
    net = component(name="mlp")
    layers = [m for m in net.discriminator((2,), stream()) if isinstance(m, nn.Linear)]
    assert [(m.in_features, m.out_features) for m in layers] == [
        (2, 512),
        (512, 512),
        (512, 512),
        (512, 1),
    ]
    assert net.z_dim == 100
    assert {
        m.negative_slope
        for m in net.generator((2,), stream()).modules()
        if isinstance(m, nn.LeakyReLU)
    } == {0.01}


@pytest.mark.parametrize("name", ["mlp", "dcgan"])
def test_weights_depend_on_the_stream_alone(name: str) -> None:
    net = component(name=name)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    a, b, c = (net.generator((1, 28, 28), stream(s)).state_dict() for s in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state()), "the global generator is not touched"
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert not all(torch.equal(a[k], c[k]) for k in a)


@pytest.mark.parametrize("shape", [(2,), (1, 30, 30), (1, 28, 32)])
def test_dcgan_refuses_other_shapes_in_one_line(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match=r"28, 32 or 64 pixels"):
        component(name="dcgan").generator(shape, stream())


TUNED = {"precision": "bfloat16", "channels_last": True}
NETWORKS = [
    {"name": "mlp", "hidden": 16},
    {"name": "dcgan", "width": 4},
    {"name": "gran", "width": 4},
    {"name": "dcgan", "width": 4, "judges": 2},
]


@pytest.mark.parametrize("spec", NETWORKS)
def test_tuned_networks_are_the_same_networks(spec: dict[str, object]) -> None:
    shape = (1, 28, 28)
    plain, tuned = component(**spec), component(**spec, **TUNED)
    for make in ("generator", "discriminator"):
        a, b = (getattr(n, make)(shape, stream()) for n in (plain, tuned))
        assert signature(a) == signature(b)
        assert np.array_equal(flatten(a), flatten(b))
        x = torch.randn(8, 100) if make == "generator" else torch.randn(8, *shape)
        one, other = a(x), b(x)
        assert other.dtype == torch.float32
        assert not torch.equal(one, other), "it is another precision"
        assert torch.allclose(one, other, atol=0.05)
        assert torch.equal(copy.deepcopy(b)(x), b(x)), "a copy is tuned too"
        assert torch.equal(untuned(b)(x), a(x))


def test_a_slice_of_a_tuned_network_is_tuned() -> None:
    d = component(name="dcgan", width=4, **TUNED).discriminator((1, 28, 28), stream())
    assert isinstance(d, nn.Sequential)
    x = torch.randn(8, 1, 28, 28)
    d.eval()
    assert torch.allclose(d[-2:](d[:-2](x)), d(x), atol=1e-2)
    assert d[:-2].in_bfloat16
    assert d[:-2].channels_last


@pytest.mark.parametrize("loss", ["non_saturating", "wgan_gp", "dragan"])
def test_tuned_networks_train(loss: str) -> None:
    """Also where the loss differentiates twice. After a step: five of WGAN-GP differ by 20 % on
    some processors.
    """
    network = {"name": "dcgan", "width": 4, "z_dim": 8, "norm_d": "layer"}
    losses = []
    for switches in ({}, TUNED):
        config = tiny_config(network={**network, **switches}, data="mnist", loss=loss, batch_size=8)
        pair = Pair("pair-00", setup_of(config).parts("pair-00"))
        losses.append(pair.train(2, Shelves())["loss_d"])
        assert math.isfinite(pair.train(3, Shelves())["loss_d"])
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
    assert losses[0] != losses[1]


def test_pairs_that_share_layers_stay_tuned() -> None:
    config = tiny_config(
        network={"precision": "bfloat16"},
        strategy={"name": "independent", "share_weights": True},
        num_pairs=2,
    )
    setup = setup_of(config)
    pairs = [strategy_of(config).build(name, setup) for name in ("pair-00", "pair-01")]
    for network in (n for p in pairs for n in (p.d, p.g)):  # type: ignore[attr-defined]
        assert isinstance(network, Tuned)
        assert network.in_bfloat16
    assert pairs[0].d[1].weight is pairs[1].d[1].weight  # type: ignore[attr-defined]


def test_tuned_pairs_are_not_batched() -> None:
    config = tiny_config(network={"precision": "bfloat16"}, strategy="independent", num_pairs=2)
    setup = setup_of(config)
    pairs = [strategy_of(config).build(name, setup) for name in ("pair-00", "pair-01")]
    assert why_not(pairs) == "network.precision and network.channels_last are not batched"


def test_a_network_that_is_no_stack_of_layers_shares_none() -> None:
    config = tiny_config(
        data="mnist",
        network={"name": "gran", "width": 4},
        strategy={"name": "independent", "share_weights": True},
    )
    with pytest.raises(
        ConfigError, match=r"network gran is no plain stack of layers\. Use mlp, dcgan or text_cnn"
    ):
        strategy_of(config).check_setup(setup_of(config))


def test_he_weights_keep_the_size_of_signals_without_norm_layers() -> None:
    """N(0, 2 / fan in), biases 0, by the player's stream: D's logits neither vanish nor explode;
    N(0, 0.02) lets them vanish.
    """
    sizes = {}
    for init in ("he", "normal"):
        network = Dcgan(init=init, norm_d="none", width=32)
        d = network.discriminator((3, 28, 28), torch.Generator().manual_seed(0))
        x = torch.randn(64, 3, 28, 28, generator=torch.Generator().manual_seed(1))
        sizes[init] = float(d(x).detach().std())
        for layer in d.modules():
            if isinstance(layer, torch.nn.Conv2d) and init == "he":
                assert float(layer.weight.detach().std()) == pytest.approx(
                    (2 / layer.weight[0].numel()) ** 0.5, rel=0.15
                )
                assert not layer.bias.any()
    assert 0.1 < sizes["he"] < 10
    assert sizes["normal"] < 0.01
    g = Dcgan(init="he", norm_g="none").generator((1, 28, 28), torch.Generator().manual_seed(0))
    inner = [m for m in g.modules() if isinstance(m, torch.nn.ConvTranspose2d)][2]
    heard = (
        inner.weight.shape[0] * 16 / 4
    )  # a kernel of 4 x 4 at stride 2: each output hears a quarter of it
    assert float(inner.weight.detach().std()) == pytest.approx((2 / heard) ** 0.5, rel=0.05)


def test_fourier_features_are_drawn_from_the_stream_and_go_where_d_goes() -> None:
    plain, with_features = (component(name="mlp", hidden=8, fourier=n) for n in (0, 5))
    made = [
        c.discriminator((2,), torch.Generator().manual_seed(s))
        for c, s in ((with_features, 1), (with_features, 1), (with_features, 2), (plain, 1))
    ]
    one, same, other, none = made
    assert (one[1].frequencies == same[1].frequencies).all()  # type: ignore[index,union-attr]
    assert (one[1].frequencies != other[1].frequencies).any()  # type: ignore[index,union-attr]
    assert not list(none.buffers())
    x = torch.randn(7, 2)
    unflatten(other, flatten(one))
    assert (one(x) == other(x)).all()
    period = 1 / one[1].frequencies.mul(1 / (2 * torch.pi))[:, 0]  # type: ignore[index,union-attr]
    seen = [
        one[1](  # type: ignore[index,operator]
            torch.stack([x[:, 0] + k * period[0], x[:, 1]], 1)
        )[:, 2]
        for k in (0, 1)
    ]
    assert torch.allclose(seen[0], seen[1], atol=1e-4)


@pytest.mark.parametrize("prior", ["gaussian", "uniform"])
def test_a_category_is_one_of_so_many_each_as_often(prior: str) -> None:
    z = sample_prior(prior, (30_000, 7), stream())
    told = Category(5)(z)
    assert torch.equal(told[:, 5:], z[:, 5:])
    assert torch.equal(told[:, :5].amax(1), torch.full((30_000,), math.sqrt(5)))
    assert torch.equal((told[:, :5] != 0).sum(1), torch.ones(30_000, dtype=torch.long))
    # 6,000 each, and what is left to chance of that
    counts = (told[:, :5] != 0).sum(0)
    assert (counts - 6000).abs().max() < 5 * math.sqrt(30_000 * 0.2 * 0.8)
    # the mean square of a number of z
    assert told[:, :5].square().mean().item() == pytest.approx(1)


@pytest.mark.parametrize(
    ("spec", "shape"),
    [
        ({"name": "mlp", "hidden": 8}, (2,)),
        ({"name": "dcgan", "width": 4}, (1, 28, 28)),
        (
            {"name": "dcgan", "width": 4, "precision": "bfloat16", "channels_last": True},
            (1, 28, 28),
        ),
        ({"name": "gran", "width": 4}, (1, 28, 28)),
        ({"name": "text_cnn", "channels": 8, "blocks": 1}, (5, 4)),
    ],
)
def test_what_a_generator_makes_hangs_on_the_category(
    spec: dict[str, object], shape: tuple[int, ...]
) -> None:
    g = component(**spec, z_dim=6, categories=3).generator(shape, stream()).eval()
    z = torch.randn(4, 6, generator=stream())
    same, other = z.clone(), z.clone()
    # in another order below the largest: the same category
    same[:, :3] = z[:, :3] * 0.5
    other[:, :3] = z[:, :3].roll(1, 1)
    assert torch.equal(g(same), g(z))
    assert not torch.equal(g(other), g(z))
    assert isinstance(g, nn.Sequential)
    assert isinstance(g, Tuned) == ("precision" in spec)


@pytest.mark.parametrize("count", [1, 7])
def test_categories_that_z_cannot_choose_are_one_line(count: int) -> None:
    with pytest.raises(ConfigError, match=f"network.categories: {count}, and z has 6 numbers"):
        component(name="mlp", z_dim=6, categories=count).generator((2,), stream())
