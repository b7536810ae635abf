import pytest
import torch
from torch import nn

from raygan.config import load_component
from raygan.errors import ConfigError
from raygan.gan.streams import Streams
from raygan.networks.base import NetworkComponent


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
    assert [(m.in_features, m.out_features) for m in layers] == [(2, 512), (512, 512), (512, 512), (512, 1)]
    assert net.z_dim == 100
    assert {m.negative_slope for m in net.generator((2,), stream()).modules() if isinstance(m, nn.LeakyReLU)} == {0.01}


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
