"""What a suite says that it will score is what it scores."""

import math
from pathlib import Path

import pytest

from raygan.config import Config, resolve
from raygan.metrics.groups import GROUPS, default_groups
from raygan.metrics.own import own_metrics
from raygan.metrics.protocol import Protocol
from raygan.metrics.ranking import METRICS, deciding, verdict, way
from raygan.metrics.suite import Suite
from raygan.strategies.base import load_data


@pytest.mark.parametrize("name", ["ring8", "swissroll"])
def test_names_are_known_before_anything_is_scored(name: str) -> None:
    data = load_data(resolve(flags={"data": name}).config)
    suite = Suite(data, [*default_groups(data), "prdc", "kid"], n_fake=1500, n_real=500)
    assert set(suite.floor()) == set(suite.names)


def test_every_group_has_scores_and_every_score_a_group() -> None:
    assert {g for m in METRICS.values() for g in m.groups} == {*GROUPS, "stacked", "by_part"}


def test_a_generator_past_real_data_is_told_so() -> None:
    floor, ceiling = {"high_quality": 0.0}, {"high_quality": 0.98}
    assert "past real data" in verdict({"a": {"high_quality": 1.0}}, floor, ceiling)
    assert "past real data" not in verdict({"a": {"high_quality": 0.9}}, floor, ceiling)


@pytest.mark.parametrize("value", [None, math.nan, "text"])
def test_what_is_no_number_is_never_best(value: object) -> None:
    floor, ceiling = {"kid": 1.0}, {"kid": 0.0}
    assert verdict({"a": {"kid": value}}, floor, ceiling) == ""
    assert verdict({"a": {"kid": value}, "b": {"kid": 0.5}}, floor, ceiling).startswith(
        "best: b, 50 %"
    )


def test_a_score_that_cannot_tell_decides_nothing() -> None:
    floor, ceiling = {"high_quality": 0.9, "modes": 0.0}, {"high_quality": 0.9, "modes": 8.0}
    assert deciding(list(ceiling), floor, ceiling) == "modes"
    assert verdict({"a": {"modes": 8.0}}, {"modes": 8.0}, {"modes": 8.0}) == ""


def test_narrower_than_real_data_is_as_far_from_it_as_wider() -> None:
    floor, ceiling = {"width": 1.5}, {"width": 1.0}
    assert way("width", 1.0, floor, ceiling) == 1
    assert way("width", 0.9, floor, ceiling) == pytest.approx(way("width", 1.1, floor, ceiling))
    assert way("width", 0.1, floor, ceiling) < 0
    scores = {"narrow": {"width": 0.1}, "good": {"width": 0.95}}
    assert verdict(scores, floor, ceiling).startswith("best: good")


def test_an_own_metric_by_other_settings_is_another_protocol(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "def above(samples, held_out, t: float = 0.5):\n"
        "    return float((samples > t).float().mean())\n"
        "def plain(samples, held_out):\n    return 1.0\n"
    )
    data = load_data(resolve(flags={"data": "ring8"}).config)

    def protocol(metric: dict[str, object]) -> Protocol:
        config = Config(metrics=(metric,))  # type: ignore[arg-type]
        return Suite(data, ["modes"], n_fake=100, n_real=100, own=own_metrics(config)).protocol

    low, high = (protocol({"name": f"{file}:above", "t": t}) for t in (0.0, 0.9))
    assert low.id != high.id
    assert "t=0.9" in high.own
    assert protocol({"name": f"{file}:plain"}).own.startswith("mine.py:plain@")
