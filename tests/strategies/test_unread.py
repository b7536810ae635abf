"""A setting of `pair` changes what is trained, or is refused in a line."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from raygan.config import Config, PairConfig, Resolved, ScheduleConfig, presets, resolve
from raygan.controller.inline import InlineExecutor
from raygan.errors import ConfigError
from raygan.gan.bundle import unpack
from raygan.gan.weights import digest
from raygan.service.training import train
from raygan.service.verify import final_states
from raygan.strategies.base import strategy_of
from tests.conftest import setup_of, tiny_config

BASE = {"ema": 0.9, "input_noise": 0.1, "schedule": {"lr": 0.5}}
OTHERS: dict[str, Any] = {
    "lr_g": 5e-3, "lr_d": 5e-3, "optimizer": "rmsprop", "beta1": 0.9, "beta2": 0.5,
    "lr_decay": "linear", "clip_grad_d": 1e-4, "clip_grad_g": 1e-4, "input_noise": 0.9,
    "input_noise_steps": 2, "ema": 0.1,
    "prior": "uniform", "data_order": "shared", "feature_matching": 1.0,
    "schedule.shape": "linear", "schedule.steps": 2, "schedule.lr": 0.1, "schedule.beta1": 0.1,
    "schedule.beta2": 0.1, "schedule.gamma": 0.01, "schedule.ema": 0.1,
}  # fmt: skip
"""Of each setting another value than the base's."""
SAFEGUARDS = {"max_bad_steps", "schedule"}
"""What changes no run that goes well; a group, whose settings are told one by one."""
STRATEGIES: list[dict[str, Any]] = [
    {"name": "independent"}, {"name": "gap", "swap_every": 2}, {"name": "fedavg", "every": 2},
    {"name": "population", "exploit_every": 2}, {"name": "pmgan"},
    {"name": "pmgan", "feedback": "gradients"}, {"name": "federated"},
    {"name": "mdgan", "swap_every": 2}, {"name": "sgan"},
    {"name": "sgan", "variant": "simplified"}, {"name": "sgan", "over": {"name": "pmgan"}},
]  # fmt: skip


def config_of(strategy: dict[str, Any], setting: str = "") -> Config:
    """With another value for one setting."""
    pair: dict[str, Any] = dict(BASE)
    group, _, name = setting.rpartition(".")
    if group:
        pair[group] = {**pair[group], name: OTHERS[setting]}
    elif setting:
        pair[name] = OTHERS[setting]
    if setting == "lr_decay":  # it is short for a schedule
        del pair["schedule"]
    loss = {"name": "non_saturating", "r1": 0.1, "r2": 0.1}
    return tiny_config(strategy=strategy, steps=3, batch_size=8, loss=loss, pair=pair)


def bits(config: Config) -> dict[str, str]:
    """Of each player's networks and averages."""
    setup = setup_of(config)
    states = final_states(config, lambda: InlineExecutor(setup))
    networks = ("g.", "d.", "c.", "ema.")
    return {
        player: digest({k: v for k, v in unpack(raw).items() if k.startswith(networks)})
        for player, raw in states.items()
    }


def refusal(config: Config) -> str | None:
    """Of a run that is to be made."""
    try:
        strategy_of(config).check_new(config)
    except ConfigError as error:
        return str(error)
    return None


@lru_cache
def as_it_is(strategy: str) -> dict[str, str]:
    """Bits of the base."""
    return bits(config_of(json.loads(strategy)))


def test_no_setting_is_forgotten() -> None:
    nested = {f"schedule.{name}" for name in ScheduleConfig.model_fields}
    assert set(OTHERS) == {*PairConfig.model_fields, *nested} - SAFEGUARDS


@pytest.mark.parametrize("setting", OTHERS)
@pytest.mark.parametrize("strategy", STRATEGIES, ids=str)
def test_a_setting_changes_bits_or_is_refused(strategy: dict[str, Any], setting: str) -> None:
    config = config_of(strategy, setting)
    refused = refusal(config)
    if refused is None:
        assert bits(config) != as_it_is(json.dumps(strategy))
    else:
        assert f"pair.{setting} = " in refused
        assert "\n" not in refused


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"pair": {"feature_matching": 1.0}}, "pair.feature_matching = 1.0: changes nothing"),
        ({"pairs": [{"count": 2, "pair": {"data_order": "shared"}}]}, "pair.data_order"),
        ({"pair": {"optimizer": "rmsprop", "schedule": {"beta1": 0.1}}}, "RMSProp has no betas"),
        ({"pair": {"schedule": {"ema": 0.1}}}, "there is no average"),
        ({"pair": {"schedule": {"gamma": 0.1}}}, "has no penalty"),
    ],
)
def test_a_run_that_asks_in_vain_is_not_made(
    changes: dict[str, Any], told: str, tmp_path: Path
) -> None:
    config = tiny_config(strategy="pmgan", **changes)
    with pytest.raises(ConfigError, match=told):
        train(Resolved(config=config, origins={}), run_dir=tmp_path, name="run", inline=True)
    assert list(tmp_path.iterdir()) == []
    strategy_of(config)  # a run that was made with it is read


@pytest.mark.parametrize(
    ("strategy", "changes", "told"),
    [
        ({"beta1": [0.5, 2.0]}, {"pair": {"optimizer": "rmsprop"}}, "beta1 = .* no betas"),
        ({"gamma": [0.5, 2.0]}, {}, "gamma = .* no penalty"),
        ({}, {"data": {"partition": "shards"}}, "ranked by held-out samples of its own"),
        ({"gamma": [1.0, 1.0]}, {}, None),
        ({"gamma": [0.5, 2.0]}, {"loss": {"name": "non_saturating", "r1": 0.1}}, None),
        ({"gamma": [0.5, 2.0]}, {"loss": "wgan_gp"}, None),
        ({}, {"pair": {"optimizer": "rmsprop"}}, None),
    ],
)
def test_a_population_s_ranges_are_of_something(
    strategy: dict[str, Any], changes: dict[str, Any], told: str | None
) -> None:
    config = tiny_config(strategy={"name": "population", **strategy}, **changes)
    population = strategy_of(config)
    if told is None:
        population.check_new(config)
        return
    with pytest.raises(ConfigError, match=told):
        population.check_new(config)


@pytest.mark.parametrize("preset", presets())
def test_no_preset_asks_in_vain(preset: str) -> None:
    config = resolve(preset).config
    strategy_of(config).check_new(config)
