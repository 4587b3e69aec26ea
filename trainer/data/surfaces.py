"""Brushed-metal surfaces with uneven light and harmless marks: what good and defect images have in common."""

import math

import cv2
import numpy as np
import numpy.typing as npt

from trainer.augment.perlin import perlin

Field = npt.NDArray[np.float32]
_DESIGN_SIDE = 200


def scale_of(height: int, width: int) -> float:
    """Feature size in pixels relative to a picture whose short side is 200, kept within 0.4..4."""
    return min(4.0, max(0.4, min(height, width) / _DESIGN_SIDE))


def surface(height: int, width: int, rng: np.random.Generator) -> tuple[Field, float, float]:
    """Draw a surface without defect.

    Returns:
        Grey levels, `(height, width)` float32, about 0..255 and not clipped; the direction of the grain in degrees from
        the vertical (positive: the lower end to the right); the strength of the grain, its deviation in levels.
    """
    direction = float(rng.normal(0, 4) if rng.random() < 0.8 else rng.uniform(-25, 25))
    strength = float(rng.uniform(5, 13))
    picture = strength * _grain(height, width, direction, rng) + np.float32(rng.uniform(95, 165))
    picture += _light(height, width, rng)
    picture += _streaks(height, width, direction, rng) + _dust(height, width, rng) + _smudges(height, width, rng)
    return picture, direction, strength


def _grain(height: int, width: int, direction: float, rng: np.random.Generator) -> Field:
    """Noise smeared along the brushing direction at two scales; mean 0, standard deviation 1."""
    scale = scale_of(height, width)
    side = math.ceil(math.hypot(height, width)) + 2
    fine = cv2.blur(rng.standard_normal((side, side), np.float32), (1, _odd(rng.uniform(15, 45) * scale)))
    pitch = rng.uniform(2, 4) * scale
    columns = max(2, round(side / pitch))
    coarse = cv2.blur(rng.standard_normal((side, columns), np.float32), (1, _odd(rng.uniform(80, 200) * scale)))
    coarse = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_LINEAR)
    mixed = fine / fine.std() + rng.uniform(0.3, 1.0) * coarse / coarse.std()
    matrix = cv2.getRotationMatrix2D((side / 2, side / 2), direction, 1.0)
    matrix -= np.array([[0, 0, (side - width) / 2], [0, 0, (side - height) / 2]])
    turned = cv2.warpAffine(mixed, matrix, (width, height), flags=cv2.INTER_LINEAR)
    return ((turned - turned.mean()) / turned.std()).astype(np.float32)


def _light(height: int, width: int, rng: np.random.Generator) -> Field:
    """A gradient, a soft unevenness and, half of the time, the bright band of a curved surface; in levels."""
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None, :]
    light = rng.normal(0, 8) * y + rng.normal(0, 10) * x
    light = light + rng.uniform(5, 25) * perlin(height, width, (3.0, 1.5), rng)
    if rng.random() < 0.5:
        light = light + rng.uniform(8, 28) * np.exp(-(((x - rng.uniform(-0.8, 0.8)) / rng.uniform(0.2, 0.6)) ** 2))
    return light.astype(np.float32)


def _streaks(height: int, width: int, direction: float, rng: np.random.Generator) -> Field:
    """Faint lines of the brush, along the grain to within a few degrees."""
    scale, layer = scale_of(height, width), np.zeros((height, width), np.float32)
    for _ in range(rng.poisson(8)):
        turn = math.radians(direction + rng.normal(0, 1.5))
        reach = rng.uniform(0.08, 0.6) * height / 2
        middle = np.array([rng.uniform(0, width), rng.uniform(0, height)])
        ends = middle + np.outer((-1, 1), (math.sin(turn) * reach, math.cos(turn) * reach))
        level = float(rng.choice((-1, 1)) * rng.uniform(8, 38))
        points = np.rint(ends * 16).astype(np.int32)
        thickness = max(1, round(rng.uniform(0.6, 2.2) * scale))
        cv2.line(layer, points[0], points[1], level, thickness, cv2.LINE_8, 4)
    return cv2.GaussianBlur(layer, (0, 0), 0.7)  # type: ignore[return-value]


def _dust(height: int, width: int, rng: np.random.Generator) -> Field:
    """Specks and glints of a pixel or two, some of them strong."""
    scale, layer = scale_of(height, width), np.zeros((height, width), np.float32)
    for _ in range(rng.poisson(14 * min(1.0, height * width / 120_000) + 2)):
        centre = np.rint(np.array([rng.uniform(0, width), rng.uniform(0, height)]) * 16).astype(np.int32)
        radius = round(rng.uniform(0.5, 1.5) * scale * 16)
        cv2.circle(layer, centre, radius, float(rng.choice((-1, 1)) * rng.uniform(25, 110)), -1, cv2.LINE_8, 4)
    return cv2.GaussianBlur(layer, (0, 0), 0.6)  # type: ignore[return-value]


def _smudges(height: int, width: int, rng: np.random.Generator) -> Field:
    """Wide, soft, weak clouds such as a wiped surface shows."""
    noise = perlin(height, width, (float(rng.uniform(4, 9)), float(rng.uniform(2, 4))), rng)
    return (np.clip(noise - rng.uniform(0.05, 0.3), 0, None) * rng.normal(0, 22)).astype(np.float32)


def _odd(pixels: float) -> int:
    return 2 * max(0, round(pixels / 2)) + 1
