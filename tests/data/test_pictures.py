"""Ranges and forms of pictures that look like others: asked for, or read as what they are."""

import io
import re
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageOps

from raygan.config import load_component, resolve
from raygan.data.base import to_float
from raygan.data.files import FileComponent
from raygan.data.odd import oddities
from raygan.data.record import Read
from raygan.data.split import shuffled
from raygan.errors import ConfigError, DataError

RNG = np.random.default_rng(0)
TWELVE = 4095 / 255
BYTES = RNG.integers(0, 256, (5, 1, 6, 8)).astype(np.uint8)
UNIT = RNG.random((5, 1, 6, 8))


def reader(kind: str, path: Path, **settings: Any) -> FileComponent:
    found = load_component("data", {"name": kind, "path": str(path), **settings})
    assert isinstance(found, FileComponent)
    return found


def read(kind: str, path: Path, **settings: Any) -> Read:
    return reader(kind, path, **settings).found()


def refused(kind: str, path: Path, **settings: Any) -> str:
    with pytest.raises((DataError, ConfigError)) as error:
        read(kind, path, **settings)
    assert "\n" not in str(error.value)
    return str(error.value)


def written(folder: Path, array: Any, kind: str) -> tuple[str, Path]:
    """(N, 1, H, W) as .npy, or as files that hold the same numbers."""
    if kind == "npz":
        np.save(folder / "x.npy", array)
        return "npz", folder / "x.npy"
    for i, picture in enumerate(array[:, 0]):
        Image.fromarray(picture).save(folder / f"{i}.{kind}")
    return "folder", folder


def with_one(array: Any, number: float) -> Any:
    out = array.copy()
    out[1, 0, 2, 3] = number
    return out


# numbers, their form, the first suggestion, and what D is then shown, by hand
NEAR: dict[str, tuple[Any, str, str, Any]] = {
    "0..1, a hair below": (with_one(UNIT, -1e-7), "npz", "0..1", with_one(UNIT, 0) * 2 - 1),
    "0..1, a hair above": (with_one(UNIT, 1 + 1e-7), "npz", "0..1", with_one(UNIT, 1) * 2 - 1),
    "0..1 in tiff": (with_one(UNIT, -1e-7).astype(np.float32), "tif", "0..1",
                     with_one(UNIT, 0) * 2 - 1),
    "0..1, undershoot": (with_one(UNIT, -0.1), "npz", "-1..1", with_one(UNIT, -0.1)),
    "-1..1, a hair below": (with_one(UNIT * 2 - 1, -1 - 1e-7), "npz",
                            "-1..1", with_one(UNIT * 2 - 1, -1)),
    "0..1 without its middle": (UNIT - 0.5, "npz", "-0.5..0.5", UNIT * 2 - 1),
    "the same in tiff": ((UNIT - 0.5).astype(np.float32), "tif", "-0.5..0.5", UNIT * 2 - 1),
    "0..1 without its mean": (UNIT - 0.4, "npz", "-1..1", UNIT - 0.4),
    "0..255, a hair below": (with_one(UNIT * 255, -1e-5), "npz", "bytes",
                             with_one(UNIT, 0) * 2 - 1),
    "0..255, a hair above": (with_one(UNIT * 255, 255.0001), "npz", "bytes",
                             with_one(UNIT, 1) * 2 - 1),
    "0..1 divided twice": (UNIT / 255, "npz", "standard", None),
    "uint8 masks": (BYTES & 1, "npz", "0..1", (BYTES & 1) * 255),
    "masks in png": (BYTES & 1, "png", "0..1", (BYTES & 1) * 255),
    "int64 masks": ((BYTES & 1).astype(np.int64), "npz", "0..1", (BYTES & 1) * 255),
    "2 bit": (BYTES & 3, "npz", "0..3", (BYTES & 3) * 85),
    "4 bit": (BYTES & 15, "npz", "0..15", (BYTES & 15) * 17),
    "4 bit in wider ones": ((BYTES & 15).astype(np.int32), "npz", "0..15", (BYTES & 15) * 17),
    "4 bit as floats": ((BYTES & 15).astype(np.float32), "npz", "0..15", (BYTES & 15) / 7.5 - 1),
    "labels": (BYTES % 10, "npz", "standard", BYTES % 10 / 4.5 - 1),
    "per cent as floats": (with_one(np.rint(UNIT * 100), 100), "npz", "0..100",
                           with_one(np.rint(UNIT * 100), 100) / 50 - 1),
    "uint16 of 8 bit": (BYTES.astype(np.uint16), "npz", "bytes", BYTES),
    "16 bit png of 8 bit": (BYTES.astype(np.uint16), "png", "bytes", BYTES),
    "16 bit tiff of 8 bit": (BYTES.astype(np.uint16), "tif", "bytes", BYTES),
    "uint16 of 12 bit": (BYTES.astype(np.uint16) << 4, "npz", "0..4095",
                         np.rint((BYTES * 16.0) / TWELVE)),
    "big-endian": ((BYTES.astype(np.uint16) << 4).astype(">u2"), "npz", "0..4095",
                   np.rint((BYTES * 16.0) / TWELVE)),
    "16 bit png of 12 bit": (BYTES.astype(np.uint16) << 4, "png", "0..4095",
                             np.rint((BYTES * 16.0) / TWELVE)),
}  # fmt: skip


