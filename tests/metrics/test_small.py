"""Scores of little data: finite, or marked as saying nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from raygan.data.base import Samples
from raygan.metrics import fidelity
from raygan.metrics.coverage import nearest_classes
from raygan.metrics.density import best_bandwidth, density_scores
from raygan.metrics.fidelity import kid, near, prdc
from raygan.metrics.nearness import distance
from raygan.metrics.ranking import cannot_tell, mark_line, marked
from raygan.metrics.suite import Suite


def points(count: int, held_out: int, features: int = 2, seed: int = 0) -> Samples:
    rng = np.random.default_rng(seed)
    train, rest = (rng.normal(size=(n, features)).astype(np.float32) for n in (count, held_out))
    return Samples("points", train, rest)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(2, 300),
    st.sampled_from(["density", "fid", "kid", "prdc"]),
    st.integers(1, 3),
    st.booleans(),
)
def test_every_score_of_any_number_of_samples_is_finite_or_marked(
    n: int, group: str, features: int, copies: bool
) -> None:
    held_out = max(1, n // 10)
    data = points(n - held_out, held_out, features)
    if copies:
        data = Samples("points", np.round(data.train), np.round(data.held_out))
    suite = Suite(data, [group])
    floor, ceiling = suite.floor(), suite.ceiling()
    made = suite.score(torch.randn(suite.n_fake, features))
    assert suite.n_fake == min(2500, n - held_out)
    for name in made:
        finite = all(math.isfinite(x[name]) for x in (floor, ceiling, made))
        assert finite or name in cannot_tell(floor, ceiling), (name, floor, ceiling, made)


def test_real_data_of_300_points_is_better_than_noise() -> None:
    suite = Suite(points(270, 30))
    assert "log_likelihood" not in cannot_tell(suite.floor(), suite.ceiling())
    assert suite.protocol.lowered.startswith("samples 2500 -> 270")


def test_the_ceiling_holds_no_sample_twice() -> None:
    data, seen = points(100, 50), []
    suite = Suite(data)
    suite.score = (  # type: ignore[method-assign,assignment]
        lambda fake: seen.append(fake) or {}  # type: ignore[func-returns-value]
    )
    suite.ceiling()
    assert len({row.numpy().tobytes() for row in seen[0]}) == len(seen[0]) == 100


def test_data_that_are_held_out_as_well_are_no_ceiling() -> None:
    data = points(100, 1)
    suite = Suite(Samples("points", data.train, data.train, apart=False))
    assert all(math.isnan(v) for v in suite.ceiling().values())


def test_copies_do_not_choose_the_bandwidth() -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(200, 2))
    assert best_bandwidth(centres, centres[:100]) > 0.1
    assert best_bandwidth(centres, np.concatenate([centres[:100], rng.normal(size=(50, 2))])) > 0.1
    assert math.isfinite(density_scores(np.zeros((9, 2)), np.zeros((3, 2)))["log_likelihood"])


@pytest.mark.parametrize(
    ("floor", "blind"), [(1.0, True), (2.0, True), (math.nan, True), (0.5, False)]
)
def test_a_score_that_noise_reaches_is_marked(floor: float, blind: bool) -> None:
    low, high = {"modes": floor, "kid": 2 - floor}, {"modes": 1.0, "kid": 1.0}
    assert marked(["modes", "kid"], low, high) == (
        ["modes↑?", "kid↓?"] if blind else ["modes↑", "kid↓"]
    )
    assert bool(mark_line(["modes", "kid"], low, high)) is blind


def test_blocks_change_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(90, 5)), rng.normal(size=(70, 5)) + 0.3
    whole = {**prdc(real, fake), "kid": kid(real, fake)}
    monkeypatch.setattr("raygan.metrics.fidelity.BLOCK", 128)
    assert {**prdc(real, fake), "kid": kid(real, fake)} == pytest.approx(whole, rel=1e-9)


def test_two_opposite_modes_of_eight_are_a_quarter_of_the_data() -> None:
    angle = np.arange(500) % 8 * np.pi / 4
    rng = np.random.default_rng(0)
    real = np.stack([np.cos(angle), np.sin(angle)], 1) + 0.01 * rng.normal(size=(500, 2))
    assert near(real, real[(np.arange(500) % 4) == 0]) == pytest.approx(0.25, abs=0.01)
    assert near(real, real + 0.05) == 1.0, "a little beside all modes is no collapse"


@pytest.mark.parametrize("offset", [0, 1000, -30_000])
def test_classes_are_told_apart_far_from_0(offset: float) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 4
    real = torch.from_numpy(offset + rng.normal(labels[:, None] * 0.3, 0.01, (400, 2))).float()
    fake = real[labels < 2]
    assert nearest_classes(fake, real, labels, 4).tolist() == [0.5, 0.5, 0, 0]
    assert nearest_classes(fake + 1e-3, real, labels, 4).tolist() == [0.5, 0.5, 0, 0]


@pytest.mark.parametrize("offset", [0, 1000.3, -1e7 / 3])
@pytest.mark.parametrize("features", [1, 3])
def test_copies_of_rows_that_repeat_are_perfect(offset: float, features: int) -> None:
    rng = np.random.default_rng(0)
    real, fake = (offset + rng.integers(0, 3, (2, 600, features)) / 3).astype(np.float64)
    found = prdc(real, fake)
    assert (found["precision"], found["recall"]) == (1, 1)
    assert near(real, fake, least=0) == 1
    x, y = torch.from_numpy(fake), torch.from_numpy(real)
    assert distance(x, y, "neighbours") < 0.01
    # a thousandth beside them is beside them
    found = prdc(real, fake + 1e-3)
    assert (found["precision"], found["recall"]) == (0, 0)


@pytest.mark.parametrize("kind", ["one point", "about one point", "three points", "half of them"])
def test_distances_of_a_collapsed_generator_are_exact_and_quickly_there(kind: str) -> None:
    """Each was mended by itself where rounding left little: 28 times as long as of varied ones."""
    rng = np.random.default_rng(0)
    fake = np.repeat(5 + rng.normal(size=(3 if kind == "three points" else 1, 40)), 300, 0)
    if kind == "about one point":
        fake = fake + 1e-7 * rng.normal(size=fake.shape)
    if kind == "half of them":
        fake[::2] = rng.normal(size=(150, 40))
    norms = (fake**2).sum(1)
    exact = np.sqrt(((fake[:, None] - fake[None]) ** 2).sum(-1))
    found = fidelity._distances(fake, norms, fake, norms)
    assert np.abs(found - exact).max() <= 1e-9 * max(exact.max(), 1e-300)
    assert (found[exact == 0] == 0).all()
