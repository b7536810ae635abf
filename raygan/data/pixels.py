"""One encoded picture to (C, H, W): what a person sees in it, in 8 bits, or as numbers where its
file alone does not tell their range.

mode 1, L, LA                grey
RGB, RGBA, P, CMYK, YCbCr    RGB
I;16                         uint16, and I, F float32:
                             scaled with all others of the set (`files.pictures_of`)
alpha, tRNS                  over `background`: colours that nobody sees are not trained on
"""

from __future__ import annotations

import contextlib
import io
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np

from raygan.data.cut_off import check_end
from raygan.data.free_memory import check_room
from raygan.data.pillow_fixes import Written
from raygan.data.record import Array
from raygan.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = (
    "PNG",
    "JPEG",
    "BMP",
    "DIB",
    "WEBP",
    "GIF",
    "TIFF",
    "PPM",
    "AVIF",
    "JPEG2000",
    "TGA",
    "QOI",
    "PCX",
    "ICO",
)
"""Nothing else is decoded, whatever its name says: some of Pillow's other formats start programs.
"""
SUFFIXES = (
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".webp", ".gif", ".tif",
    ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".jp2", ".tga", ".qoi", ".pcx", ".ico",
)  # fmt: skip
A_PIXEL = (16, 96)
"""Bytes while one picture is decoded, and while a transparent one is laid over another."""
BROKEN = (OSError, ValueError, SyntaxError, LookupError, TypeError, EOFError, ArithmeticError,
          struct.error, zlib.error, NotImplementedError, RuntimeError, AttributeError)  # fmt: skip
"""What Pillow's readers raise for files that are damaged."""
Background = Literal["white", "black", "noise", "refuse"]
ORIENTATION = 0x0112


class BrokenPicture(Exception):
    """It cannot be decoded; the text says why."""


def decode(what: str, raw: bytes, background: Background, said: Callable[[str], None]) -> Array:
    """(C, H, W) uint8, uint16 for mode I;16, float32 for I and F. Raises BrokenPicture; DataError
    for one too large, or refused.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings(), without_limit():
            warnings.simplefilter("ignore")
            # formats by what is in the file, of this list only
            image: Image.Image = Image.open(io.BytesIO(raw), formats=FORMATS)
            check_end(image.format or "", raw)
            # by the header, before a pixel is unpacked: a small file may unpack to gigabytes
            each = A_PIXEL[image.has_transparency_data]
            check_room(what, each * image.width * image.height)
            if getattr(image, "is_animated", False):
                said("first frame of several")
            written = Written.of(image, raw)
            image = written.mended(upright(image, said), said)
            return pixels(what, image, background, zlib.crc32(raw), said)
    except UnidentifiedImageError:
        raise BrokenPicture("no picture, or one of a form that Pillow does not know") from None
    except BROKEN as error:
        raise BrokenPicture(" ".join(str(error).split()) or type(error).__name__) from None


@contextlib.contextmanager
def without_limit() -> Iterator[None]:
    """Pictures of any size: Pillow's limit is below what cameras make, and memory tells better."""
    from PIL import Image

    limit = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def upright(image: Image, said: Callable[[str], None]) -> Image:
    """A picture that is opened, loaded and turned as it says."""
    from PIL import ImageOps

    # TIFF's is turned by Pillow when it is loaded, and forgotten then; PNG's may follow the pixels
    before = image.getexif().get(ORIENTATION)
    image.load()
    after = image.getexif().get(ORIENTATION)
    # cameras store a portrait lying on its side; other values say nothing
    if {before, after} & set(range(2, 9)):
        said("turned as EXIF says")
    return ImageOps.exif_transpose(image) if after in range(2, 9) else image


