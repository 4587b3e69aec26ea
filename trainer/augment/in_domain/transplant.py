"""A real defect, moved to another place of another part: the start that the in-domain model blends in."""

import cv2
import numpy as np

from trainer.augment import Pixels
from trainer.augment.perlin import Mask

_TRIES = 12
_SURROUNDINGS = 41


def move(defect: Pixels, region: Mask, part: Pixels, where: Mask, rng: np.random.Generator) -> tuple[Pixels, Mask]:
    """Mirror, turn a little, scale and shift a defect, and lay its difference from its surroundings on a part.

    Args:
        defect: `(H, W, 3)` uint8 RGB image with the defect.
        region: `(H, W)` uint8, 255 around the defect.
        part: good image of the same size.
        where: `(H, W)` uint8, non-zero where a defect may lie.
        rng: draws the move; half of the moves stay near the defect's own place.

    Returns:
        The part with the defect on it, and the moved region.
    """
    difference = _relief(defect, region)
    soft = cv2.GaussianBlur(region.astype(np.float32) / 255, (0, 0), 3)
    layer = np.dstack([difference, soft])
    flips = rng.random(2) < 0.5
    if flips[0]:
        layer, region = layer[::-1], region[::-1]
    if flips[1]:
        layer, region = layer[:, ::-1], region[:, ::-1]
    layer, region = np.ascontiguousarray(layer), np.ascontiguousarray(region)
    height, width = region.shape
    rows, columns = np.nonzero(region)
    centre = float(columns.mean()), float(rows.mean())
    matrix = cv2.getRotationMatrix2D(centre, float(rng.normal(0, 12)), float(np.exp(rng.uniform(-0.35, 0.35))))
    best, best_share = matrix, -1.0
    for _ in range(_TRIES):
        if rng.random() < 0.5:
            shift = rng.normal(0, 0.08, 2) * (width, height)
        else:
            inside = np.flatnonzero(where)
            y, x = divmod(int(inside[rng.integers(len(inside))]), width)
            shift = np.array([x - centre[0], y - centre[1]])
        moved = matrix.copy()
        moved[:, 2] += shift
        landed = cv2.warpAffine(region, moved, (width, height), flags=cv2.INTER_NEAREST)
        share = np.count_nonzero(landed & where) / max(1, np.count_nonzero(region))
        if share > best_share:
            best, best_share = moved, share
        if share > 0.6:
            break
    layer = cv2.warpAffine(layer, best, (width, height), flags=cv2.INTER_LINEAR)
    landed = cv2.warpAffine(region, best, (width, height), flags=cv2.INTER_NEAREST) & where
    weight = layer[..., 3:] * float(rng.uniform(0.7, 1.2))
    pixels = np.clip(part.astype(np.float32) + layer[..., :3] * weight, 0, 255).astype(np.uint8)
    return pixels, landed


def _relief(defect: Pixels, region: Mask) -> np.ndarray:
    """What the defect changes: the image less its surroundings, averaged over what is not the defect."""
    outside = (region == 0).astype(np.float32)
    size = (_SURROUNDINGS, _SURROUNDINGS)
    reach = np.maximum(1, 2 * int(np.sqrt(np.count_nonzero(region))) // 2 * 2 + 1)
    weight = cv2.blur(outside, size)
    near = cv2.blur(defect.astype(np.float32) * outside[..., None], size)
    far_weight = cv2.blur(outside, (reach, reach))
    far = cv2.blur(defect.astype(np.float32) * outside[..., None], (reach, reach))
    mean = defect.astype(np.float32).mean((0, 1))
    filled = np.where(far_weight[..., None] > 0.02, far / np.maximum(far_weight, 1e-6)[..., None], mean)
    base = np.where(weight[..., None] > 0.1, near / np.maximum(weight, 1e-6)[..., None], filled)
    return defect.astype(np.float32) - cv2.GaussianBlur(base, (0, 0), 5)
