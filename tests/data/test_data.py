import gzip
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from raygan.config import load_component, shorthand
from raygan.data.base import DataComponent, Samples, to_float, to_uint8
from raygan.data.search import roots
from raygan.errors import DataError
from raygan.gan.random_streams import Streams

CPU = torch.device("cpu")


def load(spec: Any, seed: int = 0) -> Samples:
    component = load_component("data", shorthand(spec))  # type: ignore[arg-type]
    assert isinstance(component, DataComponent)
    return component.load(seed)


def png(shape: tuple[int, int], value: int = 0, mode: str = "L") -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.new(mode, shape, value if mode == "L" else (value, 0, 0)).save(out, "PNG")
    return out.getvalue()


def shared(name: str) -> Path:
    """Real data of the checkout; fails when it is not there."""
    found = [r / name for r in roots() if (r / name).exists()]
    assert found, f"{name} not found below {roots()}"
    return found[0]


@pytest.mark.parametrize("modes", [8, 10])
def test_a_ring_has_all_its_modes_on_the_circle(modes: int) -> None:
    data = load(f"ring{modes}")
    assert data.modes is not None
    means = data.modes.means
    assert len(np.unique(means.round(5), axis=0)) == modes
    assert np.allclose(np.linalg.norm(means, axis=1), 1)
    angles = np.sort(np.arctan2(means[:, 1], means[:, 0]))
    assert np.allclose(np.diff(angles), 2 * np.pi / modes, atol=1e-5)
    nearest = np.linalg.norm(data.train[:, None] - means, axis=2).min(1)
    assert nearest.std() < 0.02
    assert np.sqrt((nearest**2).mean() / 2) == pytest.approx(0.01, rel=0.02)


def test_grid25_is_the_usual_one() -> None:
    data = load("grid25")
    assert data.modes is not None
    assert sorted({float(x) for x in data.modes.means[:, 0]}) == [-4, -2, 0, 2, 4]
    assert data.modes.std == 0.05
    assert data.modes.text == "25 modes, std 0.05"


def test_training_and_held_out_points_are_different_draws() -> None:
    data = load("ring8")
    assert not set(map(tuple, data.train[:1000])) & set(map(tuple, data.held_out[:1000]))
    assert np.array_equal(data.train, load("ring8").train)
    assert not np.array_equal(data.train, load("ring8", seed=1).train)


def test_swissroll_spirals() -> None:
    data = load("swissroll")
    radius = np.linalg.norm(data.train, axis=1)
    assert data.shape == (2,)
    assert 0.5 < radius.min() < 0.7
    assert 1.8 < radius.max() < 2.1


def test_r15_has_fifteen_clusters_and_a_limit() -> None:
    data = load("r15")
    assert data.modes is not None
    assert len(data.modes.means) == 15
    assert len(data.train) == 600
    limited = load({"name": "r15", "limit": 100})
    assert (len(limited.train), len(limited.held_out)) == (100, 500)
    assert not set(map(tuple, limited.train)) & set(map(tuple, limited.held_out))


def test_mnist_is_all_there() -> None:
    data = load("mnist")
    assert data.train.shape == (60_000, 1, 28, 28)
    assert data.held_out.shape == (10_000, 1, 28, 28)
    assert data.train.dtype == np.uint8
    batch = data.batch(7, Streams(0, "p").at("data"), CPU)
    assert batch.shape == (7, 1, 28, 28)
    assert (batch.min(), batch.max()) == (-1, 1)


def test_stacked_mnist_stacks_three_independent_digits() -> None:
    data = load("stacked_mnist")
    assert data.shape == (3, 28, 28)
    batch = data.batch(500, Streams(0, "p").at("data"), CPU)
    assert batch.shape == (500, 3, 28, 28)
    assert not any(torch.equal(x[0], x[1]) for x in batch)


def test_every_batch_is_an_independent_draw_from_the_given_stream() -> None:
    data, streams = load("ring8"), Streams(0, "p")
    a = data.batch(64, streams.at("data", 0), CPU)
    assert torch.equal(a, data.batch(64, streams.at("data", 0), CPU))
    assert not torch.equal(a, data.batch(64, streams.at("data", 1), CPU))


def test_nobody_can_write_into_the_shared_data_through_a_batch() -> None:
    data = load("ring8")
    before = data.train.copy()
    data.batch(64, Streams(0, "p").at("data"), CPU).add_(1)
    assert np.array_equal(before, data.train)
    with pytest.raises(ValueError):
        data.train[0] = 0


def test_uint8_images_come_back_from_the_unit_range() -> None:
    every = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    assert np.array_equal(to_uint8(to_float(every.copy())), every)


