"""Painted defects, drawn by rule: a start for a model that blends them into the surface."""

import math
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from trainer.augment import Pixels, textures
from trainer.augment.perlin import Mask, cut, turned

Cover = npt.NDArray[np.float32]
_FEWEST_PIXELS = 12
_SHIFTED = 30.0


def paint(part: Pixels, where: Mask, rng: np.random.Generator) -> tuple[Pixels, Mask, str]:
    """Paint one defect of a random kind.

    Args:
        part: `(H, W, 3)` uint8 RGB.
        where: `(H, W)` uint8, non-zero where a defect may lie.
        rng: draws everything.

    Returns:
        The painted part, its mask (uint8, 255 where paint lies), and the kind's name: `crack`, `scratch`, `pit`,
        `stain`, `shade` (large and soft), or `rough` (the part's own texture in disorder). Contrast is drawn between
        what just stands out of the part's own grain and about a third of the grey range; most defects are darker
        than the part.
    """
    kind = str(rng.choice(list(_KINDS)))
    cover = np.zeros(part.shape[:2], np.float32)
    for _ in range(8):
        cover = _KINDS[kind](where, rng) * (where > 0)
        if np.count_nonzero(cover > 0.5) >= _FEWEST_PIXELS:
            break
    else:
        cover = _blob(where, rng, 4.0) * (where > 0)
    change = _disorder(part, cover, rng) if kind == "rough" else _tone(part, kind, rng)
    painted = part.astype(np.float32) + change * cover[..., None]
    mask = np.where(cover > 0.25, np.uint8(255), np.uint8(0))
    return np.clip(painted, 0, 255).astype(np.uint8), mask, kind


def _tone(part: Pixels, kind: str, rng: np.random.Generator) -> Cover:
    """Darker or lighter by some grey levels, a little uneven: `(H, W, 1)`."""
    grain = float(np.std(part.astype(np.float32) - cv2.blur(part, (15, 15)), axis=(0, 1)).max())
    faintest = max(10.0, 2.0 * grain)
    depth = math.exp(rng.uniform(math.log(faintest), math.log(max(faintest * 1.5, 90.0))))
    sign = -1.0 if rng.random() < 0.75 else 1.0
    if kind in ("stain", "shade"):
        depth *= 0.6
    uneven = 1 + np.float32(0.15) * turned(part.shape[0], part.shape[1], (12.0, 12.0), float(rng.uniform(0, 90)), rng)
    return (np.float32(sign * depth) * uneven)[..., None]


def _disorder(part: Pixels, cover: Cover, rng: np.random.Generator) -> Cover:
    """The difference to the shuffled part, at a strength drawn from 0.4 to 1: `(H, W, 3)`.

    Its mean under the cover stays within 30 grey levels: what was shuffled there may come from the part's dark margin.
    """
    source = textures.structural(part, rng)
    if textures.is_grey(part):
        source = textures.grey(source)
    change = source.astype(np.float32) - part
    mean = np.average(change, axis=(0, 1), weights=np.repeat(cover[..., None], 3, axis=2))
    return (change - mean + np.clip(mean, -_SHIFTED, _SHIFTED)) * np.float32(rng.uniform(0.4, 1))


