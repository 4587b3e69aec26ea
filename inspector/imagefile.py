"""Decode image files: PNG, JPEG, BMP, TIFF, WebP; 8 and 16 bit, mono and colour."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from inspector.errors import DataError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})


def read(path: Path) -> npt.NDArray[np.generic]:
    """Decode a file.

    Returns:
        `(H, W)` mono or `(H, W, 3)` BGR, uint8 or uint16; transparency is dropped, EXIF rotation ignored.

    Raises:
        DataError: missing, empty, truncated, not an image, or of a pixel type that cannot be scored.
    """
    try:
        raw = path.read_bytes()
    except IsADirectoryError:
        raise DataError(f"{path} is a folder, not an image: point to a file") from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    return decode(raw, str(path))


def decode(raw: bytes, where: str) -> npt.NDArray[np.generic]:
    """Decode an encoded picture held in memory; `where` names it in errors. See `read`."""
    if not raw:
        raise DataError(f"{where} is empty (0 bytes): copy or record it again")
    if _truncated(raw):
        raise DataError(f"{where} is truncated: its end is missing, copy or record it again")
    try:
        pixels = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise DataError(f"{where} cannot be decoded: {error.err}") from None
    if pixels is None:
        raise DataError(f"{where} is not a readable image (PNG, JPEG, BMP, TIFF or WebP)")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise DataError(f"{where} has {pixels.dtype} pixels: deliver 8 or 16 bit unsigned")
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        pixels = pixels[:, :, :3]
    elif pixels.ndim == 3 and pixels.shape[2] not in (1, 3):
        raise DataError(f"{where} has {pixels.shape[2]} channels: deliver mono or colour")
    return pixels


def _truncated(raw: bytes) -> bool:
    """Whether the container's own end mark is missing; OpenCV decodes such files partly and says nothing."""
    if raw.startswith(b"\x89PNG\r\n\x1a\n"):
        return b"IEND" not in raw[-64:]
    if raw.startswith(b"\xff\xd8"):
        return b"\xff\xd9" not in raw[-4096:]
    if raw.startswith(b"BM"):
        return len(raw) < int.from_bytes(raw[2:6], "little")
    if raw[:4] == b"RIFF" and raw[8:12] == b"WEBP":
        return len(raw) < int.from_bytes(raw[4:8], "little") + 8
    return False
