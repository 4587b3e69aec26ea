"""Lay a change over a part inside a feathered region, and find the mask of what really changed."""

import cv2
import numpy as np
import numpy.typing as npt

from trainer.augment import Pixels
from trainer.augment.perlin import Mask

_FEATHER = 7
_VISIBLE = 8.0
_OF_STRONGEST = 0.25


def lay_over(part: Pixels, change: npt.NDArray[np.float32], region: Mask) -> tuple[Pixels, Mask]:
    """Add a change inside the region; outside, pixels stay bit-identical.

    Args:
        part: `(H, W, 3)` uint8 RGB.
        change: `(H, W, 3)` float, grey levels to add.
        region: `(H, W)` uint8, 255 where to; the change fades in over its outermost pixels.

    Returns:
        The changed part, and the mask of pixels that changed visibly: by 8 grey levels and by a quarter of the
        strongest change (both smoothed over 3 x 3 pixels) or more.
    """
    weight = cv2.blur(cv2.erode(region, np.ones((_FEATHER, _FEATHER), np.uint8)), (_FEATHER, _FEATHER))
    applied = change * (weight.astype(np.float32) / 255)[..., None]
    if (part[..., 0] == part[..., 1]).all() and (part[..., 1] == part[..., 2]).all():
        applied = np.repeat(applied.mean(2, keepdims=True), 3, 2)  # a grey part stays grey
    pixels = np.clip(np.rint(part.astype(np.float32) + applied), 0, 255).astype(np.uint8)
    moved = cv2.blur(pixels.astype(np.float32) - part, (3, 3))
    size = np.abs(moved).max(2)
    bound = max(_VISIBLE, _OF_STRONGEST * float(size.max()))
    mask = np.where((size >= bound) & (region > 0), np.uint8(255), np.uint8(0))
    return pixels, mask