def _start(where: Mask, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    inside = np.flatnonzero(where)
    y, x = divmod(int(inside[rng.integers(len(inside))]), where.shape[1])
    return np.array([x, y], np.float64)


def _walk(where: Mask, rng: np.random.Generator, length: float, wander: float, thickness: float) -> Cover:
    """A line whose direction drifts by `wander` radians a step of three pixels and whose ends run thin."""
    cover = np.zeros(where.shape, np.uint8)
    heading = rng.uniform(0, 2 * math.pi)
    point = _start(where, rng)
    steps = max(3, round(length / 3))
    for step in range(steps):
        heading += rng.normal(0, wander)
        following = point + 3 * np.array([math.cos(heading), math.sin(heading)])
        along = math.sin(math.pi * (step + 1) / (steps + 1)) ** 0.5
        width = max(1, round(thickness * along * rng.uniform(0.7, 1.3)))
        ends = [tuple(int(value) for value in np.rint(16 * end)) for end in (point, following)]
        cv2.line(cover, ends[0], ends[1], 255, width, cv2.LINE_AA, 4)
        point = following
    return cover.astype(np.float32) / np.float32(255)


def _crack(where: Mask, rng: np.random.Generator) -> Cover:
    """A winding line, now and then with a branch."""
    side = math.sqrt(np.count_nonzero(where))
    cover = _walk(where, rng, side * rng.uniform(0.1, 0.7), rng.uniform(0.1, 0.35), rng.uniform(1, 4))
    if rng.random() < 0.3 and cover.any():
        lit = np.where(cover > 0.5, np.uint8(255), np.uint8(0))
        if lit.any():
            cover = np.maximum(cover, _walk(lit, rng, side * rng.uniform(0.05, 0.2), 0.3, rng.uniform(1, 2)))
    return cv2.GaussianBlur(cover, (3, 3), 0)  # type: ignore[return-value]


def _scratch(where: Mask, rng: np.random.Generator) -> Cover:
    """Straight, thin, sometimes several side by side."""
    side = math.sqrt(np.count_nonzero(where))
    cover = _walk(where, rng, side * rng.uniform(0.15, 0.8), 0.01, rng.uniform(1, 2.5))
    for _ in range(int(rng.integers(0, 3))):
        shift = np.array([[1, 0, rng.uniform(-8, 8)], [0, 1, rng.uniform(-8, 8)]])
        moved = cv2.warpAffine(cover, shift, where.shape[::-1])
        cover = np.maximum(cover, moved * np.float32(rng.uniform(0.4, 1)))
    return cover


def _blob(where: Mask, rng: np.random.Generator, radius: float) -> Cover:
    """A roundish spot with an uneven edge."""
    height, width = where.shape
    x, y = _start(where, rng)
    grid_y, grid_x = np.ogrid[:height, :width]
    turn, stretch = rng.uniform(0, math.pi), rng.uniform(1, 2.5)
    along = (grid_x - x) * math.cos(turn) + (grid_y - y) * math.sin(turn)
    across = (grid_y - y) * math.cos(turn) - (grid_x - x) * math.sin(turn)
    distance = np.hypot(along / stretch, across) / radius
    cells = max(2.0, math.hypot(height, width) / max(4.0, radius))
    uneven = distance + 0.6 * turned(height, width, (cells, cells), 0.0, rng)
    return np.clip((1.2 - uneven) / 0.4, 0, 1).astype(np.float32)


def _pit(where: Mask, rng: np.random.Generator) -> Cover:
    """One to four small spots."""
    spots = [_blob(where, rng, float(rng.uniform(2, 7))) for _ in range(int(rng.integers(1, 5)))]
    return np.maximum.reduce(spots)


def _stain(where: Mask, rng: np.random.Generator) -> Cover:
    """A cloud with a soft edge."""
    return _cloud(where, rng, (3, 10), (0.01, 0.12), (1, 5))


def _shade(where: Mask, rng: np.random.Generator) -> Cover:
    """A large cloud with a wide edge, as uneven light or wear leaves."""
    return _cloud(where, rng, (1, 4), (0.08, 0.4), (5, 20))


def _rough(where: Mask, rng: np.random.Generator) -> Cover:
    """A spot of any size with a firm edge."""
    return _cloud(where, rng, (2, 10), (0.01, 0.2), (0.7, 2))


def _cloud(
    where: Mask,
    rng: np.random.Generator,
    cells: tuple[float, float],
    share: tuple[float, float],
    softness: tuple[float, float],
) -> Cover:
    """The largest spot of thresholded noise; ranges of its coarseness, of the share of `where`, of the edge's blur."""
    coarse = float(rng.uniform(*cells))
    noise = turned(
        where.shape[0], where.shape[1], (coarse, coarse * rng.uniform(0.5, 2)), float(rng.uniform(0, 90)), rng
    )
    mask = cut(noise, where, float(rng.uniform(*share)))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    if len(stats) > 1:
        mask = np.where(labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])), np.uint8(255), np.uint8(0))
    return cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), float(rng.uniform(*softness)))  # type: ignore[return-value]


_KINDS: dict[str, Callable[[Mask, np.random.Generator], Cover]] = {
    "crack": _crack,
    "scratch": _scratch,
    "pit": _pit,
    "stain": _stain,
    "shade": _shade,
    "rough": _rough,
}
