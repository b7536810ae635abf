"""Keys of a config are names, however YAML or Python would have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raygan.cli.flags import setting_value
from raygan.config import resolve
from raygan.errors import ConfigError
from raygan.strategies.base.chosen import check_parts, strategy_of

KEYS = {"0": 0, "null": None, "true": True, "no": False, "1.5": 1.5, "2024-01-01": "2024-01-01"}
"""As YAML has them written, and as Python would."""


@pytest.mark.parametrize("by", ["flag", "file", "python"])
@pytest.mark.parametrize("key", KEYS)
def test_a_pair_that_is_none_is_told_by_its_name(key: str, by: str, tmp_path: Path) -> None:
    np.savetxt(tmp_path / "w.csv", np.random.default_rng(0).normal(size=(9, 2)), delimiter=",")
    source = f"csv:{tmp_path / 'w.csv'}"
    text = f"{{{key}: '{source}', pair-01: '{source}'}}"
    file, flags = tmp_path / "c.yaml", {"data": source, "strategy": "independent", "num_pairs": 2}
    if by == "flag":
        flags["data.partition"] = setting_value("data.partition", text)
    elif by == "python":
        flags["data.partition"] = {KEYS[key]: source, "pair-01": source}
        key = str(KEYS[key])
    else:
        flags.pop("data")
        file.write_text(f"data: {{name: csv, path: '{tmp_path / 'w.csv'}', partition: {text}}}")
    config = resolve(None, [file] if by == "file" else [], flags).config
    with pytest.raises(ConfigError, match=f"no pair named '{key}'"):
        check_parts(strategy_of(config), config)


PLACES = ["KEY: 1", "data: {KEY: 1}", "pair: {KEY: 1}", "pairs: [{KEY: 1}]", "network: {KEY: 1}",
          "pairs: [{count: 2, pair: {KEY: 1}}]"]  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("place", PLACES)
def test_a_key_that_is_no_setting_is_one_line(place: str, key: str, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(place.replace("KEY", key))
    assert f"no setting '{key}'" in refused(tmp_path)


@pytest.mark.parametrize("text", ["steps: 5\nsteps: 6", "data: {0: a, '0': b}", "? [a]\n: 1"])
def test_a_key_that_is_twice_or_no_name_is_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(text)
    told = refused(tmp_path)
    assert "cannot be read" in told or "stands twice" in told


def test_what_is_merged_may_be_laid_over(tmp_path: Path) -> None:
    text = (
        "data: &a {name: ring, modes: 7}\n"
        "pairs: [{count: 2, pair: {<<: &b {lr_g: 1, lr_d: 2}, lr_g: 3}}]"
    )
    (tmp_path / "c.yaml").write_text(text)
    config: Any = resolve(None, [tmp_path / "c.yaml"]).config
    assert config.data["modes"] == 7
    assert config.pairs[0].pair == {"lr_g": 3, "lr_d": 2}


def refused(folder: Path) -> str:
    with pytest.raises(ConfigError) as error:
        resolve(None, [folder / "c.yaml"])
    assert "\n" not in str(error.value)
    return str(error.value)
