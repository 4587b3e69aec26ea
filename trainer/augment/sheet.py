"""A contact sheet of generated images, for people."""

import math
from collections.abc import Sequence

import cv2
import numpy as np

from inspector.preprocess import Image
from trainer.augment import SyntheticImage

_GAP = 6


def contact_sheet(images: Sequence[SyntheticImage], widest: int = 2400) -> Image:
    """Lay images out in rows, each beside a copy with its mask outlined in red.

    Args:
        images: one or more, of one size.
        widest: pixels; with too many or too large images for it, the sheet is shrunk to this width.

    Returns:
        `(H, W, 3)` uint8 RGB.
    """
    tiles = [_tile(image) for image in images]
    height, width = tiles[0].shape[:2]
    columns = max(1, min(len(tiles), round(math.sqrt(len(tiles) * 1.6 * height / width))))
    rows = math.ceil(len(tiles) / columns)
    sheet = np.full((rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP, 3), 255, np.uint8)
    for number, tile in enumerate(tiles):
        top = _GAP + number // columns * (height + _GAP)
        left = _GAP + number % columns * (width + _GAP)
        sheet[top : top + height, left : left + width] = tile
    if sheet.shape[1] > widest:
        size = widest, max(1, round(sheet.shape[0] * widest / sheet.shape[1]))
        return cv2.resize(sheet, size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]
    return sheet


def _tile(image: SyntheticImage) -> Image:
    if image.mask is None:
        return image.pixels
    outlines, _ = cv2.findContours(image.mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    outlined = cv2.drawContours(image.pixels.copy(), outlines, -1, (255, 0, 0), 1)
    return np.hstack([image.pixels, outlined])
