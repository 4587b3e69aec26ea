"""Scratches, cracks, pits and stains as signed profiles to add to a surface."""

import math
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from trainer.augment.perlin import perlin
from trainer.data.surfaces import scale_of

Field = npt.NDArray[np.float32]


def profile(kind: str, height: int, width: int, direction: float, rng: np.random.Generator) -> Field:
    """Draw one defect of a `KINDS` kind.

    Args:
        kind: scratch, crack, pit or stain.
        height, width: pixels.
        direction: of the grain, degrees from the vertical; scratches and cracks cross it.
        rng: draws everything.

    Returns:
        `(height, width)` float32, 0 away from the defect, its strongest value 1 or -1.
    """
    drawn = KINDS[kind](height, width, direction, rng)
    return drawn / max(float(np.abs(drawn).max()), 1e-6)


def _scratch(height: int, width: int, direction: float, rng: np.random.Generator) -> Field:
    """A slightly bent line across the grain, of varying depth, often with a bright shoulder."""
    scale = scale_of(height, width)
    turn = math.radians(direction + rng.choice((-1, 1)) * rng.uniform(18, 90))
    length = rng.uniform(35, 170) * scale
    along = np.linspace(-0.5, 0.5, 24)[:, None] * length
    bend = (rng.uniform(-0.15, 0.15) * length) * (4 * (along / length) ** 2)
    ahead, aside = np.array([math.sin(turn), math.cos(turn)]), np.array([math.cos(turn), -math.sin(turn)])
    points = _place(height, width, rng) + along * ahead + bend * aside
    depth = np.clip(np.interp(np.arange(24), (0, 6, 12, 18, 23), rng.uniform(0.45, 1.2, 5)), 0, 1)
    thickness = max(1, round(rng.uniform(0.8, 2.4) * scale))
    sign = float(rng.choice((-1, 1)))
    layer = _stroke(height, width, points, sign * depth, thickness)
    if rng.random() < 0.4:
        shoulder = _stroke(height, width, points + aside * (thickness + 0.5), -0.5 * sign * depth, thickness)
        layer = np.where(layer == 0, shoulder, layer)
    return cv2.GaussianBlur(layer, (0, 0), 0.6)  # type: ignore[return-value]


def _crack(height: int, width: int, direction: float, rng: np.random.Generator) -> Field:
    """A dark, jagged random walk across the grain that thins out and branches."""
    scale = scale_of(height, width)
    layer = np.zeros((height, width), np.float32)
    heading = math.radians(direction + 90 + rng.normal(0, 25)) + (math.pi if rng.random() < 0.5 else 0)
    walks = [(_place(height, width, rng), heading, rng.uniform(30, 130) * scale, rng.uniform(0.9, 2.6) * scale)]
    branches = int(rng.integers(0, 4))
    while walks:
        start, heading, length, thickness = walks.pop()
        steps = max(4, round(length / (3 * scale)))
        headings = heading + 0.5 * rng.standard_normal(steps) + np.cumsum(rng.normal(0, 0.08, steps))
        strides = np.stack([np.sin(headings), np.cos(headings)], axis=1) * (length / steps)
        points = start + np.vstack([np.zeros(2), np.cumsum(strides, axis=0)])
        depth = -np.linspace(1, 0.5, steps + 1)
        half = steps // 2
        wide, thin = max(1, round(thickness)), max(1, round(thickness / 2))
        layer = np.minimum(layer, _stroke(height, width, points[: half + 1], depth[: half + 1], wide))
        layer = np.minimum(layer, _stroke(height, width, points[half:], depth[half:], thin))
        if branches:
            branches -= 1
            fork = int(rng.integers(1, steps))
            turn = rng.choice((-1, 1)) * rng.uniform(0.4, 1.1)
            walks.append((points[fork], heading + turn, length * rng.uniform(0.3, 0.6), thickness * 0.6))
    return cv2.GaussianBlur(layer, (0, 0), 0.6)  # type: ignore[return-value]


def _pit(height: int, width: int, direction: float, rng: np.random.Generator) -> Field:
    """One to four dark, uneven dents near each other, with a bright crescent on the side away from the light."""
    scale = scale_of(height, width)
    layer = np.zeros((height, width), np.float32)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    middle, light = _place(height, width, rng), rng.uniform(0, 2 * np.pi)
    for _ in range(int(rng.integers(1, 5))):
        radius = rng.uniform(2.6, 7.5) * scale
        centre = np.clip(middle + rng.normal(0, 9 * scale, 2), 0, (width - 1, height - 1))
        top, left = max(0, int(centre[1] - 3 * radius)), max(0, int(centre[0] - 3 * radius))
        window = np.s_[top : int(centre[1] + 3 * radius) + 1, left : int(centre[0] + 3 * radius) + 1]
        away_x, away_y = x[window] - np.float32(centre[0]), y[window] - np.float32(centre[1])
        angle = np.arctan2(away_y, away_x)
        uneven = 1 + sum(rng.uniform(0, 0.15) * np.cos(k * angle + rng.uniform(0, 6.3)) for k in (1, 2, 3))
        ratio = np.hypot(away_x, away_y) / (radius * uneven)
        crescent = np.exp(-(((ratio - 1.2) / 0.2) ** 2)) * np.clip(np.cos(angle - light), 0, 1)
        layer[window] += rng.uniform(0.2, 0.6) * crescent - np.exp(-(ratio**4))
    return np.clip(layer, -1, 1)


def _stain(height: int, width: int, direction: float, rng: np.random.Generator) -> Field:
    """A patch with a wandering outline, firm at its edge, sometimes with the dark rim of a dried drop."""
    scale = scale_of(height, width)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    centre, radii = _place(height, width, rng), rng.uniform(9, 38, 2) * scale
    cells = (
        float(max(1.0, height / (rng.uniform(20, 45) * scale))),
        float(max(1.0, width / (rng.uniform(20, 45) * scale))),
    )
    inside = 1 - np.hypot((x - centre[0]) / radii[0], (y - centre[1]) / radii[1])
    inside = inside + 0.9 * perlin(height, width, cells, rng)
    edge = rng.uniform(0.05, 0.2)
    patch = np.clip(inside / edge, 0, 1)
    rim = rng.uniform(0, 0.8) * np.exp(-(((inside - edge) / edge) ** 2)) if rng.random() < 0.5 else 0.0
    near = np.hypot(x - centre[0], y - centre[1]) < 2 * radii.max()
    return (float(rng.choice((-1, -1, 1))) * (patch + rim) * near).astype(np.float32)


def _place(height: int, width: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A point (x, y) in the inner 90 % of the picture."""
    return rng.uniform(0.05, 0.95, 2) * (width, height)


def _stroke(
    height: int, width: int, points: npt.NDArray[np.float64], depth: npt.NDArray[np.float64], thickness: int
) -> Field:
    """A polyline through `(N, 2)` points (x, y) whose value changes along the way."""
    layer = np.zeros((height, width), np.float32)
    fixed = np.rint(points * 16).astype(np.int32)
    for start, end, value in zip(fixed[:-1], fixed[1:], depth[:-1], strict=True):
        cv2.line(layer, start, end, float(value), thickness, cv2.LINE_8, 4)
    return layer


KINDS: dict[str, Callable[[int, int, float, np.random.Generator], Field]] = {
    "scratch": _scratch,
    "crack": _crack,
    "pit": _pit,
    "stain": _stain,
}
