"""Each line of docs/data.md: what is read is compared with Pillow and numpy by hand."""

import gzip
import io
import os
import re
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageOps

from raygan.config import load_component, resolve
from raygan.data import npz
from raygan.data.files import FileComponent
from raygan.data.record import Read
from raygan.errors import ConfigError, DataError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (6, 7), dtype=np.uint8)
RGB = RNG.integers(0, 256, (6, 7, 3), dtype=np.uint8)
RGBA = np.dstack([RGB, RNG.integers(0, 256, (6, 7), dtype=np.uint8)])


def reader(kind: str, path: Path, **settings: Any) -> FileComponent:
    found = load_component("data", {"name": kind, "path": str(path), **settings})
    assert isinstance(found, FileComponent)
    return found


def read(kind: str, path: Path, **settings: Any) -> Read:
    return reader(kind, path, **settings).read()


def refused(kind: str, path: Path, **settings: Any) -> str:
    with pytest.raises(DataError) as error:
        reader(kind, path, **settings).load(0)
    assert "\n" not in str(error.value)
    return str(error.value)


def save(folder: Path, image: Image.Image, name: str = "a.png", **options: Any) -> Path:
    image.save(folder / name, **options)
    return folder


def over(colours: Any, alpha: Any, behind: float) -> Any:
    share = alpha[..., None] / 255 if colours.ndim == 3 else alpha / 255
    return np.rint(colours * share + behind * (1 - share)).astype(np.uint8)


def palette() -> Image.Image:
    return Image.fromarray(RGB).quantize(16)


def palette_alpha() -> Image.Image:
    image = palette()
    image.info["transparency"] = 3
    return image


def turned() -> tuple[Image.Image, dict[str, Any]]:
    image = Image.fromarray(RGB)
    exif = image.getexif()
    exif[0x0112] = 6
    return image, {"exif": exif}


CMYK = Image.merge("CMYK", [Image.fromarray(RGBA[..., i]) for i in range(4)])
DEEP = GREY.astype(np.uint16) * 257
HALF = (GREY / 255).astype(np.float32)
P_RGBA = np.asarray(palette_alpha().convert("RGBA"))

PICTURES: dict[str, tuple[Image.Image, str, dict[str, Any], Any, str]] = {
    "L": (Image.fromarray(GREY), "png", {}, GREY[..., None], ""),
    "RGB": (Image.fromarray(RGB), "png", {}, RGB, ""),
    "1": (Image.fromarray(GREY > 99), "png", {}, ((GREY > 99) * 255)[..., None], "mode 1"),
    "I;16": (Image.fromarray(DEEP), "png", {}, GREY[..., None], "16 bit"),
    "I;16 tiff": (Image.fromarray(DEEP), "tif", {}, GREY[..., None], "16 bit"),
    "I": (Image.fromarray(GREY.astype(np.int32)), "tif", {}, GREY[..., None], "mode I"),
    "F": (Image.fromarray(HALF), "tiff", {}, (HALF * 2 - 1)[..., None], "mode F"),
    "RGBA": (Image.fromarray(RGBA), "png", {}, over(RGB, RGBA[..., 3], 255), "over white"),
    "LA": (
        Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(RGBA[..., 3])]), "png", {},
        over(GREY, RGBA[..., 3], 255)[..., None], "over white",
    ),
    "P": (palette(), "png", {}, np.asarray(palette().convert("RGB")), "mode P"),
    "P with transparency": (
        palette(), "png", {"transparency": 3}, over(P_RGBA[..., :3], P_RGBA[..., 3], 255),
        "over white"
    ),
    "CMYK": (CMYK, "tiff", {}, np.asarray(CMYK.convert("RGB")), "mode CMYK"),
    "EXIF": (turned()[0], "png", turned()[1], np.rot90(RGB, -1), "turned"),
    "gif": (Image.fromarray(GREY), "gif", {}, np.asarray(Image.fromarray(GREY).convert("RGB")), ""),
    "animated gif": (
        Image.fromarray(GREY), "gif",
        {"save_all": True, "append_images": [Image.fromarray(255 - GREY)]},
        np.asarray(Image.fromarray(GREY).convert("RGB")), "first frame",
    ),
    "animated tiff": (
        Image.fromarray(RGB), "tif",
        {"save_all": True, "append_images": [Image.fromarray(255 - RGB)]}, RGB, "first frame",
    ),
    "ppm": (Image.fromarray(RGB), "ppm", {}, RGB, ""),
    "pgm": (Image.fromarray(GREY), "pgm", {}, GREY[..., None], ""),
    "bmp": (Image.fromarray(RGB), "bmp", {}, RGB, ""),
    "webp": (Image.fromarray(RGB), "webp", {"lossless": True}, RGB, ""),
}  # fmt: skip


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_what_is_seen(name: str, tmp_path: Path) -> None:
    image, suffix, options, seen, told = PICTURES[name]
    found = read("folder", save(tmp_path, image, f"a.{suffix}", **options))
    assert np.array_equal(found.array[0], np.moveaxis(seen, -1, 0).astype(found.array.dtype))
    assert not told or any(told in line for line in found.record.converted)


