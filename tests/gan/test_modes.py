"""Layers that their author has frozen stay so, whoever looks at a network."""

from torch import nn

from raygan.gan.modes import evaluated, train_like


def frozen() -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2).eval(), nn.Sequential(nn.Dropout()))


def modes(network: nn.Module) -> list[bool]:
    return [layer.training for layer in network.modules()]


def test_a_look_in_eval_mode_leaves_each_layer_in_its_own() -> None:
    network, before = frozen(), modes(frozen())
    with evaluated(network):
        assert not any(modes(network))
    assert modes(network) == before
    assert len(set(before)) == 2


def test_a_network_trains_as_it_was_built() -> None:
    network = frozen().eval()
    train_like(network, frozen())
    assert modes(network) == modes(frozen())
