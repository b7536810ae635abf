"""The real files of RAYGAN_DATA, by values that Pillow and numpy have of them; and what they are
scored by.
"""

import gzip
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from raygan.config import load_component
from raygan.data.base import DataComponent, Samples
from raygan.data.search import roots
from raygan.metrics.ranking import better
from raygan.metrics.suite import Suite


def place(name: str) -> Path:
    found = next((root / name for root in roots() if (root / name).exists()), None)
    if found is None:
        pytest.skip(f"{name} is not on this machine: set RAYGAN_DATA")
    return found


def loaded(name: str, **settings: Any) -> Samples:
    component = load_component("data", {"name": name, **settings})
    assert isinstance(component, DataComponent)
    return component.load(0)


def everything(data: Samples) -> list[bytes]:
    """All samples, in an order that does not depend on the split."""
    return sorted_samples(np.concatenate([data.train[:], data.held_out[:]]))


def sorted_samples(array: Any) -> list[bytes]:
    return sorted(sample.tobytes() for sample in array)


def test_faces() -> None:
    path = place("orl-faces64/orl-faces64.npz")
    with np.load(path) as archive:
        images = archive["images"]
    data = loaded("npz", path=str(path))
    assert everything(data) == sorted_samples(images[:, None])
    assert data.record is not None
    assert data.record.names["other arrays of the archive"] == ["subject"]


def test_emoji_with_their_palettes_and_transparent_pixels() -> None:
    path = place("noto-emoji64/noto-emoji64.zip")
    seen, modes = [], set()
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".png"):
                image = Image.open(io.BytesIO(archive.read(name)))
                modes.add(image.mode)
                under = Image.new("RGBA", image.size, "white")
                seen.append(
                    np.asarray(Image.alpha_composite(under, image.convert("RGBA")).convert("RGB"))
                )
    assert modes <= {"P", "RGB", "RGBA", "L", "LA"}
    data = loaded("zip", path=str(path))
    both = np.concatenate([data.train, data.held_out])
    assert len(both) == len(seen) == 1440
    made = np.moveaxis(np.stack(seen), -1, 1)
    means = [np.sort(x.reshape(1440, -1).mean(1)) for x in (both, made)]
    assert np.abs(means[0] - means[1]).max() < 1, "alpha_composite rounds otherwise"
    if modes == {"RGB"}:
        assert sorted_samples(both) == sorted_samples(made)


def test_cifar() -> None:
    path = place("cifar10/train-first4000.parquet")
    cells = pq.read_table(path, columns=["img"]).column(0).to_pylist()
    seen = np.stack([np.asarray(Image.open(io.BytesIO(c["bytes"])).convert("RGB")) for c in cells])
    assert everything(loaded("parquet", path=str(path))) == sorted_samples(np.moveaxis(seen, -1, 1))


def test_mnist() -> None:
    path = place("mnist/train-images-idx3-ubyte.gz")
    raw = np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=16).reshape(
        60_000, 1, 28, 28
    )
    data = loaded("mnist", path=str(path.parent))
    assert np.array_equal(data.train, raw)
    assert data.held_out.shape == (10_000, 1, 28, 28)
    assert np.array_equal(
        loaded("idx", path=str(path), held_out_by="tail", held_out=9).train, raw[:-9]
    )


def test_a_hundred_points_of_r15_are_told_from_noise_by_every_score() -> None:
    path = place("r15/R15.arff")
    data = loaded("r15", path=str(path.parent), limit=100)
    assert len(data.train) == 100
    suite = Suite(data)
    floor, ceiling = suite.floor(), suite.ceiling()
    blind = [name for name in ceiling if not better(name, ceiling[name], floor[name])]
    assert not blind, {name: (floor[name], ceiling[name]) for name in blind}
