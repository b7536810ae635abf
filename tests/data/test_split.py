"""The split of data that have no test part, and their hash."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygan.config import resolve
from raygan.data.base import Array, Samples
from raygan.data.odd import oddities
from raygan.data.split import fingerprint, shuffled
from raygan.strategies.base import load_data


def written(folder: Path, array: Array, **settings: object) -> Samples:
    """What training sees of an array in a file."""
    np.savez(folder / "a.npz", x=array)
    flags = {
        "data": f"npz:{folder / 'a.npz'}",
        "data.scale": "none",
        **{f"data.{k}": v for k, v in settings.items()},
    }
    return load_data(resolve(flags=flags).config)


def test_held_out_is_never_the_tail_of_a_sorted_file(tmp_path: Path) -> None:
    data = written(tmp_path, np.sort(np.random.default_rng(0).normal(size=(1000, 1)), axis=0))
    assert abs(data.held_out.mean() - data.train.mean()) < 0.5, "the tail's mean is 1.75"
    assert data.split == "random 10 %, seed 0"


def test_limit_draws_from_the_whole_file(tmp_path: Path) -> None:
    data = written(tmp_path, np.arange(1000.0)[:, None], limit=100)
    assert len(data.train) == 100
    assert data.train.max() > 800


def test_nothing_is_lost_or_doubled_by_the_split(tmp_path: Path) -> None:
    data = written(tmp_path, np.arange(77.0)[:, None])
    assert sorted(np.concatenate([data.train, data.held_out])[:, 0]) == list(range(77))


def test_the_older_split_is_there_for_older_runs(tmp_path: Path) -> None:
    data = written(tmp_path, np.arange(50.0)[:, None], held_out_by="tail")
    assert data.held_out[:, 0].tolist() == [45, 46, 47, 48, 49]
    assert data.split == "last 5"


@given(st.lists(st.integers(0, 4), min_size=2, max_size=200), st.integers(0, 9))
def test_every_class_is_held_out_by_its_share(classes: list[int], seed: int) -> None:
    order = shuffled(len(classes), seed, classes)
    assert sorted(order) == list(range(len(classes)))
    held_out = [classes[i] for i in order[: len(classes) // 2]]
    for one in set(classes):
        assert abs(held_out.count(one) - classes.count(one) / 2) <= 2.5


def test_the_hash_tells_order_shape_and_type() -> None:
    x = np.arange(12, dtype=np.float32).reshape(6, 2)
    others = [x[::-1], x.reshape(4, 3), x.astype(np.float64), x + 1]
    assert len({fingerprint(a) for a in [x, *others]}) == 5
    assert fingerprint(x) == fingerprint(x.copy())


SOME = np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("train", "told"),
    [
        (SOME, None),
        (np.where(np.arange(3) == 1, 5, SOME), "column 1 is constant"),
        (np.full((100, 3), 2.0), "every number is 2"),
        (np.zeros((40, 1, 4, 4), np.uint8), "every picture is 0"),
        (np.tile(SOME[:10], (10, 1)), "10 of 100 samples are distinct"),
        (SOME[:2], "2 training samples"),
        (np.where(np.arange(3) == 1, np.nan, SOME), "NaN"),
    ],
)
def test_odd_data_is_named(train: Array, told: str | None) -> None:
    found = oddities(Samples("x", train, train))
    assert (told in found[0]) if told else not found
