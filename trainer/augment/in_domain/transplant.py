"""A real defect, moved to another place of another part: the start that the in-domain model blends in."""

import cv2
import numpy as np
import numpy.typing as npt

from trainer.augment import Pixels
from trainer.augment.perlin import Mask

_TRIES = 12
_SURROUNDINGS = 12.0


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
            allowed = np.flatnonzero(where)
            y, x = divmod(int(allowed[rng.integers(len(allowed))]), width)
            shift = np.array([x - centre[0], y - centre[1]])
        moved = matrix.copy()
        moved[:, 2] = moved[:, 2] + shift
        landed = cv2.warpAffine(region, moved, (width, height), flags=cv2.INTER_NEAREST)
        share = cv2.countNonZero(cv2.bitwise_and(landed, where)) / max(1, cv2.countNonZero(region))
        if share > best_share:
            best, best_share = moved, share
        if share > 0.6:
            break
    layer = cv2.warpAffine(layer, best, (width, height), flags=cv2.INTER_LINEAR)
    shape = cv2.warpAffine(region, best, (width, height), flags=cv2.INTER_NEAREST)
    inside: Mask = np.where(where > 0, shape, 0).astype(np.uint8)
    weight = layer[..., 3:] * float(rng.uniform(0.7, 1.2))
    pixels = np.clip(part.astype(np.float32) + layer[..., :3] * weight, 0, 255).astype(np.uint8)
    return pixels, inside


def _relief(defect: Pixels, region: Mask) -> npt.NDArray[np.float32]:
    """What the defect changes: the image less its surroundings, which are filled in from outside the region."""
    picture, outside = defect.astype(np.float32), (region == 0).astype(np.float32)
    base = np.broadcast_to(picture.mean((0, 1)), picture.shape)
    for reach in (4, 1):  # from coarse, which reaches everywhere, to fine, which holds near the edge
        sigma = reach * _SURROUNDINGS
        weight = cv2.GaussianBlur(outside, (0, 0), sigma)[..., None]
        near = cv2.GaussianBlur(picture * outside[..., None], (0, 0), sigma) / np.maximum(weight, 1e-6)
        base = np.where(weight > 0.05, near, base)
    return picture - base.astype(np.float32)