def pixels(
    what: str, image: Image, background: Background, seed: int, said: Callable[[str], None]
) -> Array:
    """A decoded picture's channels, without alpha."""
    mode = image.mode
    if mode in ("I", "F"):
        said(f"mode {mode} read as numbers")
        return np.asarray(image, np.float32)[None]
    if mode.startswith("I;16"):
        deep = np.asarray(image)
        key = image.info.get("transparency")
        if not isinstance(key, int):
            return deep[None]
        alpha = np.where(deep == key, 0, 255).astype(np.uint8)
        return laid(what, deep[None], alpha, background, seed, said)
    if image.has_transparency_data:
        image = image.convert("LA") if mode == "La" else image
        # palettes with a transparent colour too: Pillow knows where transparency hides in a mode
        both = np.asarray(image.convert("RGBA")).transpose(2, 0, 1)
        alike = mode in ("1", "L", "LA", "La")
        return laid(what, both[:1] if alike else both[:3], both[-1], background, seed, said)
    wanted = "L" if mode in ("1", "L") else "RGB"
    if mode not in ("L", "RGB"):
        said(f"mode {mode} converted to {'grey' if wanted == 'L' else 'RGB'}")
    flat = np.asarray(image.convert(wanted))
    return flat[None] if flat.ndim == 2 else flat.transpose(2, 0, 1)


def laid(
    what: str,
    colours: Array,
    alpha: Array,
    background: Background,
    seed: int,
    said: Callable[[str], None],
) -> Array:
    """Colours (C, H, W), uint8 or uint16, seen through alpha (H, W) uint8 over the background."""
    if (alpha == 255).all():
        return colours
    if background == "refuse":
        raise DataError(
            f"{what} has transparent pixels. Set data.background: white, black or noise, or fill"
            " them."
        )
    said(f"transparent pixels laid over {background}")
    most = float(np.iinfo(colours.dtype).max)
    # seeded by the file's own bytes: the same noise at each start, another one behind each picture
    below = behind(background, (0.0, most), colours.shape, seed)
    share = alpha / 255.0
    out: Array = np.rint(colours * share + below * (1 - share)).astype(colours.dtype)
    return out


def behind(
    background: Background, span: tuple[float, float], shape: tuple[int, ...], seed: int
) -> Array:
    """What is seen where a picture is not: the upper end of its range, the lower, or 256 levels
    between them at random. `refuse` is of transparent pixels: around a picture it is white.
    """
    low, high = span
    if background == "noise":
        noise: Array = np.random.default_rng(seed).integers(0, 256, shape)
        return noise * ((high - low) / 255) + low
    return np.full(shape, low if background == "black" else high)


def recoloured(picture: Array, channels: int) -> Array:
    """Grey (1, H, W) from RGB (3, H, W), with Pillow's weights (ITU-R 601), and back; both ways 8
    bits stay 8 bits.
    """
    if len(picture) == channels:
        return picture
    if len(picture) == 1:
        rgb: Array = np.repeat(picture, channels, 0)
        return rgb
    if picture.dtype == np.uint8:
        # Pillow's own integers, so that an array and a file of the same picture give the same grey
        r, g, b = picture.astype(np.uint32)
        return np.asarray((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16, np.uint8)[None]
    grey: Array = np.tensordot(np.array([0.299, 0.587, 0.114]), picture, 1).astype(picture.dtype)[
        None
    ]
    return grey


def fitted(
    picture: Array,
    size: int,
    fit: Literal["crop", "pad"],
    background: Background,
    span: tuple[float, float] | None = None,
) -> Array:
    """(C, size, size): scaled so that it fills the square and cut in the middle, or so that it fits
    in and padded. `span`: of numbers, what is black and white; None: nobody knows before all are
    read, and padding is NaN.
    """
    from PIL import Image, ImageOps

    if picture.shape[1:] == (size, size):
        return picture
    kind = np.uint8 if picture.dtype == np.uint8 else np.float32
    # without overshoot where nothing clips it
    method = Image.Resampling.LANCZOS if kind is np.uint8 else Image.Resampling.BILINEAR
    made = ImageOps.fit if fit == "crop" else ImageOps.contain
    images = [Image.fromarray(np.ascontiguousarray(channel, kind)) for channel in picture]
    out = np.stack([np.asarray(made(image, (size, size), method)) for image in images])
    if out.shape[1:] == (size, size):
        return out
    if kind is np.uint8:
        span = (0.0, 255.0)
    shape = (len(out), size, size)
    seed = zlib.crc32(np.ascontiguousarray(picture).tobytes())
    whole = (behind(background, span, shape, seed) if span else np.full(shape, np.nan)).astype(kind)
    # in the middle, as Pillow's ImageOps.pad rounds it
    top, left = (round((size - side) / 2) for side in out.shape[1:])
    whole[:, top : top + out.shape[1], left : left + out.shape[2]] = out
    return whole
