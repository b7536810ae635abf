"""Forms of picture files that Pillow reads in part, or otherwise than they are written."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, features

from raygan.data import cut_off, pixels
from raygan.data.pillow_fixes import Written
from tests.data.test_reader import read, refused

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (6, 9, 3)).astype(np.uint8)


def tiff(array: Any, photometric: int, planes: bool = False, extra: int | None = None) -> bytes:
    """(H, W, C), little-endian, not packed; planes: each channel by itself."""
    (h, w, c), bits = array.shape, 8 * array.dtype.itemsize
    parts = [p.tobytes() for p in np.moveaxis(array, -1, 0)] if planes else [array.tobytes()]
    tags: dict[int, list[int]] = {
        256: [w], 257: [h], 258: [bits] * c, 259: [1], 262: [photometric], 277: [c], 278: [h],
        279: [len(p) for p in parts], 284: [2 if planes else 1],
        **({} if extra is None else {338: [extra]}),
    }  # fmt: skip
    at = 600
    tags[273] = [at + len(parts[0]) * i for i in range(len(parts))]
    head, far, more = b"II*\0" + struct.pack("<IH", 8, len(tags)), b"", 300
    for tag, values in sorted(tags.items()):
        raw = struct.pack(f"<{len(values)}I", *values)
        where = raw if len(values) == 1 else struct.pack("<I", more + len(far))
        far += raw if len(values) > 1 else b""
        head += struct.pack("<HHI", tag, 4, len(values)) + where
    return ((head + bytes(4)).ljust(more, b"\0") + far).ljust(at, b"\0") + b"".join(parts)


def folder(path: Path, raw: bytes, suffix: str = "tif") -> Path:
    for i in range(3):
        (path / f"{i}.{suffix}").write_bytes(raw)
    return path


BAND = 255 - RGB[..., :1]
CHANNELS = {
    "near infrared": (np.dstack([RGB, BAND]), 2, 0, RGB, 1),
    "grey and more": (np.dstack([RGB[..., :1], BAND]), 1, 0, RGB[..., :1], 1),
    "RGB alone": (RGB, 2, None, RGB, 0),
    "alpha": (np.dstack([RGB, np.full_like(BAND, 255)]), 2, 2, RGB, 0),
    "16 bit alpha": (np.dstack([RGB, np.full_like(BAND, 255)]).astype("<u2") * 257, 2, 2, RGB, 0),
}


@pytest.mark.parametrize("name", CHANNELS)
def test_channels_that_pillow_leaves_out_are_said(name: str, tmp_path: Path) -> None:
    array, photometric, extra, seen, left = CHANNELS[name]
    found = read("folder", folder(tmp_path, tiff(array, photometric, extra=extra)))
    assert np.array_equal(found.array[0], np.moveaxis(seen, -1, 0))
    said = [what for what in found.record.converted if "channels left out" in what]
    assert said == [f"1 of {array.shape[2]} channels left out, which are no colours"] * left


@pytest.mark.parametrize("planes", [False, True])
@pytest.mark.parametrize("dtype", ["u1", "<u2"])
def test_colours_of_tiff_are_read_right_or_refused(
    dtype: str, planes: bool, tmp_path: Path
) -> None:
    array = RGB.astype(dtype) * (257 if dtype == "<u2" else 1)
    path = folder(tmp_path, tiff(array, 2, planes))
    if planes and dtype == "<u2":
        assert "colours of 16 bits in a form that Pillow does not know" in refused("folder", path)
        return
    found = read("folder", path)
    assert np.array_equal(found.array[0], np.moveaxis(RGB, -1, 0))
    assert ("16 bit colours cut to 8" in found.record.converted) == (dtype == "<u2")


@pytest.mark.parametrize("most", [255, 4095, 65535])
def test_colours_of_ppm_that_are_cut_are_said(most: int, tmp_path: Path) -> None:
    numbers = (RGB.astype(int) * most // 255).astype(">u2" if most > 255 else "u1")
    found = read("folder", folder(tmp_path, b"P6\n9 6\n%d\n" % most + numbers.tobytes(), "ppm"))
    assert np.abs(found.array[0] - np.moveaxis(RGB, -1, 0).astype(int)).max() <= 1
    assert ("16 bit colours cut to 8" in found.record.converted) == (most > 255)


def jpeg2000(bits: int) -> bytes:
    """RGB, whose codestream says that it has so many bits a channel."""
    raw = io.BytesIO()
    Image.fromarray(RGB).save(raw, "JPEG2000")
    found = bytearray(raw.getvalue())
    at = found.index(b"\xff\x4f\xff\x51") + 2 + 40
    found[at : at + 9 : 3] = bytes([bits - 1] * 3)
    return bytes(found)


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_colours_of_jpeg2000_that_are_cut_are_said(bits: int, tmp_path: Path) -> None:
    found = read("folder", folder(tmp_path, jpeg2000(bits), "jp2"))
    assert (f"{bits} bit colours cut to 8" in found.record.converted) == (bits > 8)


@pytest.mark.skipif(not features.check("avif"), reason="Pillow without AVIF")
@pytest.mark.parametrize(("flags", "bits"), [(0, 8), (0x40, 10), (0x60, 12)])
def test_colours_of_avif_that_are_cut_are_said(flags: int, bits: int, tmp_path: Path) -> None:
    raw = io.BytesIO()
    Image.fromarray(RGB).save(raw, "AVIF")
    encoded = bytearray(raw.getvalue())
    # what it says of itself only: Pillow writes 8 bits
    encoded[encoded.index(b"av1C") + 6] |= flags
    image = Image.open(io.BytesIO(raw.getvalue()))
    assert Written.of(image, bytes(encoded)).bits == bits


@pytest.mark.parametrize("kind", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("value", [1, 3, 6])
def test_a_picture_that_is_turned_is_said(kind: str, value: int, tmp_path: Path) -> None:
    image = Image.fromarray(RGB)
    exif = image.getexif()
    exif[0x0112] = value
    image.save(out := io.BytesIO(), {"jpg": "jpeg", "tif": "tiff"}.get(kind, kind), exif=exif)
    found = read("folder", folder(tmp_path, out.getvalue(), kind))
    assert found.array.shape[2:] == ((9, 6) if value == 6 else (6, 9))
    assert found.record.converted.get("turned as EXIF says", 0) == (0 if value == 1 else 3)


def test_a_dib_is_read(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(out := io.BytesIO(), "dib")
    found = read("folder", folder(tmp_path, out.getvalue(), "dib"))
    assert np.array_equal(found.array[0], np.moveaxis(RGB, -1, 0))


def test_how_large_a_picture_may_be_is_told_by_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(RGB).save(out := io.BytesIO(), "png")
    path = folder(tmp_path, out.getvalue(), "png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert read("folder", path).array.shape == (3, 3, 6, 9)
    assert Image.MAX_IMAGE_PIXELS == 10
    monkeypatch.setattr(pixels, "A_PIXEL", (1 << 50, 96))
    assert "GiB unpacked, and this process may take" in refused("folder", path)


@pytest.mark.parametrize("rle", [False, True])
@pytest.mark.parametrize("grey", [False, True])
def test_the_fourth_byte_of_tga_is_alpha_where_its_header_says_so(
    grey: bool, rle: bool, tmp_path: Path
) -> None:
    colours = Image.fromarray(RGB[..., 0] if grey else RGB)
    image = colours.convert("LA" if grey else "RGBA")
    image.putalpha(0)
    out = io.BytesIO()
    image.save(out, "TGA", compression="tga_rle" if rle else None)
    raw = bytearray(out.getvalue())
    found = read("folder", folder(tmp_path, bytes(raw), "tga"))
    assert (found.array == 255).all(), "transparent, over white"
    raw[17] &= 0xF0
    found = read("folder", folder(tmp_path, bytes(raw), "tga"))
    seen = np.asarray(colours)
    assert np.array_equal(found.array[0], seen[None] if grey else np.moveaxis(seen, -1, 0))
    assert found.record.converted["a channel left out that is no alpha"] == 3


@pytest.mark.parametrize("grey", [False, True])
def test_a_fourth_byte_of_tga_that_differs_is_alpha_whatever_its_header_says(
    grey: bool, tmp_path: Path
) -> None:
    image = Image.fromarray(RGB[..., 0] if grey else RGB).convert("LA" if grey else "RGBA")
    image.putalpha(Image.fromarray(RGB[..., 1]))
    out = io.BytesIO()
    image.save(out, "TGA")
    raw = bytearray(out.getvalue())
    counted = read("folder", folder(tmp_path, bytes(raw), "tga"))
    raw[17] &= 0xF0
    found = read("folder", folder(tmp_path, bytes(raw), "tga"))
    assert np.array_equal(found.array, counted.array)
    assert found.record.converted == counted.record.converted


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("most", [65535, 4095, 1000])
def test_a_deep_pgm_goes_by_the_number_that_its_header_calls_white(
    most: int, plain: bool, tmp_path: Path
) -> None:
    grey = np.append(RNG.integers(0, most + 1, 53), most).reshape(6, 9)
    text = " ".join(map(str, grey.ravel().tolist())).encode()
    body = text if plain else grey.astype(">u2").tobytes()
    raw = b"P%d 9 6 %d\n" % (2 if plain else 5, most) + body
    found = read("folder", folder(tmp_path, raw, "pgm"))
    assert found.array.dtype == np.uint8
    assert np.allclose(found.array[0, 0], grey * 255 / most, atol=1)
    assert found.array.max() == 255


@pytest.mark.parametrize("mode", ["F", "I"])
def test_what_is_told_of_numbers_is_what_was_done(mode: str, tmp_path: Path) -> None:
    numbers = RGB[..., 0] / 255 if mode == "F" else RGB[..., 0]
    made = Image.fromarray(numbers.astype(np.float32 if mode == "F" else np.int32))
    out = io.BytesIO()
    made.save(out, "TIFF")
    told = list(read("folder", folder(tmp_path, out.getvalue())).record.converted)
    done = "0..1 scaled to -1..1" if mode == "F" else "float32 of 0..255 taken as bytes"
    assert told == [f"mode {mode} read as numbers", done]


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "AVIF", "JPEG2000", "QOI"])
@pytest.mark.parametrize("kind", ["noise", "black", "ramp"])
def test_a_picture_that_ends_in_zeros_is_damaged(kind: str, form: str, tmp_path: Path) -> None:
    if form == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    pictures = {
        "noise": RNG.integers(0, 256, (64, 64, 3)), "black": np.zeros((1024, 1024, 3)),
        "ramp": np.broadcast_to(np.arange(64)[:, None, None] * 4, (64, 64, 3)),
    }  # fmt: skip
    out = io.BytesIO()
    Image.fromarray(pictures[kind].astype(np.uint8)).save(out, form)
    raw = out.getvalue()
    suffix = {"JPEG2000": "jp2"}.get(form, form.lower())
    assert len(read("folder", folder(tmp_path, raw, suffix)).array) == 3
    if form in ("JPEG", "JPEG2000"):  # a block that is filled up
        assert len(read("folder", folder(tmp_path, raw + bytes(500), suffix)).array) == 3
    if kind != "noise":
        return
    keep = len(raw) * 6 // 10
    (tmp_path / f"1.{suffix}").write_bytes(raw[:keep] + bytes(len(raw) - keep))
    assert f"1.{suffix} is not a readable image" in refused("folder", tmp_path)
    assert len(read("folder", tmp_path, skip_broken=1).array) == 2


def chunk(name: bytes, payload: bytes) -> bytes:
    return name + struct.pack("<I", len(payload)) + payload + bytes(len(payload) % 2)


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("frames", [1, 3])
def test_metadata_of_webp_that_end_in_zeros_are_no_damage(
    frames: int, lossless: bool, tmp_path: Path
) -> None:
    noise = [Image.fromarray(RNG.integers(0, 256, (32, 32, 3)).astype(np.uint8)) for _ in "123"]
    out, exif = io.BytesIO(), b"Exif\0\0II*\0\x08\0\0\0" + bytes(4000)
    more: Any = {"save_all": True, "append_images": noise[1:]} if frames > 1 else {}
    noise[0].save(out, "WEBP", lossless=lossless, exif=exif, **more)
    raw = out.getvalue()
    assert raw.endswith(bytes(4000))
    plain = io.BytesIO()
    noise[0].save(plain, "WEBP", lossless=lossless, **more)
    (other := tmp_path / "plain").mkdir()
    expected = read("folder", folder(other, plain.getvalue(), "webp")).array
    found = read("folder", folder(tmp_path / "plain", raw, "webp"))
    assert np.array_equal(found.array, expected)
    # the metadata are there, and the pixels before them are not
    end = cut_off.end_of_pixels("WEBP", raw)
    holed = raw[: end // 2] + bytes(end - end // 2) + raw[end:]
    cut = raw[: end // 2] + bytes(len(raw) - end // 2)
    for damaged in (holed, cut):
        told = refused("folder", folder(tmp_path / "plain", damaged, "webp"))
        # of frames that are cut off the decoder tells by itself
        assert ("bytes are zeros" if frames == 1 else "is not a readable image") in told


def test_boxes_behind_the_pixels_may_end_in_zeros(tmp_path: Path) -> None:
    noise = Image.fromarray(RNG.integers(0, 256, (32, 32, 3)).astype(np.uint8))
    out = io.BytesIO()
    noise.save(out, "JPEG2000")
    raw = out.getvalue() + struct.pack(">I", 4008) + b"free" + bytes(4000)
    assert cut_off.end_of_pixels("JPEG2000", raw) == len(out.getvalue())
    assert read("folder", folder(tmp_path, raw, "jp2")).array.shape == (3, 3, 32, 32)
    half = raw[: len(out.getvalue()) // 2]
    told = refused("folder", folder(tmp_path, half + bytes(len(raw) - len(half)), "jp2"))
    assert "bytes are zeros" in told
