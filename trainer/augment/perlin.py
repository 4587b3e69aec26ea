"""Perlin noise as two small matrix products, and defect masks cut from it."""

import math

import cv2
import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float32]
Mask = npt.NDArray[np.uint8]


def perlin(height: int, width: int, cells: tuple[float, float], rng: np.random.Generator) -> Field:
    """Draw gradient noise (Perlin, "Improving noise", SIGGRAPH 2002).

    A lattice corner adds `fade(y) * fade(x) * (gx * dx + gy * dy)`, which is separable in x and y: summed over all
    corners it is `Y @ gx @ (X * dx).T + (Y * dy) @ gy @ X.T` with at most two entries in a row of `X` and `Y`.

    Args:
        height, width: pixels.
        cells: lattice cells along y and x; a fraction of a cell is allowed.
        rng: draws the `(rows + 1) * (columns + 1)` unit gradients.

    Returns:
        `(height, width)` float32, mean about 0, within -0.71..0.71; 0 on lattice corners.
    """
    weight_y, slope_y = _axis(height, cells[0])
    weight_x, slope_x = _axis(width, cells[1])
    turn = rng.random((weight_y.shape[1], weight_x.shape[1]), np.float32) * np.float32(2 * math.pi)
    return (weight_y @ np.cos(turn)) @ slope_x.T + (slope_y @ np.sin(turn)) @ weight_x.T


def turned(height: int, width: int, cells: tuple[float, float], degrees: float, rng: np.random.Generator) -> Field:
    """Draw `perlin` noise on a lattice turned by `degrees`; `cells` count along the picture's diagonal.

    It is drawn at half size and enlarged, so cells should be no smaller than about eight pixels.
    """
    diagonal = math.hypot(height, width)
    side = math.ceil(diagonal / 2) + 2
    noise = perlin(side, side, cells, rng)
    matrix = cv2.getRotationMatrix2D((side / 2, side / 2), degrees, 2.0)
    matrix += np.array([[0, 0, (width - side) / 2], [0, 0, (height - side) / 2]])
    return cv2.warpAffine(noise, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)  # type: ignore[return-value]


def cut(noise: Field, foreground: Mask, share: float) -> Mask:
    """Threshold `noise` so that about `share` (0..1, at least one pixel) of the foreground lies above.

    Returns:
        `(H, W)` uint8, 255 above the threshold and inside the foreground, 0 elsewhere.
    """
    inside = noise[foreground > 0]
    rank = min(inside.size - 1, math.floor(inside.size * (1 - share)))
    threshold = np.partition(inside, rank)[rank]
    return np.where((noise >= threshold) & (foreground > 0), np.uint8(255), np.uint8(0))


def _axis(pixels: int, cells: float) -> tuple[Field, Field]:
    """Per pixel and lattice line: the fade weight, and the fade weight times the signed distance in cells."""
    position = (np.arange(pixels, dtype=np.float32) + 0.5) * np.float32(cells / pixels)
    low = np.floor(position).astype(np.intp)
    offset = position - low
    fade = offset**3 * (offset * (offset * 6 - 15) + 10)
    rows = np.arange(pixels)
    weight = np.zeros((pixels, math.ceil(cells) + 1), np.float32)
    slope = np.zeros_like(weight)
    weight[rows, low], weight[rows, low + 1] = 1 - fade, fade
    slope[rows, low], slope[rows, low + 1] = (1 - fade) * offset, fade * (offset - 1)
    return weight, slope