def test_jfif_and_avif_are_read_by_their_content(tmp_path: Path) -> None:
    for suffix, kind in (("jfif", "JPEG"), ("avif", "AVIF")):
        (tmp_path / suffix).mkdir()
        Image.fromarray(RGB).save(tmp_path / suffix / f"a.{suffix}", kind)
        seen = np.asarray(Image.open(tmp_path / suffix / f"a.{suffix}").convert("RGB"))
        assert np.array_equal(read("folder", tmp_path / suffix).array[0], np.moveaxis(seen, -1, 0))


@pytest.mark.parametrize(("background", "behind"), [("white", 255), ("black", 0)])
def test_hidden_colours_do_not_count(background: str, behind: int, tmp_path: Path) -> None:
    save(tmp_path, Image.fromarray(RGBA))
    found = read("folder", tmp_path, background=background).array[0]
    assert np.array_equal(found, np.moveaxis(over(RGB, RGBA[..., 3], behind), -1, 0))


def test_noise_behind_is_the_same_each_time_and_refuse_refuses(tmp_path: Path) -> None:
    save(tmp_path, Image.fromarray(np.dstack([RGB, np.zeros((6, 7), np.uint8)])))
    first, again = (read("folder", tmp_path, background="noise").array for _ in range(2))
    assert np.array_equal(first, again)
    assert first.std() > 50
    assert "Set data.background" in refused("folder", tmp_path, background="refuse")


@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_any_size_to_one_size(fit: str, tmp_path: Path) -> None:
    images = [
        Image.fromarray(RNG.integers(0, 256, s, dtype=np.uint8))
        for s in ((9, 20, 3), (30, 8, 3), (8, 8, 3))
    ]
    for i, image in enumerate(images):
        save(tmp_path, image, f"{i}.png")
    found = read("folder", tmp_path, size=8, fit=fit)
    for image, made in zip(images, found.array, strict=True):
        square = (8, 8)
        seen = (
            ImageOps.fit(image, square, Image.Resampling.LANCZOS)
            if fit == "crop"
            else ImageOps.pad(image, square, Image.Resampling.LANCZOS, color="white")
        )
        assert np.array_equal(np.moveaxis(np.asarray(seen), -1, 0), made)
    assert sum(n for what, n in found.record.converted.items() if "8 x 8" in what) == 2


def test_grey_and_rgb_go_both_ways(tmp_path: Path) -> None:
    save(save(tmp_path, Image.fromarray(RGB), "a.png"), Image.fromarray(GREY), "b.png")
    assert "Set data.channels" in refused("folder", tmp_path)
    grey = np.asarray(Image.fromarray(RGB).convert("L"))
    assert np.array_equal(read("folder", tmp_path, channels=1).array[:, 0], [grey, GREY])
    assert np.array_equal(read("folder", tmp_path, channels=3).array[1], [GREY] * 3)


