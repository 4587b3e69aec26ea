"""Decoding: every format and depth against the pixels that were written, and every way a file can be bad."""

import io
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from inspector import imagefile
from inspector.errors import DataError

# Smooth, so that lossy formats stay close.
MONO = np.add.outer(np.arange(40) * 3, np.arange(30) * 4).clip(0, 255).astype(np.uint8)
COLOUR = np.dstack([MONO, MONO[::-1], MONO[:, ::-1]])
DEEP = MONO.astype(np.uint16) * 257


def by_opencv(suffix: str, pixels: np.ndarray, *options: int) -> bytes:
    return cv2.imencode(suffix, pixels, list(options))[1].tobytes()


def by_pillow(kind: str, mode: str, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(COLOUR[:, :, ::-1]).convert(mode).save(stream, kind, **options)
    return stream.getvalue()


def palette() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(COLOUR[:, :, ::-1]).quantize(256, dither=Image.Dither.NONE).save(stream, "PNG")
    return stream.getvalue()


GOOD = {
    "png mono": (by_opencv(".png", MONO), MONO, 0),
    "png colour": (by_opencv(".png", COLOUR), COLOUR, 0),
    "png mono 16": (by_opencv(".png", DEEP), DEEP, 0),
    "png colour 16": (by_opencv(".png", COLOUR.astype(np.uint16) * 257), COLOUR.astype(np.uint16) * 257, 0),
    "png alpha": (by_opencv(".png", np.dstack([COLOUR, MONO])), COLOUR, 0),
    "png palette": (palette(), COLOUR, 16),
    "jpeg mono": (by_opencv(".jpg", MONO, cv2.IMWRITE_JPEG_QUALITY, 98), MONO, 4),
    "jpeg colour": (by_opencv(".jpg", COLOUR, cv2.IMWRITE_JPEG_QUALITY, 98), COLOUR, 12),
    "jpeg cmyk": (by_pillow("JPEG", "CMYK", quality=98), COLOUR, 12),
    "bmp mono": (by_opencv(".bmp", MONO), MONO, 0),
    "bmp colour": (by_opencv(".bmp", COLOUR), COLOUR, 0),
    "tiff mono": (by_opencv(".tiff", MONO), MONO, 0),
    "tiff mono 16": (by_opencv(".tiff", DEEP), DEEP, 0),
    "tiff alpha": (by_opencv(".tiff", np.dstack([COLOUR, MONO])), COLOUR, 0),
    "webp lossless": (by_opencv(".webp", COLOUR, cv2.IMWRITE_WEBP_QUALITY, 101), COLOUR, 0),
    "png 1x1": (by_opencv(".png", np.full((1, 1), 7, np.uint8)), np.full((1, 1), 7, np.uint8), 0),
}


@pytest.mark.parametrize(("raw", "expected", "tolerance"), GOOD.values(), ids=GOOD)
def test_decodes(raw: bytes, expected: np.ndarray, tolerance: int) -> None:
    pixels = imagefile.decode(raw, "x")
    assert (pixels.shape, pixels.dtype) == (expected.shape, expected.dtype)
    assert np.abs(pixels.astype(int) - expected.astype(int)).max() <= tolerance


def forged_png(width: int, height: int) -> bytes:
    """A small file whose header claims any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


def two_pages() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(MONO).save(stream, "TIFF", save_all=True, append_images=[Image.fromarray(MONO)])
    return stream.getvalue()


BAD = {
    "empty": (b"", "is empty"),
    "text": (b"hello", "is not an image"),
    "gif": (by_pillow("GIF", "P"), "is not an image"),
    "truncated png": (by_opencv(".png", COLOUR)[:-20], "its end is missing"),
    "truncated jpeg": (by_opencv(".jpg", COLOUR)[:-20], "its end is missing"),
    "float tiff": (by_opencv(".tiff", COLOUR.astype(np.float32)), "has float32 pixels"),
    "32-bit integer tiff": (by_pillow("TIFF", "I"), "has int32 pixels"),
    "two pages": (two_pages(), "several pages"),
    "decompression bomb": (forged_png(60_000, 60_000), "claims 60000 x 60000 pixels"),
    "size larger than data": (forged_png(200, 200), "damaged PNG"),
}


@pytest.mark.parametrize(("raw", "message"), BAD.values(), ids=BAD)
def test_refuses(raw: bytes, message: str) -> None:
    with pytest.raises(DataError, match=f"^folder/part.png .*{message}") as caught:
        imagefile.decode(raw, "folder/part.png")
    assert "\n" not in str(caught.value)


def test_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.png")
    with pytest.raises(DataError, match="not a regular file"):
        imagefile.read(tmp_path / "x.png")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(Path.mkdir, "is a folder", id="folder"),
        pytest.param(lambda path: path.symlink_to(path), "Too many levels", id="link to itself"),
        pytest.param(lambda path: path.symlink_to("nowhere"), "No such file", id="dangling link"),
        pytest.param(lambda path: None, "No such file", id="missing"),
    ],
)
def test_places_that_are_no_file(tmp_path: Path, make, message: str) -> None:
    make(tmp_path / "x.png")
    with pytest.raises(DataError, match=message):
        imagefile.read(tmp_path / "x.png")


def test_huge_file_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "x.png").open("wb") as handle:
        handle.truncate(imagefile.MAX_BYTES + 1)  # sparse: takes no space
    with pytest.raises(DataError, match="cut it into parts"):
        imagefile.read(tmp_path / "x.png")
