"""Any array of any type, layout and size is read right, or refused in one line."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from raygan.config import load_component
from raygan.data.arrays import as_samples
from raygan.data.files import FileComponent
from raygan.errors import DataError

TYPES = st.one_of(
    hnp.boolean_dtypes(), hnp.integer_dtypes(endianness="?"),
    hnp.unsigned_integer_dtypes(endianness="?"),
    hnp.floating_dtypes(sizes=(16, 32, 64), endianness="?"), hnp.complex_number_dtypes(),
    hnp.datetime64_dtypes(), hnp.timedelta64_dtypes(), hnp.unicode_string_dtypes(),
    hnp.byte_string_dtypes(), st.just(np.dtype(object)),
)  # fmt: skip
SHAPES = hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=5)
LAYOUTS = st.sampled_from([None, None, "points", "NHW", "NCHW", "NHWC", "1x2x2", "3x1x1"])
SCALES = st.sampled_from(["auto", "auto", "none", "standard", "bytes", "0..1", "-1..1"])


def arrays(kind: Any) -> Any:
    return hnp.arrays(kind, SHAPES, elements=st.none() if kind.kind == "O" else None)


def in_own_units(array: Any, layout: str | None) -> Any:
    """What the samples are, by hand, as float64."""
    out = np.asarray(array, np.float64)
    if layout == "NHWC" or (
        layout is None and out.ndim == 4 and out.shape[3] in (1, 3) and out.shape[1] not in (1, 3)
    ):
        return np.moveaxis(out, 3, 1)
    return out


ANY = (TYPES.flatmap(arrays), LAYOUTS, SCALES)


@settings(max_examples=200, deadline=None)
@given(*ANY)
def test_read_right_or_refused_in_one_line(array: Any, layout: str | None, scale: Any) -> None:
    read_right_or_refused(array, layout, scale)


@pytest.mark.exhaustive
@settings(max_examples=2000, deadline=None)
@given(*ANY)
def test_read_right_or_refused_in_one_line_2000(array: Any, layout: str | None, scale: Any) -> None:
    read_right_or_refused(array, layout, scale)


def read_right_or_refused(array: Any, layout: str | None, scale: Any) -> None:
    before = array.copy()
    try:
        found = as_samples("x", array, layout, scale)
    except DataError as error:
        told = str(error)
    else:
        told = ""
    if told:
        assert "\n" not in told
        assert len(told) < 600
        return
    made = found.array
    assert made.dtype in (np.uint8, np.float32)
    assert len(made) == len(array)
    assert made.ndim in (2, 4)
    assert np.isfinite(made).all()
    if made.ndim == 4 and made.dtype == np.float32:
        assert np.abs(made).max(initial=0) <= 1
    if found.scaling and made.size:
        back = found.scaling.back(made)
        true = in_own_units(array, layout).reshape(back.shape)
        slack = (
            1e-5 * np.ptp(true, axis=0, keepdims=True) + 1e-12 * np.abs(true)
            if made.ndim == 2
            else 1e-5 * np.ptp(true)
        )
        slack = slack + (1e-4 if scale == "bytes" or ".." in scale else 1e-300)  # float32 of -1..1
        assert (np.abs(back - true) <= slack).all()
    assert array.tobytes() == before.tobytes(), "the user's own array is left alone"


@settings(max_examples=100, deadline=None)
@given(
    hnp.arrays(
        np.float64,
        st.tuples(st.integers(2, 20), st.integers(1, 4)),
        elements=st.floats(-1e300, 1e300),
    )
)
def test_points_come_back_in_their_units(array: Any) -> None:
    try:
        found = as_samples("x", array)
    except DataError as error:
        told = str(error)
    else:
        told = ""
    if told:
        assert "too large" in told
        return
    assert found.scaling is not None
    back = found.scaling.back(found.array)
    largest = np.abs(array - array[0]).max(0) + 1e-9 * np.abs(array).max(0)
    assert (np.abs(back - array) <= 1e-5 * largest + 1e-300).all()


def test_users_files_are_never_written(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((4, 2, 2), np.uint8))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    with pytest.raises(ValueError, match="read-only"):
        as_samples("x", mapped).array[0] = 1


@pytest.mark.parametrize("dtype", [np.uint8, bool])
@pytest.mark.parametrize(
    "shape", [(48, 64, 3), (48, 64, 4), (3, 48, 64), (4, 9, 9), (30, 100, 2), (30, 1, 70)]
)
def test_one_picture_or_series_are_no_grey_pictures(shape: tuple[int, ...], dtype: Any) -> None:
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    with pytest.raises(DataError, match=r"Set data.layout: points or NHW\."):
        as_samples("x", array)
    assert as_samples("x", array, "NHW").array.shape == (shape[0], 1, *shape[1:])


@pytest.mark.parametrize("shape", [(30, 28, 28), (30, 4, 4), (30, 5, 200), (30, 1, 1), (5, 5, 5)])
def test_grey_pictures_are_not_asked_for(shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape)).reshape(shape).astype(np.uint8)
    assert as_samples("x", array).array.shape == (shape[0], 1, *shape[1:])


@pytest.mark.parametrize(
    ("shape", "guess"),
    [((9, 3, 1024), "3x32x32"), ((9, 784, 1), "1x28x28"), ((9, 1, 784), "1x28x28")],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_row_a_channel_is_asked_for(shape: tuple[int, ...], guess: str, dtype: Any) -> None:
    array = (np.arange(np.prod(shape)) % 256).reshape(shape).astype(dtype)
    with pytest.raises(DataError, match=f"Set data.layout: {guess} or points"):
        as_samples("x", array)
    sizes = map(int, guess.split("x"))
    assert np.array_equal(as_samples("x", array, guess).array, array.reshape(9, *sizes))


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("colourful", [True, False])
@pytest.mark.parametrize("pixels", [True, False])
def test_flat_colours_first_or_last_are_told_apart(
    pixels: bool, colourful: bool, first: bool
) -> None:
    rng = np.random.default_rng(0)
    seen = (
        128 + 40 * rng.normal(size=(30, 3 if colourful else 1, 16, 16)).cumsum(-1).cumsum(-2) / 16
    )
    seen = np.broadcast_to(seen, (30, 3, 16, 16)).clip(0, 255).astype(np.uint8)
    array = seen if first else np.moveaxis(seen, 1, -1)
    array = array.reshape(30, *((3, 256) if first else (256, 3)) if pixels else (768,))
    right, other = ("3x16x16", "16x16x3") if first else ("16x16x3", "3x16x16")
    layouts = right if pixels else f"{right}, {other}"
    with pytest.raises(DataError, match=f"Set data.layout: {layouts} or points"):
        as_samples("x", array)
    assert np.array_equal(as_samples("x", array, right).array, seen)


AXES: list[tuple[dict[str, tuple[int, ...]], str]] = [
    ({"x": (64,), "t": (50,), "u": (50, 64)}, "u"),
    ({"data": (9,), "frames": (50, 8, 8)}, "frames"),
    ({"x": (), "samples": (50, 2)}, "samples"),
]


@pytest.mark.parametrize("kind", ["npz", "hdf5"])
@pytest.mark.parametrize(("shapes", "guess"), AXES)
def test_an_axis_beside_the_data_is_asked_for(
    shapes: Any, guess: str, kind: str, tmp_path: Path
) -> None:
    arrays = {n: np.random.default_rng(0).normal(size=s) for n, s in shapes.items()}
    component = load_component("data", {"name": kind, "path": str(archive(kind, tmp_path, arrays))})
    assert isinstance(component, FileComponent)
    with pytest.raises(DataError, match=f"Set data.key: {guess}, or another"):
        component.read()


@pytest.mark.parametrize("kind", ["npz", "hdf5"])
@pytest.mark.parametrize("shape", [(50,), (50, 2)])
def test_a_usual_name_beside_labels_is_not_asked_for(
    shape: tuple[int, ...], kind: str, tmp_path: Path
) -> None:
    arrays = {
        "x": np.random.default_rng(0).normal(size=shape),
        "y": np.arange(50),
        "n": np.array(3),
    }
    component = load_component("data", {"name": kind, "path": str(archive(kind, tmp_path, arrays))})
    assert isinstance(component, FileComponent)
    assert component.read().array.shape == (50, 2 if len(shape) > 1 else 1)


def archive(kind: str, folder: Path, arrays: dict[str, Any]) -> Path:
    """As .npz or .h5."""
    path = folder / f"a.{kind}"
    if kind == "npz":
        np.savez(path, **arrays)
        return path
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
    return path