def test_links_are_followed_once_and_circles_end(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for folder in (root / "a", tmp_path / "far"):
        folder.mkdir(parents=True)
        save(folder, Image.fromarray(GREY if folder.name == "a" else 255 - GREY))
    (root / "b").symlink_to(tmp_path / "far")
    (root / "b2").symlink_to(tmp_path / "far")
    (root / "a" / "round").symlink_to(root)
    (tmp_path / "far" / "self").symlink_to(tmp_path / "far" / "self")
    found = read("folder", root)
    assert np.array_equal(found.array[:, 0], [GREY, 255 - GREY])
    assert found.record.skipped["links to folders that were read already"] == 2
    assert found.classes == ["a", "b"]


@pytest.mark.parametrize("hard", [True, False])
def test_a_file_is_read_once_whatever_links_lead_to_it(hard: bool, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "all").mkdir(parents=True)
    for i in range(4):
        save(root / "all", Image.fromarray(GREY + i), f"{i}.png")
    link(root / "all" / "0.png", root / "all" / "again.png", hard)
    found = read("folder", root)
    assert np.array_equal(found.array[:, 0], [GREY + i for i in range(4)])
    assert found.record.skipped == {"links to files that were read already": 1}
    # whose class is it?
    for i in range(4):
        (root / f"c{i % 2}").mkdir(exist_ok=True)
        link(root / "all" / f"{i}.png", root / f"c{i % 2}" / f"{i}.png", hard)
    told = refused("folder", root)
    assert "c0/0.png is the same file as all/0.png, in another folder" in told
    assert "set data.labels: none" in told
    found = read("folder", root, labels="none")
    assert np.array_equal(found.array[:, 0], [GREY + i for i in range(4)])
    assert found.record.skipped == {"links to files that were read already": 5}
    # files that lie elsewhere
    (root / "all").rename(tmp_path / "all")
    if not hard:
        for i in range(4):
            (root / f"c{i % 2}" / f"{i}.png").unlink()
            link(tmp_path / "all" / f"{i}.png", root / f"c{i % 2}" / f"{i}.png", hard)
    assert read("folder", root).classes == ["c0", "c0", "c1", "c1"]


def link(to: Path, at: Path, hard: bool) -> None:
    at.hardlink_to(to) if hard else at.symlink_to(to)


def test_what_is_left_out_is_counted_by_reason(tmp_path: Path) -> None:
    save(tmp_path, Image.fromarray(GREY))
    for name in ("._a.png", ".DS_Store", "Thumbs.db", "notes.txt", "b.svg", "README"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "c.png").write_bytes(b"x")
    found = read("folder", tmp_path)
    assert len(found.array) == 1
    assert found.record.skipped == {
        "what file managers leave behind": 4,
        "files with suffix .txt": 1,
        "files with suffix .svg": 1,
        "files without suffix": 1,
    }
    assert any("b.svg" in line for line in found.record.lines())


@pytest.mark.parametrize("kind", ["cut", "html", "dangling", "empty"])
def test_a_broken_picture_is_one_line_or_is_left_out_when_allowed(
    kind: str, tmp_path: Path
) -> None:
    for name in ("a", "c"):
        save(tmp_path, Image.fromarray(GREY), f"{name}.png")
    if kind == "dangling":
        (tmp_path / "b.png").symlink_to("/nowhere")
    else:
        whole = (tmp_path / "a.png").read_bytes()
        (tmp_path / "b.png").write_bytes(
            {"cut": whole[: len(whole) // 2], "html": b"<html>", "empty": b""}[kind]
        )
    assert "b.png" in refused("folder", tmp_path)
    found = read("folder", tmp_path, skip_broken=1)
    assert len(found.array) == 2
    assert found.record.names["pictures that cannot be read"] == [str(tmp_path / "b.png")]


def test_a_zip_is_read_as_the_folder_is(tmp_path: Path) -> None:
    out = io.BytesIO()
    Image.fromarray(RGBA).save(out, "PNG")
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("cats/a.png", out.getvalue())
        archive.writestr("__MACOSX/cats/._a.png", b"junk")
    found = read("zip", tmp_path / "x.zip")
    assert np.array_equal(found.array[0], np.moveaxis(over(RGB, RGBA[..., 3], 255), -1, 0))
    assert found.classes is None, "one folder is no class"
    assert found.record.skipped == {"what file managers leave behind": 1}


# --------------------------------------------------------------------------------------------------
# arrays

CHW = RNG.integers(0, 256, (5, 3, 6, 8), dtype=np.uint8)
HWC = np.moveaxis(CHW, 1, -1)
POINTS = RNG.normal(size=(50, 3)) * [1, 10, 0.1] + [5, 0, -3]

ARRAYS: dict[str, tuple[Any, dict[str, Any], Any]] = {
    "uint8 NHW": (CHW[:, 0], {}, CHW[:, :1]),
    "uint8 NCHW": (CHW, {}, CHW),
    "uint8 NHWC": (HWC, {}, CHW),
    "uint8 N4HW, told": (CHW.repeat(2, 1)[:, :4], {"layout": "NCHW"}, CHW.repeat(2, 1)[:, :4]),
    "uint8 flat, told": (CHW.reshape(5, -1), {"layout": "3x6x8"}, CHW),
    "bool": (CHW > 99, {}, (CHW > 99) * 255),
    "int64 0..255": (CHW.astype(np.int64), {}, CHW),
    "uint16": (CHW.astype(np.uint16) * 257, {}, CHW),
    "float 0..255, whole": (CHW.astype(np.float32), {}, CHW),
    "float 0..1": (CHW / 255, {}, (CHW / 255 * 2 - 1).astype(np.float32)),
    "float -1..1": (CHW / 127.5 - 1, {}, (CHW / 127.5 - 1).astype(np.float32)),
    "float16 -1..1": (
        (CHW / 127.5 - 1).astype(np.float16),
        {},
        (CHW / 127.5 - 1).astype(np.float16).astype(np.float32),
    ),
    "float any, told": (CHW * 7.0 - 100, {"scale": "standard"}, None),
    "points": (POINTS, {}, ((POINTS - POINTS.mean(0)) / POINTS.std(0)).astype(np.float32)),
    "points as they are": (POINTS, {"scale": "none"}, POINTS.astype(np.float32)),
    "points float16": (
        POINTS.astype(np.float16),
        {"scale": "none"},
        POINTS.astype(np.float16).astype(np.float32),
    ),
    "points bytes": (
        CHW[:, 0, :2, 0],
        {"scale": "bytes"},
        (CHW[:, 0, :2, 0] / 127.5 - 1).astype(np.float32),
    ),
    "one column": (POINTS[:, 0], {"scale": "none"}, POINTS[:, :1].astype(np.float32)),
    "series as points": (
        CHW[:, 0] / 2,
        {"layout": "points", "scale": "none"},
        (CHW[:, 0] / 2).reshape(5, -1),
    ),
}


@pytest.mark.parametrize("kind", ["npz", "npy"])
@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_is_read_as_numpy_has_it(name: str, kind: str, tmp_path: Path) -> None:
    array, settings, seen = ARRAYS[name]
    path = tmp_path / f"d.{kind}"
    np.savez(path, x=array) if kind == "npz" else np.save(path, array)
    found = read("npz", path, **settings)
    if seen is not None:
        assert np.allclose(found.array, seen, atol=1e-6)
        assert found.array.dtype == (
            np.uint8 if np.asarray(seen).max() > 50 and found.array.ndim == 4 else np.float32
        )
    if found.scaling:
        back = found.scaling.back(found.array)
        assert np.allclose(
            back.reshape(np.shape(array)), array, rtol=1e-5, atol=1e-4 * (np.ptp(array) or 1)
        )


ASKED: dict[str, tuple[Any, str]] = {
    "N4HW": (np.zeros((5, 4, 16, 16), np.uint8), r"layout: NCHW or NHWC"),
    "NHW4": (np.zeros((5, 16, 16, 4), np.uint8), r"layout: NHWC or NCHW"),
    "N2HW": (np.zeros((5, 2, 16, 16), np.uint8), r"layout: NCHW"),
    "3 at both ends": (np.zeros((5, 3, 9, 3), np.uint8), r"layout: NCHW or NHWC"),
    "flat bytes": (RNG.integers(0, 256, (20, 144)).astype(np.uint8), r"layout: 1x12x12 or points"),
    "flat bytes as float": (RNG.integers(0, 256, (20, 144)) * 1.0, r"layout: 1x12x12 or points"),
    "flat RGB": (RNG.integers(0, 256, (20, 192)), r"layout: 3x8x8, 8x8x3 or points"),
    "float NHW": (np.zeros((5, 8, 8)), r"layout: NHW or points"),
    "uint16 below 256": (CHW.astype(np.uint16), r"data.scale: bytes"),
    "float beyond": (CHW * 7.0, r"data.scale: standard"),
    "complex": (POINTS + 1j, r"complex.*Save real and imaginary"),
    "dates": (np.array([["2020-01-01"]] * 9, "datetime64[D]"), "dates"),
    "text": (np.array([["a"]] * 9), "text"),
    "NaN": (np.array([[0, np.nan]] * 9), "9 numbers that are NaN"),
    "one sample": (POINTS[:1], "holds 1 samples"),
    "nothing in them": (np.zeros((9, 0)), "nothing in them"),
    "five axes": (np.zeros((3, 2, 2, 2, 2)), "layout: points"),
    "one number": (np.float64(3), "shape"),
}


@pytest.mark.parametrize("name", ASKED)
def test_what_is_not_certain_is_asked_for_with_the_guess(name: str, tmp_path: Path) -> None:
    array, line = ASKED[name]
    np.save(tmp_path / "d.npy", array)
    text = refused("npz", tmp_path / "d.npy")
    assert re.search(line, text), text


@pytest.mark.parametrize("shape", [(5, 3, 6, 8), (5, 144), (5, 3, 48), (5, 18, 8)])
def test_flat_pictures_get_their_axes_back(shape: tuple[int, ...], tmp_path: Path) -> None:
    np.save(tmp_path / "d.npy", CHW.reshape(shape))
    assert np.array_equal(read("npz", tmp_path / "d.npy", layout="3x6x8").array, CHW)


@pytest.mark.parametrize("array", [HWC, HWC.reshape(5, 48, 3), HWC.reshape(5, 6, 24), CHW[:, :2]])
def test_axes_in_another_order_are_not_taken_for_flat_pictures(array: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "d.npy", array)
    line = "that is not 3x6x8. Set data.layout: N"
    assert line in refused("npz", tmp_path / "d.npy", layout="3x6x8")


@pytest.mark.parametrize("large", [True, False])
@pytest.mark.parametrize(
    "array",
    [
        (RNG.integers(0, 65536, (9, 8, 8))).astype("u2"),
        RNG.integers(0, 256, (9, 8, 8)).astype("u4"), CHW / np.float32(255), CHW / 127.5 - 1,
        CHW * 1.0, POINTS, POINTS.astype("f4"), np.arange(2**62, 2**62 + 9),
    ],
)  # fmt: skip
def test_the_order_of_bytes_does_not_matter(
    array: Any, large: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raygan.data.npz.LARGE", 1 if large else 1 << 30)
    seen = []
    for order in "<>":
        np.save(tmp_path / "d.npy", array.astype(array.dtype.newbyteorder(order)))
        found = read("npz", tmp_path / "d.npy")
        seen.append(
            (found.array.dtype, found.array[:].tobytes(), found.scaling, found.record.converted)
        )
    assert seen[0] == seen[1]


@pytest.mark.parametrize("order", "<>")
def test_what_is_asked_for_is_so_in_both_orders_of_bytes(order: str, tmp_path: Path) -> None:
    np.save(tmp_path / "d.npy", CHW.astype(f"{order}u2"))
    assert "data.scale: bytes" in refused("npz", tmp_path / "d.npy")
    np.save(tmp_path / "d.npy", np.array(3, f"{order}f8"))
    assert "of shape ()" in refused("npz", tmp_path / "d.npy")


def test_large_offsets_are_centred_in_float64(tmp_path: Path) -> None:
    times = 1.7e9 + 0.02 * np.arange(1000)[:, None]
    np.save(tmp_path / "d.npy", times)
    found = read("npz", tmp_path / "d.npy")
    assert len(np.unique(found.array)) == 1000
    assert found.scaling is not None
    assert np.abs(found.scaling.back(found.array) - times).max() < 1e-4
    big = np.arange(100)[:, None] + 2**62
    np.save(tmp_path / "d.npy", big)
    assert len(np.unique(read("npz", tmp_path / "d.npy").array)) == 100


def test_a_constant_column_stays_what_it_is(tmp_path: Path) -> None:
    np.save(tmp_path / "d.npy", np.array([[7.0, 1.0], [7.0, 3.0]] * 5))
    found = read("npz", tmp_path / "d.npy")
    assert np.array_equal(found.array, [[0, -1], [0, 1]] * 5)
    assert found.scaling is not None
    assert np.array_equal(found.scaling.back(found.array), [[7, 1], [7, 3]] * 5)


def test_several_arrays_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "mnist.npz"
    np.savez(path, x_test=CHW[:2], x_train=CHW, y_train=np.zeros(5))
    assert "x_test, x_train, y_train. Set data.key: x_train" in refused("npz", path)
    found = read("npz", path, key="x_train")
    assert np.array_equal(found.array, CHW)
    assert found.record.skipped == {"other arrays of the archive": 2}


@pytest.mark.parametrize(
    ("names", "guess"),
    [(("x", "images"), "images"), (("arr_0", "data"), "data"), (("x", "data", "y"), "data")],
)
@pytest.mark.parametrize("kind", ["npz", "hdf5"])
def test_two_arrays_with_usual_names_are_asked_for(
    kind: str, names: tuple[str, ...], guess: str, tmp_path: Path
) -> None:
    path = tmp_path / f"d.{kind}"
    arrays = dict.fromkeys(names, np.arange(5)) | {guess: CHW}
    if kind == "npz":
        np.savez(path, **arrays)
    else:
        with pytest.importorskip("h5py").File(path, "w") as file:
            file.update(arrays)
    assert f"Set data.key: {guess}, or another" in refused(kind, path)
    assert np.array_equal(read(kind, path, key=guess).array, CHW)


def test_large_npy_files_stay_mapped(tmp_path: Path) -> None:
    np.save(tmp_path / "d.npy", CHW)
    array = read("npz", tmp_path / "d.npy").array
    assert isinstance(array, np.memmap) or isinstance(array.base, np.memmap)


# --------------------------------------------------------------------------------------------------
# tables


def encoded(array: Any) -> dict[str, Any]:
    out = io.BytesIO()
    Image.fromarray(array).save(out, "PNG")
    return {"bytes": out.getvalue(), "path": None}


def test_parquet_takes_the_column_with_bytes(tmp_path: Path) -> None:
    table = pa.table({"label": [1, 2], "picture": [encoded(RGB), encoded(255 - RGB)]})
    pq.write_table(table, tmp_path / "d.parquet")
    found = read("parquet", tmp_path / "d.parquet")
    assert np.array_equal(found.array, np.moveaxis([RGB, 255 - RGB], -1, 1))
    assert found.record.names["columns"] == ["label"]


def test_shards_of_a_folder_are_one_table_in_the_order_of_their_names(tmp_path: Path) -> None:
    for i in (1, 0):
        pq.write_table(
            pa.table({"image": [encoded(GREY + i)] * 2}), tmp_path / f"train-{i}.parquet"
        )
    (tmp_path / "README.md").write_text("x")
    found = read("parquet", tmp_path)
    assert np.array_equal(found.array[:, 0], [GREY, GREY, GREY + 1, GREY + 1])
    pq.write_table(pa.table({"picture": [encoded(GREY)]}), tmp_path / "z.parquet")
    assert "unlike those of" in refused("parquet", tmp_path)


def test_two_usual_columns_of_pictures_are_asked_for(tmp_path: Path) -> None:
    pictures = {
        "img": [encoded(RGB)] * 2,
        "image": [encoded(255 - RGB)] * 2,
        "mask": [encoded(GREY)] * 2,
    }
    pq.write_table(pa.table(pictures), tmp_path / "d.parquet")
    assert "Set data.column: image, or another" in refused("parquet", tmp_path / "d.parquet")
    found = read("parquet", tmp_path / "d.parquet", column="img")
    assert np.array_equal(found.array[0], np.moveaxis(RGB, -1, 0))


def test_a_null_is_told_by_its_row(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"image": [encoded(GREY), None, encoded(GREY)]}), tmp_path / "p.parquet"
    )
    assert "row 1" in refused("parquet", tmp_path / "p.parquet")
    assert len(read("parquet", tmp_path / "p.parquet", skip_broken=1).array) == 2
    pq.write_table(pa.table({"a": [1.0, None], "b": [1.0, 2.0]}), tmp_path / "n.parquet")
    assert "column 'a' has 1 nulls, the first in row 1" in refused(
        "parquet", tmp_path / "n.parquet"
    )


def test_numbers_in_parquet(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": POINTS[:, 0], "b": POINTS[:, 1]}), tmp_path / "d.parquet")
    assert np.allclose(read("parquet", tmp_path / "d.parquet", scale="none").array, POINTS[:, :2])
    pq.write_table(pa.table({"v": POINTS.tolist(), "label": [0] * 50}), tmp_path / "e.parquet")
    assert "Set data.column: v" in refused("parquet", tmp_path / "e.parquet")
    assert np.allclose(
        read("parquet", tmp_path / "e.parquet", column="v", scale="none").array, POINTS
    )


@pytest.mark.parametrize("mark", [",", ";"])
def test_the_first_row_of_a_packed_table_is_a_row(mark: str, tmp_path: Path) -> None:
    """What marks columns, and whether there are names, is in the text, not in its packed bytes."""
    path = tmp_path / "points.csv.gz"
    path.write_bytes(gzip.compress(f"1.5{mark}2\n2.5{mark}3\n4{mark}5\n".encode()))
    assert np.array_equal(read("csv", path, scale="none").array, [[1.5, 2], [2.5, 3], [4, 5]])


@pytest.mark.parametrize(("mark", "suffix"), [(",", "csv"), (";", "csv"), ("\t", "tsv")])
@pytest.mark.parametrize("header", ["", "a{}b{}c"])
def test_tables_of_text(mark: str, suffix: str, header: str, tmp_path: Path) -> None:
    path = tmp_path / f"d.{suffix}"
    lines = [mark.join(map(repr, row)) for row in POINTS.tolist()]
    path.write_text("\n".join([header.replace("{}", mark)] * bool(header) + lines) + "\n")
    found = read("csv", path)
    assert found.scaling is not None
    assert np.allclose(found.scaling.back(found.array), POINTS, atol=1e-5)


def test_a_label_column_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("label,a,b\n" + "0,1.5,2\n1,2.5,3\n" * 5)
    assert "Set data.column: a,b" in refused("csv", tmp_path / "d.csv")
    assert np.array_equal(
        read("csv", tmp_path / "d.csv", column="a,b", scale="none").array, [[1.5, 2], [2.5, 3]] * 5
    )
    (tmp_path / "d.csv").write_text("a,b\n1,2\n,3\n")
    assert "nulls, the first in row 1" in refused("csv", tmp_path / "d.csv")


def test_missing_libraries_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    (tmp_path / "d.h5").write_bytes(b"x")
    for kind, library in (("hdf5", "h5py"), ("hf", "datasets")):
        monkeypatch.setitem(sys.modules, library, None)
        assert f"needs {library}. Run: pip install" in refused(kind, tmp_path / "d.h5")


# --------------------------------------------------------------------------------------------------
# paths


def test_the_kind_is_known_by_the_suffix() -> None:
    for path, kind in (
        ("a/x.npz", "npz"),
        ("x.npy", "npz"),
        ("x.csv", "csv"),
        ("a/b/", "folder"),
        ("x.h5", "hdf5"),
    ):
        assert resolve(flags={"data": path}).config.data == {"name": kind, "path": path}


def test_a_home_and_names_that_are_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from raygan.cli.flags import setting_value

    monkeypatch.setenv("HOME", str(tmp_path))
    np.save(tmp_path / "x.npy", CHW)
    assert len(reader("npz", Path("~/x.npy")).read().array) == 5
    for path in ("data.path", "data.key", "data.column"):
        for text in ("2024", "007", "yes", "1e5", "2024-01-01"):
            assert setting_value(path, text) == text
    assert setting_value("data.limit", "7") == 7


@pytest.mark.parametrize("kind", ["npz", "zip", "idx", "csv", "folder"])
def test_the_wrong_kind_of_path_is_one_line(kind: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")
    for name in ("file",) if kind == "folder" else ("", "pipe"):
        assert str(tmp_path) in refused(kind, tmp_path / name)
    for name in ("a\0b", "n" * 5000):
        assert kind in refused(kind, tmp_path / name) or "path" in refused(kind, tmp_path / name)


def test_a_path_that_is_not_utf8_is_refused_before_anything_is_written() -> None:
    with pytest.raises(ConfigError, match="not UTF-8"):
        reader("folder", Path("bad\udcff"))


@pytest.mark.parametrize("large", [True, False])
@pytest.mark.parametrize("labels", [True, False])
def test_an_array_behind_another_is_not_left_unread(
    labels: bool, large: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(npz, "LARGE", 1 if large else 1 << 30)
    twice = io.BytesIO()
    for i in range(2):
        np.save(twice, np.arange(10 + i) if labels else np.ones((10 + i, 2)))
    once = io.BytesIO()
    np.save(once, np.ones((10, 2)) if labels else np.arange(10))
    x, y = (once, twice) if labels else (twice, once)
    (tmp_path / "x.npy").write_bytes(x.getvalue())
    (tmp_path / "y.npy").write_bytes(y.getvalue())
    for kind in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(tmp_path / "d.npz", "w", kind) as archive:
            archive.write(tmp_path / "x.npy", "x.npy")
            archive.write(tmp_path / "y.npy", "y.npy")
        assert "another array, which nobody would read" in refused(
            "npz", tmp_path / "d.npz", labels="y" if labels else None
        )
    told = refused("npz", tmp_path / "x.npy", labels="y.npy" if labels else None)
    assert f"{'y' if labels else 'x'}.npy cannot be read" in told
    assert "bytes follow its array of shape (10," in told


def test_an_archive_of_samples_one_by_one_is_told_at_once(tmp_path: Path) -> None:
    samples = list(np.zeros((3000, 2)))
    np.savez(tmp_path / "a.npz", *samples)
    began = time.process_time()
    told = refused("npz", tmp_path / "a.npz")
    assert "holds several: arr_0, arr_1, " in told
    assert "(3000). Set data.key: arr_0, or another. Or save them as one" in told
    # a tenth of that; in time by the square of their number it was 40 s
    assert time.process_time() - began < 10
    np.savez(tmp_path / "b.npz", np.zeros((9, 2)), np.zeros(9), np.zeros((9, 3)))
    assert read("npz", tmp_path / "b.npz").array.shape == (9, 2)
    np.savez(tmp_path / "c.npz", x=np.zeros((9, 2)), a=np.zeros((9, 2)), b=np.zeros((9, 2)))
    assert read("npz", tmp_path / "c.npz").array.shape == (9, 2)
