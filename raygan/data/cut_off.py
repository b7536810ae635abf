"""Pictures that were never written to their end: a disk or a download has left zeros, which
decoders take for pixels.

What is looked at is the end of the pixels: behind them metadata may end in zeros, and often do.

WebP               chunks of a RIFF file: VP8, VP8L, ANMF
AVIF, JPEG 2000    boxes of ISO media: mdat, jp2c
"""

from __future__ import annotations

from collections.abc import Iterator

PACKED = {"JPEG": 0.02, "MPO": 0.02, "WEBP": 0.12, "AVIF": 0.02, "JPEG2000": 0.02, "QOI": 0.02}
"""Formats in which zeros are no pixels -> share of a file that whole ones never end in: of WebP one
colour does in 0.06. PNG and GIF tell by themselves that something lacks.
"""
ZEROS = 64
"""Bytes at the end, of small files."""
PIXELS = (b"VP8 ", b"VP8L", b"ANMF", b"mdat", b"jp2c")
"""Parts of a file that hold them."""


def check_end(form: str, raw: bytes) -> None:
    """Raises ValueError for what ends in zeros. `form`: Pillow's word for its format."""
    if form not in PACKED:
        return
    raw = raw[: end_of_pixels(form, raw)]
    zeros = len(raw) - len(whole := raw.rstrip(b"\0"))
    # behind the end marker of JPEG they fill up a block
    if zeros >= max(ZEROS, PACKED[form] * len(raw)) and not whole.endswith(b"\xff\xd9"):
        raise ValueError(f"its last {zeros:,} bytes are zeros")


def end_of_pixels(form: str, raw: bytes) -> int:
    """Where the last part of a file that holds pixels ends; the file's own end where that is not
    known.
    """
    parts = {"WEBP": chunks, "AVIF": boxes, "JPEG2000": boxes}.get(form)
    end = 0
    for name, at in parts(raw) if parts else ():
        # a name that was never written: pixels may have been meant to follow
        if name == bytes(4):
            return len(raw)
        end = at if name in PIXELS else end
    return min(end or len(raw), len(raw))


def chunks(raw: bytes) -> Iterator[tuple[bytes, int]]:
    """(name, where it ends) of each part of a RIFF file."""
    at = 12
    while at + 8 <= len(raw):
        name, size = raw[at : at + 4], int.from_bytes(raw[at + 4 : at + 8], "little")
        at += 8 + size
        yield name, at
        at += size % 2


def boxes(raw: bytes) -> Iterator[tuple[bytes, int]]:
    """(name, where it ends) of each box of ISO media (ISO 14496-12, 4.2); none of a bare code
    stream.
    """
    at = 0
    while at + 8 <= len(raw):
        size, name = int.from_bytes(raw[at : at + 4], "big"), raw[at + 4 : at + 8]
        if size == 1:  # 64 bits of it follow the name
            size = int.from_bytes(raw[at + 8 : at + 16], "big")
        # 0: to the end of the file
        at = at + size if size >= 8 else len(raw)
        yield name, at
