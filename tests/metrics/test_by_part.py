"""Scores where nobody holds all real samples: what parts say, put together, beside the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from raygan.data.base import Samples
from raygan.data.partition import Part
from raygan.data.record import Scaling
from raygan.errors import ConfigError
from raygan.metrics.by_part import ByPart, Least, Question, answer, least_covered, suite_of
from raygan.metrics.fidelity import Met, prdc
from raygan.metrics.own import MetricComponent
from raygan.metrics.suite import Suite

NAMES = ("precision", "recall", "coverage")
CLASSES = ("cat", "dog", "owl")


def points(seed: int, count: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(size=(count, 2)).astype(np.float32)


def suite(
    real: Sequence[np.ndarray[Any, Any]], n_fake: int = 200, scaling: Scaling | None = None,
    labels: Sequence[np.ndarray[Any, Any]] = (), **how: Any,
) -> ByPart:  # fmt: skip
    """Each array is the held-out part of a pair, who trains on others; labels: its classes."""
    own = {
        f"pair-{i:02d}": Samples("points", points(100 + i, 120 + 2 * len(array)), array)
        for i, array in enumerate(real)
    }
    for (pair, part), known in zip(own.items(), labels, strict=False):
        own[pair] = replace(part, held_out_labels=known, classes=CLASSES)
    parts = {
        p: Part(
            "npz:x", len(s.train), len(s.held_out), (2,), f"{i:064d}", dict.fromkeys(s.classes, 1)
        )
        for i, (p, s) in enumerate(own.items())
    }
    none = np.empty((0, 2), np.float32)
    data = Samples("parts", none, none, parts=parts, whole=False, scaling=scaling)

    def ask(question: Question) -> dict[str, Met]:
        return {pair: answer(pair, part, question) for pair, part in own.items()}

    made = suite_of(data, ask, n_fake=n_fake, **how)
    assert isinstance(made, ByPart)
    return made


def test_one_part_is_the_whole_to_the_last_bit() -> None:
    real, fake = points(0, 150), points(1, 200)
    found = suite([real]).score(torch.from_numpy(fake))
    whole = prdc(real.astype(float), fake.astype(float))
    assert {name: found[f"{name}@raw"] for name in NAMES} == {name: whole[name] for name in NAMES}
    assert found["coverage_worst@raw"] == whole["coverage"]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=5), st.integers(0, 99))
def test_recall_is_that_of_the_whole_however_it_is_cut(sizes: list[int], seed: int) -> None:
    real, fake = points(seed, max(10, sum(sizes))), points(seed + 1, 60)
    cuts = np.split(real, np.cumsum(sizes)[:-1])
    made = suite(cuts, n_fake=60)
    assert made.n_fake == 60
    found = made.score(torch.from_numpy(fake))
    whole = prdc(real.astype(float), fake.astype(float))
    assert found["recall@raw"] == pytest.approx(whole["recall"])
    # a neighbour of the same part is no nearer than one of any: balls are as large, or larger,
    # where a part has neighbours enough
    if min(map(len, cuts)) > 5:
        assert found["precision@raw"] >= whole["precision"]
        assert found["coverage@raw"] >= whole["coverage"]
    assert all(0 <= found[f"{name}@raw"] <= 1 for name in ("precision", "recall", "coverage"))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 80), st.integers(0, 99))
def test_classes_of_one_part_are_those_of_the_whole_to_the_last_sample(
    count: int, seed: int
) -> None:
    real, fake = points(seed, count), torch.from_numpy(points(seed + 1, 60))
    labels = np.random.default_rng(seed).integers(0, 3, count)
    made = suite([real], 60, labels=[labels])
    found = made.score(fake)
    data = Samples(
        "points", points(9, 200), real, held_out_labels=labels, labels=np.zeros(200, np.int64),
        classes=CLASSES,
    )  # fmt: skip
    whole = Suite(data, ["prdc"], 60)
    scored = whole.score(fake)
    assert made.classes.get("pair-00") == whole.classes.get("points")
    if count > 1:
        counts = made.classes["pair-00"]
        assert sum(n for n, _ in counts.values()) == count
        covered = sum(c for _, c in counts.values()) / count
        assert covered == pytest.approx(scored["coverage@raw"])
        worst = min(c / n for n, c in counts.values())
        assert found["coverage_worst_class@raw"] == worst


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=4), st.integers(0, 99))
def test_classes_of_a_part_come_to_its_coverage(sizes: list[int], seed: int) -> None:
    cuts = [points(seed + i, n) + 3 * i for i, n in enumerate(sizes)]
    labels = [np.random.default_rng(i).integers(0, 3, n) for i, n in enumerate(sizes)]
    made = suite(cuts, 60, labels=labels)
    made.score(torch.from_numpy(points(7, 60)))
    for pair, counts in made.classes.items():
        covered = sum(c for _, c in counts.values()) / sum(n for n, _ in counts.values())
        assert covered == pytest.approx(made.parts[pair])


def test_a_class_that_is_left_out_is_seen() -> None:
    here, away = points(0, 90), points(1, 30) + 50
    labels = np.repeat([0, 2], [90, 30])
    made = suite([np.concatenate([here, away]), points(3, 60)], labels=[labels])
    found = made.score(torch.from_numpy(points(2, 200)))
    assert set(made.classes) == {"pair-00"}, "the other has no classes"
    assert found["coverage_worst@raw"] > 0.5, "a part's coverage hides it"
    assert found["coverage_worst_class@raw"] == 0.0
    assert least_covered(made.classes) == Least("pair-00", "owl", 30, 0)
    assert set(found) == set(made.names) == set(made.ceiling()) == set(made.floor())


def test_without_classes_no_score_is_by_class() -> None:
    made = suite([points(0, 50)])
    assert not any("class" in name for name in made.score(torch.from_numpy(points(1, 200))))


def test_a_part_that_is_left_out_is_seen() -> None:
    left, right = points(0, 100), points(1, 100) + 50
    made = suite([left, right])
    found = made.score(torch.from_numpy(points(2, 200)))
    assert found["precision@raw"] > 0.9
    assert found["coverage@raw"] == pytest.approx(0.5, abs=0.05)
    assert (found["coverage_worst@raw"], made.parts["pair-01"]) == (0.0, 0.0)
    assert set(found) == set(made.names)


def test_limits_are_each_part_s_own_by_its_share() -> None:
    made = suite([points(0, 300), points(1, 120) + 50], n_fake=540)
    assert made.drawn == {"pair-00": 360, "pair-01": 180}
    floor, ceiling = made.floor(), made.ceiling()
    # training samples of the second part lie about 0 in `suite`, so that its ceiling is 0 there
    assert made.parts["pair-01"] == 0.0
    assert made.parts["pair-00"] > 0.9
    assert floor["precision@raw"] < ceiling["precision@raw"]


def test_protocols_are_of_the_parts_that_answer() -> None:
    one, other = suite([points(0, 50), points(1, 50)]), suite([points(0, 50)])
    assert one.protocol.n_real == 100
    assert one.protocol.id != other.protocol.id
    few = suite([points(0, 60), points(1, 20)], n_real=40)
    assert few.held_out == {"pair-00": 30, "pair-01": 10}


@pytest.mark.parametrize("alike", [1, 4])
def test_noise_is_shown_to_all_as_samples_are(alike: int) -> None:
    made = suite([points(i, 100) for i in range(alike)], scaling=Scaling((0.0,), (1.0,)))
    far = suite([points(i, 100) + 50 * i for i in range(alike)], scaling=Scaling((0.0,), (1.0,)))
    assert made.floor()["precision@raw"] > 0.5, "within the width of the data"
    assert far.floor()["recall@raw"] == pytest.approx(made.floor()["recall@raw"] / alike, abs=0.1)


def test_a_part_without_neighbours_is_told_and_judges_no_coverage() -> None:
    made = suite([points(0, 100), points(1, 1) + 50])
    found = made.score(torch.from_numpy(points(2, 200)))
    assert "k of prdc 5 -> 0 in pair-01" in made.protocol.lowered
    assert np.isnan(made.parts["pair-01"])
    assert found["coverage_worst@raw"] == found["coverage@raw"] > 0.9


def test_a_share_of_no_sample_says_nothing() -> None:
    made = suite([points(0, 5000), points(1, 1) + 50], n_fake=20)
    assert made.drawn == {"pair-00": 20, "pair-01": 0}
    assert set(made.ceiling()) == set(made.names)


@pytest.mark.parametrize("group", ["fid", "kid", "density", "labels", "modes"])
def test_what_takes_the_whole_is_refused(group: str) -> None:
    with pytest.raises(ConfigError, match=r"cannot score parts\. It can be scored by: prdc"):
        suite([points(0, 50)], groups=[group], n_fake=1600)


def test_own_metrics_are_told_and_cost_no_score() -> None:
    class Mine(MetricComponent):
        def measure(self, samples: torch.Tensor, held_out: torch.Tensor) -> float:
            raise AssertionError("nobody has samples to hand in")

    made = suite([points(0, 50)], n_fake=60, own=[Mine()])
    assert set(made.score(torch.from_numpy(points(1, 60)))) == set(made.names)
    (why,) = made.failed.values()
    assert "nobody holds these" in why


def test_data_with_a_whole_have_the_usual_suite() -> None:
    data = Samples("points", points(0, 100), points(1, 50))
    made = suite_of(data, lambda question: {}, ["prdc"], n_fake=100)
    assert type(made) is Suite
