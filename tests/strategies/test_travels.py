"""What goes from one player to another is the same thing in both, or the run is refused."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from raygan.config import presets, resolve
from raygan.data.base import Samples
from raygan.errors import ConfigError
from raygan.strategies.base import Setup, strategy_of
from tests.conftest import setup_of, tiny_config

UNLIKE: list[Any] = [
    "sgan", {"name": "sgan", "over": {"name": "gap", "swap_every": 2}}, "gap",
    {"name": "gap", "what": "G"}, "fedavg", "population", "pmgan", "mdgan",
    {"name": "independent", "share_weights": True},
]  # fmt: skip
OWN = """
import torch
from torch import nn

class Net:
    def __init__(self, slope: float = 0.1):
        self.slope = slope

    def generator(self, shape, z_dim):
        return nn.Linear(z_dim, 2)

    def discriminator(self, shape):
        slope = self.slope
        class Act(nn.Module):
            def forward(self, x):
                return torch.where(x > 0, x, slope * x)
        return nn.Sequential(nn.Linear(2, 8), Act(), nn.Linear(8, 1), nn.Flatten(0))
"""


def check(strategy: Any, network: Any = None, run: Any = None, **pair: Any) -> None:
    """Of a run with two pairs, the second of which has these settings."""
    second: dict[str, Any] = {"count": 1, "pair": pair}
    if network is not None:
        second["network"] = network
    more = {} if run is None else {"network": run}
    config = tiny_config(strategy=strategy, num_pairs=2, pairs=[{"count": 1}, second], **more)
    strategy_of(config).check_setup(setup_of(config))


@pytest.mark.parametrize("strategy", UNLIKE, ids=str)
def test_networks_of_one_shape_and_another_function_are_refused(strategy: Any) -> None:
    with pytest.raises(
        ConfigError, match=r"computes otherwise than .*: negative_slope .* is 0.9, not 0.01"
    ):
        check(strategy, {"slope": 0.9})
    check(strategy, {"slope": 0.01})
    # computed in another way, the same function
    check(strategy, {"precision": "bfloat16"})


def test_what_does_not_travel_may_differ() -> None:
    check("independent", {"slope": 0.9})
    check("gap", {"output": "tanh"})
    check({"name": "pmgan", "feedback": "gradients"}, {"slope": 0.9})


@pytest.mark.parametrize(
    ("strategy", "pair", "told"),
    [
        ("gap", {"optimizer": "rmsprop"}, "of pair-01 is rmsprop, that of pair-00 adam"),
        ("population", {"optimizer": "rmsprop"}, "pair.optimizer of pair-01 is rmsprop"),
        ("mdgan", {"optimizer": "rmsprop"}, "pair.optimizer of pair-01 is rmsprop"),
        (
            {"name": "sgan", "messenger_optimizer": "clone"},
            {"optimizer": "rmsprop"},
            "pair.optimizer of pair-01 is rmsprop",
        ),
    ],
)
def test_what_goes_along_is_alike_or_refused(
    strategy: Any, pair: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        check(strategy, **pair)


@pytest.mark.parametrize(
    ("strategy", "pair"),
    [
        ({"name": "gap", "carry": "weights"}, {"optimizer": "rmsprop"}),
        ("gap", {"ema": 0.9}),
        # one that comes without an average begins one
        ({"name": "gap", "what": "G"}, {"ema": 0.9}),
        ("population", {"ema": 0.9}),
        ("sgan", {"optimizer": "rmsprop", "ema": 0.9}),
        ("fedavg", {"optimizer": "rmsprop", "ema": 0.9}),
    ],
)
def test_what_stays_may_differ(strategy: Any, pair: dict[str, Any]) -> None:
    check(strategy, **pair)


def test_an_own_layer_that_says_nothing_is_known_by_its_network_s_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("nets.py").write_text(OWN)
    run = "./nets.py:Net"
    with pytest.raises(ConfigError, match=r"may compute otherwise .* layer 1 .*Act"):
        check("gap", {"slope": 0.9}, run=run)
    check("gap", {"slope": 0.1}, run=run)
    check("gap", run=run)


NAMED_ANEW = """
import uuid
from torch import nn

class Act(nn.Module):
    def __init__(self):
        super().__init__()
        self.fn, self._tag, self.key = (lambda x: abs(x)), uuid.uuid4().hex, uuid.uuid4().hex
    def forward(self, x):
        return self.fn(x)
    def extra_repr(self):
        return f"fn={self.fn}"

class Net:
    def __init__(self, slope: float = 0.1):
        self.slope = slope
    def generator(self, shape, z_dim):
        return nn.Linear(z_dim, 2)
    def discriminator(self, shape):
        return nn.Sequential(nn.Linear(2, 8), Act(), nn.Linear(8, 1), nn.Flatten(0))
"""


def test_networks_of_equal_settings_are_alike_whatever_their_objects_are_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("anew.py").write_text(NAMED_ANEW)
    check("gap", run="./anew.py:Net")
    check("sgan", {"slope": 0.1}, run="./anew.py:Net")
    with pytest.raises(ConfigError, match="otherwise"):
        check("gap", {"slope": 0.9}, run="./anew.py:Net")


@pytest.mark.parametrize("preset", [p for p in presets() if resolve(p).config.pairs])
def test_no_preset_of_unlike_pairs_is_refused(preset: str) -> None:
    config = resolve(preset).config
    # of the data their shape alone is asked
    data = cast(Samples, SimpleNamespace(shape=(1, 28, 28)))
    strategy_of(config).check_setup(Setup(config, data, torch.device("cpu")))