def test_real_files_of_every_format() -> None:
    cifar = load(f"parquet:{shared('cifar10/train-first4000.parquet')}")
    assert (len(cifar.train) + len(cifar.held_out), cifar.shape) == (4000, (3, 32, 32))
    emoji = load(f"zip:{shared('noto-emoji64/noto-emoji64.zip')}")
    assert (len(emoji.train) + len(emoji.held_out), emoji.shape) == (1440, (3, 64, 64))
    faces = load(f"npz:{shared('orl-faces64/orl-faces64.npz')}")
    assert (len(faces.train) + len(faces.held_out), faces.shape) == (400, (1, 64, 64))
    digits = load(
        {
            "name": "idx",
            "path": str(shared("mnist/t10k-images-idx3-ubyte.gz")),
            "held_out": 500,
            "limit": 100,
        }
    )
    assert (len(digits.train), len(digits.held_out), digits.shape) == (100, 500, (1, 28, 28))


def test_a_folder_of_images(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for i in range(4):
        (tmp_path / "a" / f"{i}.png").write_bytes(png((28, 28), 60 * i, "RGB"))
    data = load(f"folder:{tmp_path}")
    assert data.shape == (3, 28, 28)
    assert sorted(int(x[0, 0, 0]) for x in (*data.train, *data.held_out)) == [0, 60, 120, 180]


def test_points_from_npz(tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", x=np.random.default_rng(0).random((50, 3)))
    data = load(f"npz:{tmp_path / 'p.npz'}")
    assert data.shape == (3,)
    assert data.train.dtype == np.float32


def test_explicit_path_and_environment_come_before_the_other_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(folder: Path, count: int) -> None:
        folder.mkdir(parents=True)
        for name in ("train", "t10k"):
            raw = (
                bytes([0, 0, 8, 3])
                + np.array([count, 28, 28], ">u4").tobytes()
                + bytes(count * 784)
            )
            (folder / f"{name}-images-idx3-ubyte").write_bytes(raw)  # without .gz works too

    make(tmp_path / "given", 3)
    make(tmp_path / "env" / "mnist", 5)
    monkeypatch.setenv("RAYGAN_DATA", str(tmp_path / "env"))
    assert len(load("mnist").train) == 5
    assert len(load({"name": "mnist", "path": str(tmp_path / "given")}).train) == 3


def test_a_miss_names_all_places_and_the_command_that_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("RAYGAN_DATA", str(tmp_path / "env"))
    with pytest.raises(DataError) as error:
        load("mnist")
    text = str(error.value)
    assert "\n" not in text
    for place in (
        tmp_path / "env",
        "shared/data",
        "../shared/data",
        tmp_path / "cache",
        "/usr/share/datasets",
    ):
        assert str(place) in text
    assert "mnist, MNIST/raw" in text
    assert "--data.path or $RAYGAN_DATA" in text
    monkeypatch.setattr("raygan.data.search.roots", lambda: [tmp_path])
    with pytest.raises(DataError, match="apt-get install dataset-fashion-mnist"):
        load("fashion_mnist")


def idx(count: int, extra: bytes = b"") -> bytes:
    return bytes([0, 0, 8, 3]) + np.array([count, 2, 2], ">u4").tobytes() + bytes(4 * count) + extra


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.idx", idx(5)[:-3], "truncated IDX file: 33 bytes, its header says 36"),
        ("x.idx", idx(5, b"more"), "truncated IDX"),
        ("x.idx", b"PK\x03\x04", "not an IDX file"),
        ("x.idx", gzip.compress(idx(5), mtime=0)[:-6], "damaged gzip"),
        ("x.npz", b"no archive", "cannot be read"),
        ("x.zip", b"no archive", "not a zip archive"),
        ("x.parquet", b"no table", "cannot be read"),
    ],
)
def test_damaged_files_are_one_line(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        load(f"{name.partition('.')[2]}:{tmp_path / name}")
    assert "\n" not in str(error.value)


def test_a_path_that_does_not_exist(tmp_path: Path) -> None:
    for kind in ("npz", "zip", "folder", "parquet", "idx"):
        with pytest.raises(DataError, match="does not exist"):
            load(f"{kind}:{tmp_path / 'nothing'}")


def test_an_image_of_another_shape_is_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a.png", png((28, 28)))
        archive.writestr("b.png", png((28, 30)))
    with pytest.raises(DataError, match=r"b.png has shape \(1, 30, 28\)"):
        load(f"zip:{tmp_path / 'x.zip'}")


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", x=np.array([[0.0, np.nan]] * 30))
    with pytest.raises(DataError, match="NaN"):
        load(f"npz:{tmp_path / 'p.npz'}")