@pytest.mark.parametrize("name", NEAR)
def test_what_looks_like_another_range_is_asked_for_and_the_suggestion_works(
    name: str, tmp_path: Path
) -> None:
    array, form, suggested, seen = NEAR[name]
    kind, path = written(tmp_path, array, form)
    line = refused(kind, path)
    asked = re.search(r"Set data.scale: (\S+) \(", line)
    assert asked, line
    assert asked[1] == suggested
    found = read(kind, path, scale=suggested)
    if seen is not None:
        assert np.allclose(found.array, seen, atol=1e-6)
        assert (found.array.dtype == np.uint8) == (np.max(seen) > 1)
    clipped = any("a hair outside" in what for what in found.record.converted)
    assert clipped == (array.min() < -1 or "a hair" in name or name == "0..1 in tiff")


# what is certain, and stays as it is read: numbers, and what D is shown of them
CERTAIN: dict[str, tuple[Any, Any]] = {
    "0..1": (UNIT, (UNIT * 2 - 1).astype(np.float32)),
    "float32 0..1": (UNIT.astype("f4"), (UNIT.astype("f4").astype("f8") * 2 - 1).astype("f4")),
    "-1..1": (UNIT * 2 - 1, (UNIT * 2 - 1).astype(np.float32)),
    "-0.3..1": (with_one(UNIT, -0.3), with_one(UNIT, -0.3).astype(np.float32)),
    "0..255, whole": (BYTES * 1.0, BYTES),
    "nothing but black": (BYTES * 0, BYTES * 0),
    "dark bytes": (BYTES & 31, BYTES & 31),
    "16 bit": (BYTES.astype(np.uint16) * 200, np.rint(BYTES * 200.0 / 257).astype(np.uint8)),
    "bool": (BYTES > 99, np.where(BYTES > 99, 255, 0).astype(np.uint8)),
}


@pytest.mark.parametrize("name", CERTAIN)
def test_what_is_certain_is_not_asked_for(name: str, tmp_path: Path) -> None:
    array, seen = CERTAIN[name]
    found = read(*written(tmp_path, array, "npz"))
    assert found.array.dtype == seen.dtype
    assert np.array_equal(found.array, seen)


