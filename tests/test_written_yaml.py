"""Settings in YAML mean what people who write them mean."""

from pathlib import Path

import pytest
import yaml

from raygan.cli.flags import setting_value
from raygan.config import resolve
from raygan.config.files import PRESETS
from raygan.config.written_yaml import Twice, read
from raygan.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("010", 10), ("008", 8), ("-07", -7), ("+5", 5), ("1_000", 1000), ("0x1F", 31), ("0b11", 3),
        ("1:30", "1:30"), ("1:30.5", "1:30.5"), ("2024-01-01", "2024-01-01"), ("1.5e3", 1500.0),
        ("1.0e-05", 1e-5), (".5", 0.5), ("-.inf", float("-inf")), ("on", True), ("~", None),
        ("[010, 08]", [10, 8]),
    ],
)  # fmt: skip
def test_numbers_are_decimal_in_files_and_flags(text: str, means: object) -> None:
    assert read(text) == means
    assert setting_value("seed", text) == means
    assert read(f"'{text}'") == text, "in quotes it is text"


@pytest.mark.parametrize("seed", range(1, 21))
def test_every_seed_of_seq_w_is_another(seed: int) -> None:
    assert setting_value("seed", f"{seed:03d}") == seed


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("steps: 60\nsteps: 70", "'steps' stands twice, in lines 1 and 2"),
        ("pair: {lr_g: 0.05}\nseed: 1\npair: {ema: 0.9}", "'pair' stands twice, in lines 1 and 3"),
        ("pair:\n  ema: 0.9\n  ema: 0.8", "'ema' stands twice, in lines 2 and 3"),
        ("pairs:\n- {count: 1, count: 2}", "'count' stands twice, in lines 2 and 2"),
    ],
)
def test_a_key_that_stands_twice_is_refused(text: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=f"mine.yaml'?: {says}. Leave one of them out."):
        resolve("ring8-gap", [file])
    with pytest.raises(Twice):
        read(text)


def test_what_a_merge_brings_may_stand_again() -> None:
    text = "one: &one {ema: 0.9, lr_g: 1}\ntwo: {<<: *one, ema: 0.5}"
    assert read(text)["two"] == {"ema": 0.5, "lr_g": 1}


@pytest.mark.parametrize("preset", sorted(PRESETS.glob("*.yaml")), ids=lambda p: p.stem)
def test_presets_read_as_ever(preset: Path) -> None:
    assert read(preset.read_text()) == yaml.safe_load(preset.read_text())
