"""Lay a painting over a part: it fades out around the region, and beyond that no pixel changes."""

import cv2
import numpy as np
import numpy.typing as npt

from trainer.augment import Pixels
from trainer.augment.perlin import Mask
from trainer.augment.textures import is_grey

_VISIBLE = 8.0
_OF_STRONGEST = 0.25
_NEAR = 3

Weight = npt.NDArray[np.float32]


def feathered(region: Mask, feather: int, within: Mask | None = None) -> Weight:
    """Weight of the painting, `(H, W)` float32: 1 in the region, falling to 0 over `feather` pixels around it.

    Args:
        region: `(H, W)` uint8, non-zero where to paint.
        feather: pixels; 0 ends at the region's edge.
        within: `(H, W)` uint8; where it is 0 the weight is 0.
    """
    outside = np.where(region > 0, np.uint8(0), np.uint8(255))
    distance = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    weight = np.clip(1 - distance / np.float32(feather + 1), 0, 1).astype(np.float32)
    return weight if within is None else np.where(within > 0, weight, np.float32(0))


def lay_over(part: Pixels, change: npt.NDArray[np.float32], weight: Weight) -> tuple[Pixels, Mask]:
    """Add a change to a part.

    Args:
        part: `(H, W, 3)` uint8 RGB; a grey one stays grey.
        change: `(H, W, 3)` float32, finite, in grey levels.
        weight: `(H, W)` float32 within 0..1; where it is 0 the part stays as it is, bit by bit.

    Returns:
        The changed part; and `(H, W)` uint8, 255 on the pixels that changed visibly: averaged over 3 x 3 pixels, by
        8 grey levels and a quarter of the strongest change or more. It is empty where nothing is to be seen.
    """
    applied = change * weight[..., None]
    if is_grey(part):
        applied = np.repeat(applied.mean(axis=2, keepdims=True), 3, axis=2)
    pixels = np.rint(part + applied).clip(0, 255).astype(np.uint8)
    moved = pixels.astype(np.float32) - part
    size = np.abs(cv2.blur(moved, (_NEAR, _NEAR))).max(axis=2)
    bound = max(_VISIBLE, _OF_STRONGEST * float(size.max()))
    return pixels, np.where((size >= bound) & moved.any(axis=2), np.uint8(255), np.uint8(0))
