"""Headers of pictures written by Pillow and OpenCV, whole and cut anywhere."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from inspector.container import Damaged, Header, examine

WIDTH, HEIGHT = 37, 23
COLOUR = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def by_opencv(suffix: str, pixels: np.ndarray = COLOUR, *options: int) -> bytes:
    return cv2.imencode(suffix, pixels, list(options))[1].tobytes()


def by_pillow(kind: str, mode: str = "RGB", **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(COLOUR).convert(mode).save(stream, kind, **options)
    return stream.getvalue()


FILES = {
    "png": ("PNG", by_opencv(".png")),
    "png palette": ("PNG", by_pillow("PNG", "P")),
    "jpeg": ("JPEG", by_opencv(".jpg")),
    "jpeg progressive": ("JPEG", by_opencv(".jpg", COLOUR, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)),
    "jpeg restart markers": ("JPEG", by_opencv(".jpg", COLOUR, cv2.IMWRITE_JPEG_RST_INTERVAL, 1)),
    "jpeg cmyk": ("JPEG", by_pillow("JPEG", "CMYK")),
    "bmp": ("BMP", by_opencv(".bmp")),
    "bmp 1 bit": ("BMP", by_pillow("BMP", "1")),
    "tiff": ("TIFF", by_opencv(".tiff")),
    "tiff 16 bit": ("TIFF", by_opencv(".tiff", COLOUR.astype(np.uint16) * 257)),
    "tiff uncompressed": ("TIFF", by_pillow("TIFF")),
    "tiff big": ("TIFF", by_pillow("TIFF", big_tiff=True)),
    "tiff group 4": ("TIFF", by_pillow("TIFF", "1", compression="group4")),
    "webp lossless": ("WebP", by_opencv(".webp", COLOUR, cv2.IMWRITE_WEBP_QUALITY, 101)),
    "webp lossy": ("WebP", by_pillow("WEBP", quality=50)),
    "webp extended": ("WebP", by_pillow("WEBP", "RGBA", exif=b"Exif\0\0MM\0*")),
}


@pytest.mark.parametrize(("kind", "raw"), FILES.values(), ids=FILES)
def test_header_of_a_whole_file(kind: str, raw: bytes) -> None:
    assert examine(raw) == Header(kind, WIDTH, HEIGHT)


@pytest.mark.parametrize("raw", [raw for _, raw in FILES.values()], ids=FILES)
def test_every_cut_is_noticed(raw: bytes) -> None:
    """One byte short of the end, and at every 13th place before."""
    whole = len(raw) - (raw[:2] in (b"II", b"MM") and _tail_of_tiff(raw))
    for length in [*range(20, whole - 1, 13), whole - 1]:
        with pytest.raises(Damaged):
            examine(raw[:length])


def _tail_of_tiff(raw: bytes) -> int:
    """Bytes after the last one that the directory or the strips need (an alignment byte, say)."""
    needed = len(raw)
    while needed:
        try:
            examine(raw[: needed - 1])
        except Damaged:
            break
        needed -= 1
    assert len(raw) - needed <= 64
    return len(raw) - needed


@pytest.mark.parametrize("raw", [b"hello, world", b"GIF89a" + bytes(20), b"\xff\xd8", b""], ids=repr)
def test_anything_else_is_not_a_picture(raw: bytes) -> None:
    assert examine(raw) is None


def test_flipped_bit_in_png() -> None:
    raw = bytearray(by_opencv(".png"))
    raw[len(raw) // 2] ^= 1
    with pytest.raises(Damaged, match="checksum of its IDAT"):
        examine(bytes(raw))


def test_thumbnails_end_mark_does_not_count() -> None:
    """A JPEG cut after its EXIF thumbnail still holds an end mark, inside the EXIF segment."""
    thumbnail = by_opencv(".jpg")
    body = b"Exif\0\0" + thumbnail
    segment = b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body
    whole = thumbnail[:2] + segment + thumbnail[2:]
    assert examine(whole) == Header("JPEG", WIDTH, HEIGHT)
    with pytest.raises(Damaged, match="its end is missing"):
        examine(whole[:-10])


def test_pages() -> None:
    pages = [Image.fromarray(COLOUR), Image.fromarray(COLOUR)]
    stream = io.BytesIO()
    pages[0].save(stream, "TIFF", save_all=True, append_images=pages[1:])
    header = examine(stream.getvalue())
    assert header is not None and header.pages == 2


def test_forged_counts_are_damage_not_memory() -> None:
    raw = bytearray(by_pillow("TIFF"))
    at = int.from_bytes(raw[4:8], "little") + 2
    raw[at + 4 : at + 8] = b"\xff\xff\xff\x7f"  # the first tag's number of values
    with pytest.raises(Damaged):
        examine(bytes(raw))
