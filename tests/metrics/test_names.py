"""What a suite says that it will score is what it scores."""

import math

import pytest

from raygan.config import resolve
from raygan.metrics.groups import GROUPS, default_groups
from raygan.metrics.ranking import METRICS, deciding, verdict
from raygan.metrics.suite import Suite
from raygan.strategies.base import load_data


@pytest.mark.parametrize("name", ["ring8", "swissroll"])
def test_names_are_known_before_anything_is_scored(name: str) -> None:
    data = load_data(resolve(flags={"data": name}).config)
    suite = Suite(data, [*default_groups(data), "prdc", "kid"], n_fake=1500, n_real=500)
    assert set(suite.floor()) == set(suite.names)


def test_every_group_has_scores_and_every_score_a_group() -> None:
    assert {g for m in METRICS.values() for g in m.groups} == {*GROUPS, "stacked"}


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
