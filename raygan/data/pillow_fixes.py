"""Where Pillow takes the numbers of a file for others: mended by what the file says of them, or
refused.

TGA     a fourth channel that the header does not call alpha, and that is 0 or 255 throughout
TIFF    8 bit signed, 32 bit unsigned, 12 bit; 16 bit whose smallest is white, or plane by plane;
        channels that Pillow leaves out
PNG     the transparent grey of 2 and 4 bit; 16 bit colours, of which Pillow keeps 8, as of PPM's
AVIF, JPEG 2000   10, 12 or 16 bits, of which Pillow keeps 8
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from raygan.data.record import Array

if TYPE_CHECKING:
    from PIL.Image import Image

BITS, PHOTOMETRIC, CHANNELS, SAMPLE_FORMAT, WHITE_IS_ZERO = 258, 262, 277, 339, 0
UNSIGNED, SIGNED = 1, 2


@dataclass(frozen=True)
class Written:
    """What a picture's header says of its numbers; asked before they are decoded."""

    raw: str
    """Pillow's word for how they are stored."""
    sign: int = 0
    """TIFF's SampleFormat; 0 for others."""
    white_is_zero: bool = False
    bits: int = 8
    """Of a channel, where the header tells."""
    channels: int = 0
    """TIFF's SamplesPerPixel; 0 for others."""
    filler: bool = False
    """TGA's header counts no alpha: it may be bytes that fill up 32 bits."""

    @staticmethod
    def of(image: Image, encoded: bytes) -> Written:
        """Of a picture that is opened and not loaded, and its file's bytes."""
        if image.format in DEEP:
            return Written("", bits=DEEP[image.format](encoded))
        tiles = getattr(image, "tile", ())
        first = tiles[0].args if tiles else ""
        args = first if isinstance(first, tuple) else (first,)
        raw = str(args[0] if args else "")
        tags = getattr(image, "tag_v2", None)
        if tags is None:
            # PPM's decoders are told the number that is white
            most = args[-1] if image.format == "PPM" and isinstance(args[-1], int) else 0
            # TGA 2.0, field 5.6: bits of the descriptor that count alpha's
            filler = image.format == "TGA" and not encoded[17] & 15
            return Written(raw, bits=16 if ";16" in raw or most > 255 else 8, filler=filler)
        return Written(
            raw,
            tags.get(SAMPLE_FORMAT, (UNSIGNED,))[0],
            tags.get(PHOTOMETRIC) == WHITE_IS_ZERO,
            max(tags.get(BITS, (1,))),
            tags.get(CHANNELS, 1),
        )

    def mended(self, image: Image, said: Callable[[str], None]) -> Image:
        """The loaded picture with the numbers that were written. Raises ValueError where they are
        lost.
        """
        # many that write alpha do not count it: what differs from pixel to pixel fills up nothing
        if self.filler and image.has_transparency_data and alpha_of(image) in ({0}, {255}):
            said("a channel left out that is no alpha")
            image = image.convert("L" if image.mode in ("L", "LA") else "RGB")
        key = image.info.get("transparency")
        if self.raw.startswith("L;") and isinstance(key, int):
            # 2 and 4 bit are spread to 8 when they are decoded, and the key is not
            bits = {"L;2": 2, "L;4": 4}.get(self.raw, 8)
            image.info["transparency"] = key * (255 // (2**bits - 1))
        if self.bits > 8 and image.mode[0] not in "IF":
            self._cut(key, said)
        if (more := self.channels - len(image.getbands())) > 0:
            said(f"{more} of {self.channels} channels left out, which are no colours")
        numbers = self._numbers(image)
        return image if numbers is None else made(numbers, image)

    def _cut(self, key: object, said: Callable[[str], None]) -> None:
        """Colours of more than 8 bits, of which Pillow has kept the upper 8. Raises ValueError
        where it has kept others.
        """
        if self.channels and ";16" not in self.raw:
            raise ValueError(
                f"colours of {self.bits} bits in a form that Pillow does not know: save them in 8"
            )
        if isinstance(key, tuple) and any(k >> 8 != k & 255 for k in key):
            raise ValueError("16 bit colours with a transparent one: save it with alpha")
        said(f"{self.bits} bit colours cut to 8")

    def _numbers(self, image: Image) -> Array | None:
        """None where Pillow has them right."""
        if image.mode == "L" and self.sign == SIGNED:
            return np.asarray(image).view(np.int8).astype(np.int32)
        if image.mode == "I" and self.sign == UNSIGNED and self.raw.startswith("I;32"):
            return np.asarray(image).view(np.uint32).astype(np.float32)
        # its header tells the number that is white, to which Pillow has scaled it: 65535
        if image.mode == "I" and image.format == "PPM":
            return np.asarray(image).astype(np.uint16)
        if self.white_is_zero and image.mode == "F":
            raise ValueError("floats whose smallest is white: save them the other way round")
        if self.white_is_zero and image.mode.startswith("I;16"):
            return np.uint16(65535) - np.asarray(image)
        if self.raw == "I;12":
            return np.rint(np.asarray(image) * (65535 / 4095)).astype(np.uint16)
        return None


def alpha_of(image: Image) -> set[int]:
    """The values that it has."""
    return set(np.unique(np.asarray(image.convert("RGBA"))[..., 3]).tolist())


def bits_of_avif(encoded: bytes) -> int:
    """Of a channel, by the box av1C (AV1-ISOBMFF, section 2.3.3): its third byte has two flags."""
    at = encoded.find(b"av1C") + 4
    flags = encoded[at + 2] if 4 <= at < len(encoded) - 2 else 0
    return {0: 8, 0x40: 10, 0x60: 12}.get(flags & 0x60, 8)


def bits_of_jpeg2000(encoded: bytes) -> int:
    """Of the deepest channel, by the marker SIZ (ISO 15444-1, A.5.1)."""
    at = encoded.find(b"\xff\x4f\xff\x51") + 2
    count = int.from_bytes(encoded[at + 38 : at + 40], "big")
    depths = [byte & 0x7F for byte in encoded[at + 40 : at + 40 + 3 * count : 3]]
    return max(depths, default=7) + 1


DEEP = {"AVIF": bits_of_avif, "JPEG2000": bits_of_jpeg2000}
"""What tells it, by Pillow's name of the format: its own header says nothing of it."""


def made(numbers: Array, like: Image) -> Image:
    """A picture of these, with what is known of another."""
    from PIL import Image

    image = Image.fromarray(numbers)
    image.info = like.info
    return image