RANGES: dict[str, tuple[Any, str, Any]] = {
    "16 bit that are dark": (BYTES.astype(np.uint16), "0..65535", np.rint(BYTES / 257)),
    "signed whole numbers": (
        BYTES.astype(np.int16) * 16 - 1024,
        "-1024..3071",
        (BYTES * 16.0) / 2047.5 - 1,
    ),
    "floats": (UNIT * 40 + 200, "200..300", (UNIT * 40) / 50 - 1),
    "an exponent": (UNIT * 1e6, "0..1e6", UNIT * 2 - 1),
    "bytes that are darker": (BYTES // 2, "0..127", np.rint(BYTES // 2 / (127 / 255))),
    "0..1 as it is": (UNIT / 2, "-1..1", UNIT / 2),
    "0..1 without its mean": (UNIT - 0.4, "-0.4..0.6", UNIT * 2 - 1),
    "12 bit": (BYTES.astype(np.uint16) << 4, "0..4095", np.rint(BYTES * 16.0 / TWELVE)),
}


@pytest.mark.parametrize("name", RANGES)
def test_any_range_can_be_given(name: str, tmp_path: Path) -> None:
    array, scale, seen = RANGES[name]
    found = read(*written(tmp_path, array, "npz"), scale=scale)
    assert np.allclose(found.array, seen, atol=1e-6)
    if found.scaling:
        # as `raygan sample` has them: what networks make, brought back;
        # a byte is the nearest of 256
        made, step = to_float(found.array).numpy(), 1 / 255 if found.array.dtype == np.uint8 else 0
        low, high = map(float, scale.split(".."))
        near = 1e-7 * np.ptp(array) + step * (high - low)
        assert np.allclose(found.scaling.back(made), array, rtol=1e-6, atol=near)
    # what is a picture's range without being given stays in -1..1
    assert bool(found.scaling) == (scale not in ("-1..1", "0..65535"))


def test_whole_numbers_with_one_a_hair_beyond_are_8_bit_all_the_same(tmp_path: Path) -> None:
    deep = np.random.default_rng(0).integers(0, 4096, (9, 5, 6)).astype(np.uint16)
    for array in (deep, deep.astype(np.int32)):
        array[0, 0] = 4096
        np.savez(tmp_path / "x.npz", array)
        found = read("npz", tmp_path / "x.npz", scale="0..4095", layout="NHW")
        assert found.array.dtype == np.uint8
        clipped = np.minimum(array, 4095)
        assert np.array_equal(found.array[:, 0], np.rint(clipped / 4095 * 255).astype(np.uint8))
        assert found.record.converted["numbers a hair outside 0..4095 clipped"] == 1


@pytest.mark.parametrize("scale", ["0..1", "-1..1", "bytes", "none"])
def test_what_lies_further_out_than_a_hair_is_refused(scale: str, tmp_path: Path) -> None:
    line = refused(*written(tmp_path, UNIT * 300 - 20, "npz"), scale=scale)
    assert re.search(
        r"holds -1\d\.\d+\.\.27\d.* needs -?\d+\.\.\d+. Set data.scale: standard", line
    )


@pytest.mark.parametrize("array", [UNIT * 2 - 1, UNIT - 1, np.rint(UNIT * 2 - 1)])
def test_another_range_is_no_hair(array: Any, tmp_path: Path) -> None:
    assert "needs 0..255" in refused(*written(tmp_path, array, "npz"), scale="bytes")


@pytest.mark.parametrize("scale", ["1..0", "0..0", "0..", "a..b", "byte", "0...1", "0..1e999"])
def test_what_is_no_range_is_one_line(scale: str, tmp_path: Path) -> None:
    line = refused(*written(tmp_path, UNIT, "npz"), scale=scale)
    assert "write auto, none, standard, bytes, or LOW..HIGH" in line


def test_points_of_a_range(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", UNIT[:, 0, :, 0] * 10)
    found = read("npz", tmp_path / "x.npy", scale="0..10")
    assert np.allclose(found.array, UNIT[:, 0, :, 0] * 2 - 1, atol=1e-6)
    assert found.scaling is not None
    assert np.allclose(found.scaling.back(found.array), UNIT[:, 0, :, 0] * 10, atol=1e-5)
    assert "needs 0..5" in refused("npz", tmp_path / "x.npy", scale="0..5")


def test_what_stays_dark_is_told(tmp_path: Path) -> None:
    told = oddities(reader(*written(tmp_path, BYTES % 101, "npz")).load(0))
    assert [line for line in told if "no pixel is brighter than 39% of white" in line]
    np.save(tmp_path / "x.npy", BYTES)
    assert not oddities(reader("npz", tmp_path / "x.npy").load(0))


def test_16_bit_go_with_8_bit(tmp_path: Path) -> None:
    Image.fromarray(BYTES[0, 0]).save(tmp_path / "a.png")
    Image.fromarray(BYTES[1, 0].astype(np.uint16) * 257).save(tmp_path / "b.png")
    assert np.array_equal(read("folder", tmp_path).array, BYTES[:2])
    Image.fromarray(BYTES[1, 0].astype(np.uint16)).save(tmp_path / "b.png")
    assert "uint16 pictures of 0..2" in refused("folder", tmp_path)
    assert np.array_equal(read("folder", tmp_path, scale="bytes").array, BYTES[:2])


@pytest.mark.parametrize("form", ["tif", "npz"])
@pytest.mark.parametrize("background", ["white", "black"])
@pytest.mark.parametrize("scale", ["auto", "standard", "200..400"])
def test_padding_of_numbers_is_the_end_of_their_range(
    form: str, background: str, scale: str, tmp_path: Path
) -> None:
    array = (UNIT * 2 - 1 if scale == "auto" else UNIT * 100 + 250).astype(np.float32)
    kind, path = written(tmp_path, array, form)
    found = read(kind, path, scale=scale, size=8, fit="pad", background=background)
    low, high = {"auto": (-1, 1), "standard": (array.min(), array.max())}.get(scale, (200, 400))
    seen = (array.astype(np.float64) - (high + low) / 2) / ((high - low) / 2)
    assert np.allclose(found.array[:, :, 1:7], seen, atol=1e-5)
    assert (found.array[:, :, [0, 7]] == (1 if background == "white" else -1)).all()


@pytest.mark.parametrize("form", ["png", "tif", "npz"])
def test_padding_of_noise_is_noise_and_the_same_each_time(form: str, tmp_path: Path) -> None:
    array = (UNIT * 2 - 1).astype(np.float32) if form == "tif" else BYTES
    kind, path = written(tmp_path, array, form)
    first, again = (read(kind, path, size=8, fit="pad", background="noise").array for _ in range(2))
    assert np.array_equal(first, again)
    assert np.array_equal(first[:, :, 1:7], array)
    edge = first[:, :, [0, 7]].astype(np.float64)
    assert edge.std() > 0.2 * np.ptp(array)
    assert len({picture.tobytes() for picture in edge}) == len(array)


@pytest.mark.parametrize("shape", [(5, 8), (8, 5), (3, 8), (8, 8), (20, 7), (1, 30)])
@pytest.mark.parametrize("background", ["white", "black"])
def test_bytes_are_padded_as_pillow_does(
    shape: tuple[int, int], background: str, tmp_path: Path
) -> None:
    image = Image.fromarray(RNG.integers(0, 256, (*shape, 3)).astype(np.uint8))
    image.save(tmp_path / "a.png")
    seen = ImageOps.pad(image, (8, 8), Image.Resampling.LANCZOS, color=background)
    found = read("folder", tmp_path, size=8, fit="pad", background=background)
    assert np.array_equal(found.array[0], np.moveaxis(np.asarray(seen), -1, 0))


def test_missing_numbers_of_a_picture_are_told_with_its_name(tmp_path: Path) -> None:
    kind, path = written(tmp_path, with_one(UNIT, np.nan).astype(np.float32), "tif")
    for settings in ({}, {"size": 8, "fit": "pad"}):
        assert "1.tif holds numbers that are NaN" in refused(kind, path, **settings)


# --------------------------------------------------------------------------------------------------
# Pillow's pictures of a Dataset

RGB = RNG.integers(0, 256, (5, 8, 9, 3)).astype(np.uint8)


class Seen:
    """A Dataset of pictures."""

    def __init__(self, pictures: list[Image.Image]) -> None:
        self.pictures = pictures

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> Image.Image:
        return self.pictures[index]


def keyed(image: Image.Image, key: Any) -> Image.Image:
    image.info["transparency"] = key
    return image


CHANGES: dict[str, tuple[Any, str]] = {
    "L": (lambda i: i.convert("L"), ""),
    "RGB": (lambda i: i, ""),
    "1": (lambda i: i.convert("1"), "False and True"),
    "P": (lambda i: i.quantize(16), "mode P converted to RGB"),
    "P with transparency": (
        lambda i: keyed(i.quantize(16), i.quantize(16).getpixel((0, 0))),
        "laid over white",
    ),
    "PA": (lambda i: i.convert("RGBA").quantize(16).convert("PA"), ""),
    "HSV": (lambda i: i.convert("HSV"), "mode HSV"),
    "YCbCr": (lambda i: i.convert("YCbCr"), "mode YCbCr"),
    "LAB": (lambda i: Image.frombytes("LAB", i.size, i.tobytes()), "mode LAB"),
    "CMYK": (lambda i: i.convert("CMYK"), "mode CMYK"),
    "L with a key": (
        lambda i: keyed(i.convert("L"), int(np.asarray(i.convert("L"))[0, 0])),
        "over white",
    ),
    "RGB with a key": (lambda i: keyed(i.copy(), i.getpixel((0, 0))), "over white"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_pillows_pictures_of_a_dataset_are_what_is_seen(name: str) -> None:
    from raygan.data.arrays import as_samples
    from raygan.data.given import spec_of
    from raygan.data.plain import array_of
    from raygan.data.record import Record

    change, told = CHANGES[name]
    pictures = [change(Image.fromarray(x)) for x in RGB]
    record = Record("x")
    found = as_samples("x", array_of("x", Seen(pictures), record), record=record)
    grey = name in ("L", "1", "L with a key")
    over = [Image.new("RGBA", i.size, "white") for i in pictures]
    seen = np.stack(
        [
            np.asarray(Image.alpha_composite(o, i.convert("RGBA")).convert("L" if grey else "RGB"))
            for o, i in zip(over, pictures, strict=True)
        ]
    )
    seen = seen[:, None] if grey else np.moveaxis(seen, -1, 1)
    assert np.abs(found.array.astype(int) - seen).max() <= (1 if "A" in name else 0)
    assert not told or [n for what, n in record.converted.items() if told in what] == [5]
    again: Any = load_component("data", spec_of(Seen(pictures)))
    for _ in range(2):  # each start has the whole record, once
        data = again.load(0)
        assert np.array_equal(data.train, found.array[shuffled(5, 0)[1:]])
        assert data.record.converted == record.converted


@pytest.mark.parametrize("mode", ["RGBA", "LA", "F", "I"])
def test_channels_and_numbers_of_a_dataset_are_asked_for(mode: str) -> None:
    from raygan.data.arrays import as_samples
    from raygan.data.plain import array_of
    from raygan.data.record import Record

    pictures = [Image.fromarray(x).convert("L").convert(mode) for x in RGB]
    with pytest.raises(DataError, match=r"Set data.layout: NHW"):
        as_samples("x", array_of("x", Seen(pictures), Record("x")))


# --------------------------------------------------------------------------------------------------
# archives and folders


def png(picture: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    "pattern", ["{}/{}.png", "{}\\{}.png", "top\\{}\\{}.png", "./{}/{}.png", "/{}/{}.png"]
)
def test_classes_of_a_zip_however_its_folders_are_parted(pattern: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(f"{pattern.partition('{')[0]}empty{pattern[2:-6] or '/'}", b"")
        for i, name in enumerate(("a", "b", "a", "b", "b")):
            archive.writestr(pattern.format(name, i), png(RGB[i]))
    found = read("zip", tmp_path / "x.zip")
    order = [0, 2, 1, 3, 4]
    assert found.classes == ["a", "a", "b", "b", "b"]
    assert np.array_equal(found.array, np.moveaxis(RGB[order], -1, 1))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("other", ["a/0.png", "a\\0.png", "./a/0.png", "a//0.png"])
def test_a_name_that_is_twice_in_a_zip_is_one_line(other: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for i, name in enumerate(("a/0.png", other, "a/1.png")):
            archive.writestr(name, png(RGB[i]))
    assert "holds 'a/0.png' twice" in refused("zip", tmp_path / "x.zip")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_is_twice_in_an_npz_is_one_line(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        for array in RGB[:2]:
            out = io.BytesIO()
            np.save(out, array)
            archive.writestr("x.npy", out.getvalue())
    assert "holds x twice" in refused("npz", tmp_path / "x.npz")


HIDDEN = (".thumbnails/0.png", ".Trash-1000/files/0.png", "a/.hidden.png", "a/.git/x/0.png")


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_what_is_hidden_is_left_out_and_counted(kind: str, tmp_path: Path) -> None:
    # of the folder itself it does not matter where it lies
    root = tmp_path / ".cache" / "x"
    for i, name in enumerate(("a/0.png", "b/0.png", *HIDDEN, "$RECYCLE.BIN/$R1.png")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(png(RGB[i % 5]))
    if kind == "zip":
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
            for file in sorted(p for p in root.rglob("*") if p.is_file()):
                archive.write(file, f"./{file.relative_to(root)}")
    found = read(kind, root if kind == "folder" else tmp_path / "x.zip")
    assert np.array_equal(found.array, np.moveaxis(RGB[:2], -1, 1))
    assert found.classes == ["a", "b"]
    assert found.record.skipped == {
        "hidden files and folders": 4,
        "what file managers leave behind": 1,
    }


# --------------------------------------------------------------------------------------------------
# tables whose cells name files


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of pictures in the hub's layout; nothing is fetched."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    for i, name in enumerate(("train/a/0", "train/a/1", "train/b/2", "test/a/3", "test/b/4")):
        (tmp_path / "hub" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(RGB[i]).save(tmp_path / "hub" / f"{name}.png")
    return tmp_path / "hub"


@pytest.mark.parametrize(("split", "which"), [("train", slice(0, 3)), ("test", slice(3, 5))])
def test_a_folder_of_pictures_in_the_hubs_layout(split: str, which: slice, hub: Path) -> None:
    found = read("hf", hub, split=split, labels="label")
    assert np.array_equal(found.array, np.moveaxis(RGB[which], -1, 1))
    assert found.classes == ["ab"[i in (2, 4)] for i in range(*which.indices(5))]
    (hub.parent / "link").symlink_to(hub)
    assert np.array_equal(read("hf", hub.parent / "link", split=split).array, found.array)


PATHS = ["/etc/hostname", "../x.png", "train/../../x.png", "~/x.png", "https://x.y/z.png", ""]


@pytest.mark.parametrize("path", PATHS)
def test_a_table_names_no_file_outside_its_folder(path: str, hub: Path) -> None:
    from raygan.data.hf import read_below

    Image.fromarray(RGB[0]).save(hub.parent / "x.png")
    with pytest.raises((DataError, OSError)):
        read_below("x", [hub], path)


@pytest.mark.parametrize("path", ["train/a/0.png", "./train/a/0.png", "train/b/../a/0.png"])
def test_a_table_names_a_file_from_its_folder_on(path: str, hub: Path) -> None:
    from raygan.data.hf import read_below

    assert read_below("x", [hub], path) == (hub / "train/a/0.png").read_bytes()
    assert read_below("x", [hub / "none", hub], str(hub / path)) == png(RGB[0])


def test_a_parquet_whose_cells_name_files_is_one_line(hub: Path) -> None:
    cells = [{"bytes": None, "path": "train/a/0.png"}] * 2
    pq.write_table(pa.table({"image": cells}), hub / "x.parquet")
    assert "path 'train/a/0.png' and no bytes" in refused("parquet", hub / "x.parquet")
    pq.write_table(
        pa.table({"image": [{**c, "bytes": png(RGB[0])} for c in cells]}), hub / "x.parquet"
    )
    assert np.array_equal(read("parquet", hub / "x.parquet").array[0], np.moveaxis(RGB[0], -1, 0))


# --------------------------------------------------------------------------------------------------
# settings that change nothing


def source(kind: str, root: Path) -> tuple[str, Path]:
    """One of each kind, of pictures, arrays or points."""
    kind, _, held = kind.partition(" of ")
    path = root / f"x.{'npy' if kind == 'npy' else kind}"
    if kind == "folder":
        path.mkdir()
        for i, picture in enumerate(RGB):
            Image.fromarray(picture).save(path / f"{i}.png")
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for i, picture in enumerate(RGB if held == "pictures" else ()):
                archive.writestr(f"{i}.png", png(picture))
            if held == "arrays":
                np.save(out := io.BytesIO(), RGB)
                archive.writestr("x.npy", out.getvalue())
    elif kind == "parquet":
        points = {"a": UNIT[:, 0, 0, 0], "b": UNIT[:, 0, 0, 1]}
        pq.write_table(
            pa.table({"image": [png(p) for p in RGB]} if held == "pictures" else points), path
        )
    elif kind == "hf":
        datasets = pytest.importorskip("datasets")
        part = datasets.Dataset.from_dict({"a": UNIT[:, 0, 0, 0], "b": UNIT[:, 0, 0, 1]})
        (datasets.DatasetDict(test=part) if held == "parts" else part).save_to_disk(path)
    elif kind == "npz":
        np.savez(path, x=RGB)
    else:
        np.save(path, RGB if held == "pictures" else UNIT[:, 0, 0])
    return "npz" if kind == "npy" else kind, path


IDLE = [
    ("zip of pictures", {"key": "x"}, "data.key is for arrays with names"),
    ("zip of pictures", {"layout": "points"}, "data.layout is for arrays"),
    ("zip of arrays", {"skip_broken": 1}, "data.skip_broken is for encoded pictures"),
    ("parquet of pictures", {"layout": "NHWC"}, "data.layout is for arrays"),
    ("parquet of points", {"skip_broken": 1}, "data.skip_broken is for encoded pictures"),
    ("parquet of points", {"size": 4}, "data.size is for pictures"),
    ("npy of pictures", {"key": "x"}, "data.key is for arrays with names"),
    ("npy of points", {"channels": 3}, "data.channels is for pictures"),
    ("folder", {"fit": "pad"}, "data.fit does nothing without data.size"),
    ("npz", {"fit": "pad"}, "data.fit does nothing without data.size"),
    ("hf of one", {"split": "test"}, "data.split is for parts"),
]


@pytest.mark.parametrize(("kind", "settings", "line"), IDLE)
def test_a_setting_that_changes_nothing_is_one_line(
    kind: str, settings: Any, line: str, tmp_path: Path
) -> None:
    assert line in refused(*source(kind, tmp_path), **settings)


USED = [
    ("zip of pictures", {"skip_broken": 1, "size": 4, "fit": "pad"}),
    ("zip of arrays", {"key": "x", "layout": "NHWC", "size": 4}),
    ("parquet of pictures", {"column": "image", "background": "black"}),
    ("parquet of points", {"layout": "points", "column": "a,b"}),
    ("npy of pictures", {"layout": "NHWC", "channels": 1}),
    ("npy of points", {"background": "white"}),
    ("npz", {"key": "x"}),
    ("folder", {"skip_broken": 2, "background": "noise"}),
    ("hf of one", {"column": "a"}),
    ("hf of parts", {"split": "test"}),
]


@pytest.mark.parametrize(("kind", "settings"), USED)
def test_a_setting_that_is_used_is_not_refused_nor_is_a_config_with_all_of_them(
    kind: str, settings: Any, tmp_path: Path
) -> None:
    made = reader(*source(kind, tmp_path), **settings)
    array = made.found().array
    again: Any = load_component("data", {"name": made.name, **made.model_dump()})
    assert np.array_equal(again.found().array, array)


# --------------------------------------------------------------------------------------------------
# files as their formats have them, by hand


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def raw_png(size: tuple[int, int], depth: int, colour: int, rows: list[bytes], key: bytes) -> bytes:
    """As libpng writes it; key: of its tRNS."""
    head = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = [(b"IHDR", head), *([(b"tRNS", key)] if key else []), (b"IDAT", body), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def raw_tiff(packed: bytes, size: tuple[int, int], bits: int, sign: int, photo: int) -> bytes:
    """One strip of grey, little-endian."""
    tags = [(256, size[0]), (257, size[1]), (258, bits), (259, 1), (262, photo), (273, 200),
            (277, 1), (278, size[1]), (279, len(packed)), (284, 1), (339, sign)]  # fmt: skip
    head = b"II*\0" + struct.pack("<IH", 8, len(tags))
    head += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return head.ljust(200, b"\0") + packed


GREYS = RNG.integers(0, 65536, (4, 6)).astype(np.uint16)
GREYS.flat[:2] = 0, 65535


def tiff(dtype: str, bits: int, sign: int, photo: int = 1) -> tuple[Any, bytes]:
    """(numbers, a file of them)."""
    numbers = (GREYS.astype(np.uint32) * 65537 >> (32 - bits)).astype(
        f"u{np.dtype(dtype).itemsize}"
    )
    if dtype == "f4":
        numbers = GREYS / 65535
    packed = numbers.astype("<f4").tobytes() if dtype == "f4" else numbers.tobytes()
    if bits == 12:
        a, b = numbers.reshape(-1, 2).astype(int).T
        packed = np.stack([a >> 4, (a & 15) << 4 | b >> 8, b & 255], 1).astype(np.uint8).tobytes()
    read_as = numbers if dtype == "f4" else numbers.view(dtype)
    return read_as.astype(np.float64), raw_tiff(packed, (6, 4), bits, sign, photo)


def stretched(numbers: Any) -> Any:
    low, high = numbers.min(), numbers.max()
    return (numbers - (low + high) / 2) / ((high - low) / 2)


TIFFS: dict[str, tuple[tuple[Any, bytes], str, Any]] = {
    "int8": (tiff("i1", 8, 2), "standard", stretched),
    "uint8": (tiff("u1", 8, 1), "auto", lambda x: x),
    "uint8, white is 0": (tiff("u1", 8, 1, 0), "auto", lambda x: 255 - x),
    "uint16": (tiff("u2", 16, 1), "auto", lambda x: np.rint(x / 257)),
    "uint16, white is 0": (tiff("u2", 16, 1, 0), "auto", lambda x: np.rint((65535 - x) / 257)),
    "12 bit": (tiff("u2", 12, 1), "auto", lambda x: np.rint(x * (255 / 4095))),
    "int16": (tiff("i2", 16, 2), "standard", stretched),
    "int32": (tiff("i4", 32, 2), "standard", stretched),
    "uint32": (tiff("u4", 32, 1), "standard", stretched),
    "float32": (tiff("f4", 32, 3), "auto", lambda x: x * 2 - 1),
}


@pytest.mark.parametrize("name", TIFFS)
def test_a_tiff_is_read_as_its_header_says(name: str, tmp_path: Path) -> None:
    (numbers, raw), scale, seen = TIFFS[name]
    (tmp_path / "a.tif").write_bytes(raw)
    found = read("folder", tmp_path, scale=scale)
    assert np.allclose(found.array[0, 0], seen(numbers), atol=1 if name == "12 bit" else 1e-6)
    if scale == "standard":
        assert found.scaling is not None
        back = found.scaling.back(found.array[0, 0])
        assert np.allclose(back, numbers, atol=1e-6 * np.ptp(numbers))


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("key", [0, 1])
def test_the_transparent_grey_of_a_png_is_that_of_its_depth(
    depth: int, key: int, tmp_path: Path
) -> None:
    values = [0, 1, 2**depth - 1, 1, 0, 2**depth - 1, 0, 1]
    bits = "".join(f"{v:0{depth}b}" for v in values)
    row = bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))
    raw = raw_png((8, 1), depth, 0, [row], struct.pack(">H", key))
    (tmp_path / "a.png").write_bytes(raw)
    seen = [255 if v == key else round(v * 255 / (2**depth - 1)) for v in values]
    assert read("folder", tmp_path).array[0, 0, 0].tolist() == seen


def test_16_bit_colours_are_said_and_refused_where_a_key_is_lost(tmp_path: Path) -> None:
    colours = RNG.integers(0, 65536, (4, 18)).astype(">u2")
    rows = [row.tobytes() for row in colours]
    (tmp_path / "a.png").write_bytes(raw_png((6, 4), 16, 2, rows, b""))
    found = read("folder", tmp_path)
    seen = np.moveaxis((colours >> 8).reshape(4, 6, 3), -1, 0)
    assert np.array_equal(found.array[0], seen)
    assert found.record.converted == {"16 bit colours cut to 8": 1}
    (tmp_path / "a.png").write_bytes(raw_png((6, 4), 16, 2, rows, colours[0, :3].tobytes()))
    assert "a.png is not a readable image (16 bit colours" in refused("folder", tmp_path)


def test_floats_whose_smallest_is_white_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(tiff("f4", 32, 3, 0)[1])
    assert "a.tif is not a readable image (floats whose smallest" in refused("folder", tmp_path)


@pytest.mark.parametrize("orientation", range(10))
def test_pictures_are_turned_where_exif_says_so(orientation: int, tmp_path: Path) -> None:
    image = Image.fromarray(RGB[0])
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(tmp_path / "a.png", exif=exif)
    found = read("folder", tmp_path)
    seen = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "a.png")))
    assert np.array_equal(found.array[0], np.moveaxis(seen, -1, 0))
    assert ("turned as EXIF says" in found.record.converted) == (2 <= orientation <= 8)


# --------------------------------------------------------------------------------------------------
# lines


@pytest.mark.parametrize("name", ["bad\nname.png", "bad\r.png", "bad\u2028.png"])
def test_a_file_s_name_is_one_line(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"xx")
    for other in ("a.png", "b.png"):
        (tmp_path / other).write_bytes(png(RGB[0]))
    line = refused("folder", tmp_path)
    assert f"{ascii(name)[1:-1]} is not a readable image (no picture, or" in line
    assert len(line.splitlines()) == 1
    found = read("folder", tmp_path, skip_broken=1)
    assert all(len(text.splitlines()) == 1 for text in found.record.lines())


SOURCES = {
    "d": "is a folder. Name what it holds, folder:",
    "x.tar": "is no Python file. Name one that ends in .py, or say its kind",
    "x.mat": "no file and no module named 'x.mat'",
    "./x.mat": "does not exist",
}


@pytest.mark.parametrize("name", SOURCES)
def test_a_path_that_tells_no_kind_is_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d").mkdir()
    (tmp_path / "x.tar").write_bytes(b"x")
    with pytest.raises(ConfigError) as error:
        resolve(flags={"data": f"./{name}" if name == "d" else name})
    assert SOURCES[name] in str(error.value)


def test_a_packed_table_is_known_by_its_suffix() -> None:
    for path in ("x.csv.gz", "x.tsv.gz", "x.tab"):
        assert resolve(flags={"data": path}).config.data == {"name": "csv", "path": path}
