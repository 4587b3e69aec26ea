"""Where to paint: Perlin shapes inside the foreground, drawn freely or where a first classifier's map looks."""

import math

import cv2
import numpy as np
import numpy.typing as npt

from trainer.augment import perlin
from trainer.augment.perlin import Mask

_FINEST_CELL = 16  # two cells of the latent grid: an inpainting model cannot paint much less
_MOST_SPOTS = 3
_WANDER = 0.7


def perlin_region(where: Mask, share: tuple[float, float], rng: np.random.Generator) -> Mask:
    """Draw a region of one to three spots.

    Args:
        where: `(H, W)` uint8 foreground, not empty.
        share: smallest and largest share of the foreground that is drawn (log-uniformly); the largest spots of it
            are kept, so the region may be smaller.
        rng: draws size, shape and place.

    Returns:
        `(H, W)` uint8, 255 in the region, never empty.
    """
    return _spots(_noise(where, rng), where, share, rng)


def cam_region(cam: npt.NDArray[np.float32], where: Mask, share: tuple[float, float], rng: np.random.Generator) -> Mask:
    """Draw a region where a class-activation map `(h, w)` is high; else as `perlin_region`.

    Noise of 0.7 of the map's spread is added, so that one image gets many regions.
    """
    size = where.shape[1], where.shape[0]
    fine = cv2.resize(cam.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    inside = fine[where > 0]
    spread = float(inside.std())
    level = (fine - inside.mean()) / spread if spread > 0 else np.zeros_like(fine)
    noise = _noise(where, rng)
    level = level + np.float32(_WANDER / max(float(noise.std()), 1e-6)) * noise
    return _spots(level.astype(np.float32), where, share, rng)


def whole_cells(region: Mask, margin: int, cell: int) -> Mask:
    """Every `cell` x `cell` pixels that the region, grown by `margin` pixels, touches.

    Models see the region on their latent grid, of which they read one pixel a cell: what lies between would be lost.

    Args:
        region: `(H, W)` uint8, sides multiples of `cell`.
    """
    grown = cv2.dilate(region, np.ones((2 * margin + 1, 2 * margin + 1), np.uint8))
    height, width = region.shape
    coarse = grown.reshape(height // cell, cell, width // cell, cell).max(axis=(1, 3))
    return np.where(coarse > 0, np.uint8(255), np.uint8(0)).repeat(cell, 0).repeat(cell, 1)


def _noise(where: Mask, rng: np.random.Generator) -> perlin.Field:
    height, width = where.shape
    finest = max(1, int(math.log2(math.hypot(height, width) / _FINEST_CELL)))
    cells = float(2 ** rng.integers(0, finest + 1)), float(2 ** rng.integers(0, finest + 1))
    return perlin.turned(height, width, cells, float(rng.uniform(-90, 90)), rng)


def _spots(level: perlin.Field, where: Mask, share: tuple[float, float], rng: np.random.Generator) -> Mask:
    wanted = math.exp(rng.uniform(math.log(share[0]), math.log(share[1])))
    mask = perlin.cut(level, where, wanted)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    largest = np.argsort(-stats[1:, cv2.CC_STAT_AREA], kind="stable")[: int(rng.integers(1, _MOST_SPOTS + 1))] + 1
    kept = np.zeros(len(stats), np.uint8)
    kept[largest] = 255
    return kept[labels]
