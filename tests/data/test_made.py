"""Samples that generators made, as data: in the form of the real ones, and measured by these."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from raygan.config import Config, load_component, validate
from raygan.data.base import Samples
from raygan.data.split import fingerprint
from raygan.errors import DataError
from raygan.metrics.suite import Suite
from tests.conftest import TINY

RING = {"name": "ring", "modes": 8, "train": 400, "held_out": 200}


def loaded(folder: Path, made: np.ndarray[Any, Any], like: Any, **more: Any) -> Samples:
    np.savez(folder / "made.npz", x=made)
    component: Any = load_component(
        "data", {"name": "made", "path": str(folder / "made.npz"), "like": like, **more}
    )
    data = component.load(0)
    assert isinstance(data, Samples)
    return data


def test_training_samples_are_made_and_scores_are_of_real_ones(tmp_path: Path) -> None:
    made = np.full((50, 2), 0.25, np.float32)
    data = loaded(tmp_path, made, RING)
    real: Any = load_component("data", RING).load(0)  # type: ignore[attr-defined]
    assert np.array_equal(data.train, made)
    assert np.array_equal(data.held_out, real.held_out)
    generator = torch.Generator().manual_seed(0)
    assert (data.batch(8, generator, torch.device("cpu")) == 0.25).all()
    mine, theirs = (Suite(d, ["modes"], 200, 200) for d in (data, real))
    assert mine.protocol.id == theirs.protocol.id, "comparable with the run that made them"
    assert mine.ceiling() == theirs.ceiling(), "the ceiling is of real samples"
    assert mine.floor() == pytest.approx(theirs.floor(), nan_ok=True)


def test_points_come_back_into_the_scale_of_the_data(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal([100.0, -3.0], [20.0, 0.1], (300, 2))
    np.savez(tmp_path / "real.npz", x=x)
    like = {"name": "npz", "path": str(tmp_path / "real.npz")}
    made = x[:40] + np.array([1.0, 0.01])
    data = loaded(tmp_path, made, like)
    assert data.scaling is not None
    np.testing.assert_allclose(data.scaling.back(data.train), made, rtol=1e-6)
    assert abs(float(data.train.mean())) < 1.0


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_pictures_are_kept_as_the_real_ones_are(tmp_path: Path, kind: Any) -> None:
    rng = np.random.default_rng(0)
    real = rng.integers(0, 256, (60, 3, 8, 8)).astype(np.uint8)
    x = real if kind is np.uint8 else (real / 127.5 - 1).astype(np.float32)
    np.savez(tmp_path / "real.npz", x=x)
    like = {"name": "npz", "path": str(tmp_path / "real.npz"), "layout": "NCHW"}
    made = rng.uniform(-1, 1, (20, 3, 8, 8)).astype(np.float32)
    data = loaded(tmp_path, made, like)
    assert data.is_images
    batch = data.as_batch(data.train.copy())
    assert batch.dtype == torch.float32
    np.testing.assert_allclose(batch.numpy(), made, atol=1 / 127)


@pytest.mark.parametrize(
    ("made", "complaint"),
    [
        (np.zeros((5, 3), np.float32), "holds samples of shape (5, 3), and ring8 has (2,) each"),
        (np.zeros((5, 1, 2), np.float32), "holds samples of shape (5, 1, 2)"),
        (np.zeros((1, 2), np.float32), "holds samples of shape (1, 2)"),
        (np.full((5, 2), np.nan, np.float32), "not finite"),
    ],
)
def test_samples_of_something_else(tmp_path: Path, made: Any, complaint: str) -> None:
    with pytest.raises(DataError) as found:
        loaded(tmp_path, made, RING)
    assert complaint in str(found.value)
    assert "\n" not in str(found.value)


def test_other_samples_than_before(tmp_path: Path) -> None:
    made = np.zeros((5, 2), np.float32)
    assert len(loaded(tmp_path, made, RING, sha256=fingerprint(made)).train) == 5
    with pytest.raises(DataError, match="Put the file back"):
        loaded(tmp_path, made + 1, RING, sha256=fingerprint(made))


@pytest.mark.parametrize("raw", [b"", b"no archive", None])
def test_a_file_that_is_none(tmp_path: Path, raw: bytes | None) -> None:
    path = tmp_path / "x.npz"
    if raw is not None:
        path.write_bytes(raw)
    component: Any = load_component("data", {"name": "made", "path": str(path), "like": "ring8"})
    with pytest.raises(DataError, match=r"x\.npz") as found:
        component.load(0)
    assert "\n" not in str(found.value)


def test_parts_of_the_data_are_left_out_of_what_scores_are_of() -> None:
    config = validate(
        Config,
        {**TINY, "data": {"name": "made", "path": "x", "like": {**RING, "partition": "shards"}}},
    )
    assert config.component("data").like == RING  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_pictures_of_a_range_come_back_into_it(tmp_path: Path, kind: Any) -> None:
    x = np.random.default_rng(0).integers(0, 4096, (60, 1, 8, 8)).astype(kind)
    np.savez(tmp_path / "real.npz", x=x)
    like = {"name": "npz", "path": str(tmp_path / "real.npz"), "scale": "0..4095"}
    real: Any = load_component("data", like).load(0)  # type: ignore[attr-defined]
    # as `raygan sample` writes them
    made = real.scaling.back(real.as_batch(real.train[:20].copy()).numpy())
    data = loaded(tmp_path, made, like)
    np.testing.assert_allclose(data.train, real.train[:20], atol=1e-6)
