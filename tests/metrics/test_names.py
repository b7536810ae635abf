"""What a suite says that it will score is what it scores."""

import pytest

from raygan.config import resolve
from raygan.metrics.ranking import METRICS
from raygan.metrics.suite import GROUPS, Suite, default_groups
from raygan.strategies.base import load_data


@pytest.mark.parametrize("name", ["ring8", "swissroll"])
def test_names_are_known_before_anything_is_scored(name: str) -> None:
    data = load_data(resolve(flags={"data": name}).config)
    suite = Suite(data, [*default_groups(data), "prdc", "kid"], n_fake=1500, n_real=500)
    assert set(suite.floor()) == set(suite.names)


def test_every_group_has_scores_and_every_score_a_group() -> None:
    assert {g for m in METRICS.values() for g in m.groups} == {*GROUPS, "stacked"}
