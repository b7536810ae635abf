"""Every built-in part passes what users' own are checked by; each check says what is wrong."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from raygan.components import load_component, names
from raygan.data.base import DataComponent, Samples
from raygan.losses.base import LossComponent
from raygan.networks.base import NetworkComponent
from raygan.strategies.independent import Independent
from raygan.strategies.orders import Train
from raygan.testing import check_data, check_loss, check_metric, check_network, check_strategy

FILES = {
    "parts",
    "made",
    "csv",
    "fashion_mnist",
    "folder",
    "given",
    "hdf5",
    "hf",
    "idx",
    "lm1b",
    "mnist",
    "npz",
    "parquet",
    "stacked_mnist",
    "zip",
}


def distance(samples: Tensor, held_out: Tensor) -> dict[str, float]:
    return {"mean": float((samples.mean(0) - held_out.mean(0)).norm())}


def changes(samples: Tensor, held_out: Tensor) -> float:
    return float(samples.zero_().sum())


def nothing(samples: Tensor, held_out: Tensor) -> None:
    """Forgets to return."""


def undefined(samples: Tensor, held_out: Tensor) -> float:
    return float("nan")


def dice(samples: Tensor, held_out: Tensor) -> float:
    return float(torch.rand(()))


def test_a_metric_passes() -> None:
    check_metric(distance)
    check_metric(distance, (1, 8, 8))


@pytest.mark.parametrize("name", names("loss"))
def test_each_loss_passes(name: str) -> None:
    loss = load_component("loss", {"name": name})
    assert isinstance(loss, LossComponent)
    check_loss(loss)


@pytest.mark.parametrize("name", ["mlp", "dcgan"])
def test_each_network_passes(name: str) -> None:
    network = load_component("network", {"name": name})
    assert isinstance(network, NetworkComponent)
    check_network(network, (2,) if name == "mlp" else (1, 28, 28))


@pytest.mark.parametrize("name", [n for n in names("data") if n not in FILES])
def test_each_drawn_data_set_passes(name: str) -> None:
    data = load_component("data", {"name": name})
    assert isinstance(data, DataComponent)
    check_data(data)


@pytest.mark.parametrize("name", names("strategy"))
def test_each_strategy_passes(name: str) -> None:
    check_strategy(load_component("strategy", {"name": name}))


class Vector(LossComponent):
    def d_loss(self, real, fake):
        return real - fake

    def g_loss(self, fake):
        return -fake.mean()


class Upside(Vector):
    def d_loss(self, real, fake):
        return real.mean() - fake.mean()


class Flat(NetworkComponent):
    @property
    def _init(self):
        return "torch"

    def _generator(self, shape):
        return nn.Linear(self.z_dim, *shape)

    def _discriminator(self, shape, outputs=1):
        return nn.Linear(*shape, outputs)


class Unseeded(DataComponent):
    def load(self, seed):
        return Samples("u", *(np.random.default_rng().random((2, 9, 2), np.float32)))


class Nobody(Independent):
    def decide(self, ready, progress, plan):
        return []


class Stranger(Independent):
    def decide(self, ready, progress, plan):
        return [Train("pair-77", 1)]


@pytest.mark.parametrize(
    ("check", "part", "says"),
    [
        (check_loss, Vector(), "d_loss returns shape (8,), not a scalar tensor. Take its mean."),
        (check_loss, Upside(), "d_loss pushes logits the wrong way"),
        (check_network, Flat(), "D gives (6, 1) for 6 samples; logits (6,) are needed"),
        (check_data, Unseeded(), "train differs for the same seed"),
        (
            check_strategy,
            Nobody(),
            "orders nobody, at steps {'pair-00': 0, 'pair-01': 0, 'pair-02': 0} of 6. Mend its"
            " decide()",
        ),
        (check_metric, changes, "changes the samples that it is given"),
        (check_metric, nothing, "gives a NoneType"),
        (check_metric, undefined, "undefined is nan on samples"),
        (check_metric, dice, "for the same"),
        (check_strategy, Stranger(), "orders pair-77, who is no player"),
    ],
)
def test_a_fault_is_one_line(check, part, says: str) -> None:
    with pytest.raises(AssertionError) as caught:
        check(part)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
