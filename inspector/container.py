"""Read what an encoded picture says of itself, before any pixel is decoded: format, size, and whether it is whole.

OpenCV, depending on its version, decodes truncated files partly and says nothing, and allocates whatever size a
header claims. The few header fields needed to refuse both are read here.

Sources: PNG (ISO/IEC 15948), JPEG (ITU-T T.81), TIFF 6.0 and BigTIFF, WebP (RFC 9649), BMP (BITMAPINFOHEADER).
"""

import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

# A marker inside entropy-coded data: not a stuffed FF00, not a fill byte, not one without a length (TEM, restart).
_JPEG_MARKER = re.compile(rb"\xff[^\x00\x01\xff\xd0-\xd7]")
_JPEG_SIZE_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_TIFF_INTEGERS = {1: "B", 3: "H", 4: "I", 16: "Q"}


class Damaged(Exception):
    """The container is not whole; the message says what is wrong ("its end is missing")."""


@dataclass(frozen=True, slots=True)
class Header:
    """What the container claims: format name, size in pixels, number of full pictures (TIFF pages)."""

    format: str
    width: int
    height: int
    pages: int = 1


def examine(raw: bytes) -> Header | None:
    """Read the container's header and check that it is whole.

    Returns:
        The header, or None where the bytes are none of PNG, JPEG, BMP, TIFF, WebP.

    Raises:
        Damaged: the end is missing or a checksum is wrong. Formats without checksums (all but PNG) can still
            hold damaged pixels.
    """
    for magic, read in _READERS:
        if magic.match(raw):
            try:
                return read(raw)
            except (struct.error, IndexError):
                raise Damaged("its end is missing") from None
    return None


def _png(raw: bytes) -> Header:
    width, height = struct.unpack_from(">II", raw, 16)
    view = memoryview(raw)
    at, kind = 8, b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", raw, at)
        (checksum,) = struct.unpack_from(">I", raw, at + 8 + length)
        if zlib.crc32(view[at + 4 : at + 8 + length]) != checksum:
            raise Damaged(f"the checksum of its {kind.decode('ascii', 'replace')} chunk is wrong")
        at += 12 + length
    return Header("PNG", width, height)


def _jpeg(raw: bytes) -> Header:
    size = (0, 0)
    at = 2
    while True:
        found = _JPEG_MARKER.search(raw, at)
        if found is None:
            raise Damaged("its end is missing")
        marker, at = raw[found.end() - 1], found.end()
        if marker == 0xD9:
            return Header("JPEG", *size)
        if marker in _JPEG_SIZE_MARKERS:
            height, width = struct.unpack_from(">HH", raw, at + 3)
            size = (width, height)
        at += struct.unpack_from(">H", raw, at)[0]


def _bmp(raw: bytes) -> Header:
    offset, header_size = struct.unpack_from("<II", raw, 10)
    if header_size == 12:
        width, height, _, depth = struct.unpack_from("<HHHH", raw, 18)
        compression, stored = 0, 0
    else:
        width, height, _, depth, compression, stored = struct.unpack_from("<iiHHII", raw, 18)
    if compression in (0, 3, 6):  # uncompressed, with or without bit masks: rows padded to 4 bytes
        stored = (abs(width) * depth + 31) // 32 * 4 * abs(height)
    if len(raw) < offset + stored:
        raise Damaged("its end is missing")
    return Header("BMP", abs(width), abs(height))


def _tiff(raw: bytes) -> Header:
    order = "<" if raw[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", raw, 2)[0] == 43
    (first,) = struct.unpack_from(order + ("Q" if big else "I"), raw, 8 if big else 4)
    page, following = _tiff_page(raw, first, order, big)
    for offsets, counts in ((273, 279), (324, 325)):
        ends = [at + count for at, count in zip(page.get(offsets, ()), page.get(counts, ()), strict=False)]
        if ends and max(ends) > len(raw):
            raise Damaged("its end is missing")
    if not page.get(256) or not page.get(257):
        raise Damaged("its size is not stated")
    pages = 1
    if following:
        second, _ = _tiff_page(raw, following, order, big)
        reduced = second.get(254, (0,))[0] & 1  # a thumbnail of the first page
        pages += not reduced
    return Header("TIFF", page[256][0], page[257][0], pages)


def _tiff_page(raw: bytes, at: int, order: str, big: bool) -> tuple[dict[int, tuple[int, ...]], int]:
    """The integer tags of the directory at `at`, and where the next directory lies (0: none)."""
    count_format, entry_size, inline = ("Q", 20, 8) if big else ("H", 12, 4)
    (entries,) = struct.unpack_from(order + count_format, raw, at)
    at += struct.calcsize(order + count_format)
    tags: dict[int, tuple[int, ...]] = {}
    for _ in range(entries):
        tag, kind, count = struct.unpack_from(order + ("HHQ" if big else "HHI"), raw, at)
        if kind in _TIFF_INTEGERS:
            layout = f"{order}{count}{_TIFF_INTEGERS[kind]}"
            where = at + entry_size - inline
            if struct.calcsize(layout) > inline:
                (where,) = struct.unpack_from(order + ("Q" if big else "I"), raw, where)
            tags[tag] = struct.unpack_from(layout, raw, where)
        at += entry_size
    return tags, struct.unpack_from(order + ("Q" if big else "I"), raw, at)[0]


def _webp(raw: bytes) -> Header:
    if len(raw) < struct.unpack_from("<I", raw, 4)[0] + 8:
        raise Damaged("its end is missing")
    kind = raw[12:16]
    if kind == b"VP8X":
        width = 1 + int.from_bytes(raw[24:27], "little")
        height = 1 + int.from_bytes(raw[27:30], "little")
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", raw, 21)
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", raw, 26))
    return Header("WebP", width, height)


_READERS: tuple[tuple[re.Pattern[bytes], Callable[[bytes], Header]], ...] = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), _png),
    (re.compile(rb"\xff\xd8\xff"), _jpeg),
    (re.compile(rb"BM.{4}\0\0\0\0", re.DOTALL), _bmp),
    (re.compile(rb"II[*+]\0|MM\0[*+]"), _tiff),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), _webp),
)
