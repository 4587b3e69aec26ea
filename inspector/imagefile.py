"""Decode image files: PNG, JPEG, BMP, TIFF, WebP; 8 and 16 bit, mono and colour."""

import os
import stat
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from inspector.container import Damaged, examine
from inspector.errors import DataError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
# 16384 x 16384: above any line-scan picture, below what a forged header claims. OpenCV's own limit is 2^30.
MAX_PIXELS = 2**28
MAX_BYTES = 2**31

# OpenCV reports what it cannot decode on stderr as well; the product says it once, in its own words.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def read(path: Path) -> npt.NDArray[np.generic]:
    """Decode a file.

    Returns:
        `(H, W)` mono or `(H, W, 3)` BGR, uint8 or uint16; transparency is dropped, EXIF rotation ignored,
        CMYK and palettes become BGR.

    Raises:
        DataError: missing, not a regular file, empty, truncated, larger than `MAX_PIXELS`, of several pages, not
            an image, or of a pixel type that cannot be scored.
    """
    try:
        # Non-blocking: opening a pipe nobody writes to would wait for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as handle:
            status = os.fstat(descriptor)
            if stat.S_ISDIR(status.st_mode):
                raise DataError(f"{path} is a folder, not an image: point to a file")
            if not stat.S_ISREG(status.st_mode):
                raise DataError(f"{path} is not a regular file: point to an image file")
            if status.st_size > MAX_BYTES:
                raise DataError(f"{path} has {status.st_size} bytes, the limit is {MAX_BYTES}: cut it into parts")
            raw = handle.read()
    except IsADirectoryError:
        raise DataError(f"{path} is a folder, not an image: point to a file") from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    return decode(raw, str(path))


def decode(raw: bytes, where: str) -> npt.NDArray[np.generic]:
    """Decode an encoded picture held in memory; `where` names it in errors. See `read`."""
    if not raw:
        raise DataError(f"{where} is empty (0 bytes): copy or record it again")
    try:
        header = examine(raw)
    except Damaged as damage:
        raise DataError(f"{where} is truncated or damaged, {damage}: copy or record it again") from None
    if header is None:
        raise DataError(f"{where} is not an image (PNG, JPEG, BMP, TIFF or WebP)")
    if header.width * header.height > MAX_PIXELS:
        raise DataError(
            f"{where} claims {header.width} x {header.height} pixels, the limit is {MAX_PIXELS}: cut it into parts"
        )
    if header.pages > 1:
        raise DataError(f"{where} holds several pages, and only one would be scored: save each as its own file")
    try:
        pixels = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise DataError(f"{where} cannot be decoded: {' '.join(error.err.split())}") from None
    if pixels is None:
        raise DataError(f"{where} is a damaged {header.format} file: copy or record it again")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise DataError(f"{where} has {pixels.dtype} pixels: deliver 8 or 16 bit unsigned")
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        return np.ascontiguousarray(pixels[:, :, :3])
    if pixels.ndim == 3 and pixels.shape[2] != 3:
        raise DataError(f"{where} has {pixels.shape[2]} channels: deliver mono or colour")
    return pixels
