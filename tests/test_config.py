import importlib
import pkgutil
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raygan.components import PACKAGES, component_class
from raygan.config import Config, full_dump, merge, names, presets, resolve, validate
from raygan.errors import ConfigError, RayganError
from raygan.strategies.base import strategy_of


def test_precedence_is_default_preset_files_flags(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("steps: 10\nseed: 1\n")
    (tmp_path / "b.yaml").write_text("steps: 20\n")
    files = [tmp_path / "a.yaml", tmp_path / "b.yaml"]
    assert resolve("ring8-sgan").config.steps == 2000
    assert resolve("ring8-sgan", files).config.steps == 20
    assert resolve("ring8-sgan", files).config.seed == 1
    assert resolve("ring8-sgan", files, {"steps": 30}).config.steps == 30


def test_a_component_flag_comes_before_its_settings_whatever_the_order() -> None:
    for flags in ({"loss": "wgan", "loss.clip": 0.5}, {"loss.clip": 0.5, "loss": "wgan"}):
        assert resolve(flags=flags).config.loss == {"name": "wgan", "clip": 0.5}


@pytest.mark.parametrize("name", presets())
def test_a_resolved_config_resolves_to_itself(name: str) -> None:
    config = resolve(name).config
    again = validate(Config, full_dump(config))
    assert full_dump(again) == full_dump(config)


def test_merge_leaves_its_inputs_alone() -> None:
    base = {"pair": {"lr_g": 1}}
    merge(base, {"pair": {"lr_g": 2}}, "flag", {})
    assert base == {"pair": {"lr_g": 1}}


def test_damaged_files_are_one_line(tmp_path: Path) -> None:
    for content, text in (
        ("a: [1", "cannot be read"),
        ("- 1", "holds a list"),
        ("steps: x", "valid integer"),
    ):
        (tmp_path / "c.yaml").write_text(content)
        with pytest.raises(ConfigError, match=text) as error:
            resolve(None, [tmp_path / "c.yaml"])
        assert "\n" not in str(error.value)


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("")
    assert resolve(None, [tmp_path / "c.yaml"]).config == resolve().config


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.sampled_from(["name", "modes", "lr_g", "x"]),
                    st.one_of(st.integers(), st.text(max_size=4)), max_size=2),
)  # fmt: skip
PATHS = st.sampled_from([
    *Config.model_fields, "failures.budget", "failures.death", "checkpoint.keep",
    "evaluation.samples", "strategy.over", "pair.lr_g", "strategy.messenger_steps", "loss.weight",
    "data.modes", "network.hidden", "nothing", "pair.nothing", "strategy.name",
    "resources.gpus_per_pair",
])  # fmt: skip


@pytest.mark.exhaustive
@settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(PATHS, VALUES, max_size=4))
def test_any_values_are_a_config_or_an_error_for_people(flags: dict[str, object]) -> None:
    message = ""
    try:
        config = resolve(flags=flags).config
        if config.num_pairs < 100:  # and it can be built, or is refused
            strategy_of(config).players(config)
    except RayganError as error:
        message = str(error)
    assert "\n" not in message


def test_components_are_the_files_of_their_package() -> None:
    assert names("strategy") == [
        "fedavg",
        "federated",
        "gap",
        "independent",
        "mdgan",
        "pmgan",
        "population",
        "sgan",
    ]
    assert {"ring", "grid", "swissroll", "r15", "mnist", "fashion_mnist", "stacked_mnist", "npz",
            "folder", "zip", "lm1b", "parquet", "idx", "given", "csv", "hdf5", "hf",
            "made", "parts"} == set(names("data"))  # fmt: skip


@pytest.mark.parametrize("written", ["runs/a", ["runs/a"], "s3://bucket/runs/a:pair-02"])
def test_one_run_to_start_from_needs_no_list(written: str | list[str]) -> None:
    config = resolve(flags={"start_from": written}).config
    assert config.start_from == ((written,) if isinstance(written, str) else tuple(written))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"schedule": None}, "pairs.pair.schedule = null"),
        ({"schedule": {"lr": -1}}, "pairs.pair.schedule.lr = -1"),
        ({"lr_g": "x"}, "pairs.pair.lr_g"),
    ],
)
def test_a_group_of_pairs_says_in_one_line_what_is_wrong_in_it(said: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)) as found:
        validate(Config, {"num_pairs": 2, "pairs": [{"count": 2, "pair": said}]})
    assert "\n" not in str(found.value)


def test_a_groups_schedule_is_laid_over_the_runs() -> None:
    groups = [{"count": 1, "pair": {"schedule": {"lr": 0.5}}}, {"count": 1}]
    run = {"num_pairs": 2, "pairs": groups, "pair": {"schedule": {"beta1": 0.9}}}
    config = validate(Config, run)
    moves = config.of("pair-00").pair.schedule
    assert (moves.lr, moves.beta1) == (0.5, 0.9)


@pytest.mark.parametrize("kind", PACKAGES)
def test_each_file_of_a_kind_holds_a_component_or_is_listed_as_none(kind: str) -> None:
    package = importlib.import_module(f"raygan.{PACKAGES[kind]}")
    there = {module.name for module in pkgutil.iter_modules(package.__path__)}
    assert {*package.NOT_COMPONENTS} <= there
    assert all(component_class(kind, name)[0].__doc__ is not None for name in names(kind))
