"""Pictures to blend into a part: from the user's folder, drawn by rule, or the part itself shuffled."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from inspector import imagefile, preprocess
from inspector.errors import DataError
from inspector.preprocess import Image
from trainer.augment.perlin import Field, perlin, turned

GRID = (4, 8)


def find(folder: Path) -> list[Path]:
    """List the texture pictures below `folder`, sorted.

    Raises:
        DataError: no such folder, or no picture in it.
    """
    if not folder.is_dir():
        raise DataError(f"texture folder {folder} does not exist: name a folder of pictures, or leave it out")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in imagefile.SUFFIXES and path.is_file())
    if not found:
        raise DataError(
            f"texture folder {folder} holds no picture (PNG, JPEG, BMP, TIFF, WebP): add some, or leave it out"
        )
    return found


def from_file(path: Path, height: int, width: int, depth: str, rng: np.random.Generator) -> Image:
    """Cut a randomly placed, mirrored and turned piece of a texture picture.

    Args:
        path: the picture.
        height, width: size of the piece; the largest piece of that aspect, or down to half of it, is resized.
        depth: how 16 bit become 8, as in `InputSpec`.
        rng: draws place, size and turns.

    Returns:
        `(height, width, 3)` uint8 RGB.

    Raises:
        DataError: the picture cannot be read.
    """
    pixels = imagefile.read(path)
    if rng.random() < 0.5:
        pixels = np.swapaxes(pixels, 0, 1)
    scale = min(pixels.shape[0] / height, pixels.shape[1] / width) * rng.uniform(0.5, 1.0)
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    top = rng.integers(pixels.shape[0] - rows + 1)
    left = rng.integers(pixels.shape[1] - columns + 1)
    piece = np.ascontiguousarray(_mirrored(pixels[top : top + rows, left : left + columns], rng))
    kernel = cv2.INTER_AREA if rows > height else cv2.INTER_LINEAR
    eight = cv2.resize(preprocess.to_eight_bit(piece, depth), (width, height), interpolation=kernel)
    return cv2.cvtColor(eight, cv2.COLOR_GRAY2RGB if eight.ndim == 2 else cv2.COLOR_BGR2RGB)  # type: ignore[return-value]


def procedural(height: int, width: int, rng: np.random.Generator) -> tuple[Image, str]:
    """Draw a two-coloured texture; returns `(height, width, 3)` uint8 RGB and the name of its rule."""
    name = str(rng.choice(list(_RULES)))
    tone = _RULES[name](height, width, rng)
    spread = np.abs(tone - tone.mean()).max() or 1.0
    tone = np.clip(0.5 + (tone - tone.mean()) / (2 * spread) * rng.uniform(1.0, 2.0), 0, 1)
    ends = rng.uniform(0, 255, (2, 3))
    if np.abs(ends[0] - ends[1]).mean() < 60:
        ends[1] = np.where(ends[0] < 128, ends[0] + 127, ends[0] - 127)
    steps = np.linspace(0, 1, 256)[:, None]
    palette = (ends[0] * (1 - steps) + ends[1] * steps).astype(np.uint8)
    return palette[(tone * 255).astype(np.uint8)], name


def structural(part: Image, rng: np.random.Generator) -> Image:
    """The part mirrored, turned (half of the time by a quarter), re-coloured and shuffled; same shape."""
    picture = _recoloured(_mirrored(part, rng), rng)
    if rng.random() < 0.5:
        quarter = np.ascontiguousarray(np.swapaxes(picture, 0, 1))
        picture = cv2.resize(quarter, part.shape[1::-1], interpolation=cv2.INTER_LINEAR)  # type: ignore[assignment]
    return shuffled(picture, rng)


def shuffled(picture: Image, rng: np.random.Generator) -> Image:
    """Cut an `(H, W, 3)` picture into a 4 x 8 grid, 8 along the long side, and change the cells' places.

    Where a side is no multiple of the grid, the picture is enlarged to one first and the rest is cut off after.
    """
    height, width = picture.shape[:2]
    rows, columns = GRID[::-1] if height >= width else GRID
    cell = -(-height // rows), -(-width // columns)
    size = cell[1] * columns, cell[0] * rows
    if size != (width, height):
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)  # type: ignore[assignment]
    cells = picture.reshape(rows, cell[0], columns, cell[1], 3).swapaxes(1, 2).reshape(-1, *cell, 3)
    moved = cells[rng.permutation(rows * columns)].reshape(rows, columns, *cell, 3).swapaxes(1, 2)
    return np.ascontiguousarray(moved.reshape(rows * cell[0], columns * cell[1], 3)[:height, :width])


def opposite(part: Image) -> Image:
    """Every value 128 levels away from the part's: a source that is visible on anything."""
    return part ^ np.uint8(128)


def grey(picture: Image) -> Image:
    """The same picture without colour, still `(H, W, 3)`."""
    return cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)  # type: ignore[return-value]


def is_grey(picture: Image) -> bool:
    """Whether the three channels are equal."""
    return bool((picture[..., 0] == picture[..., 1]).all() and (picture[..., 1] == picture[..., 2]).all())


def _mirrored(picture: npt.NDArray[np.generic], rng: np.random.Generator) -> npt.NDArray[np.generic]:
    return picture[:: rng.choice((-1, 1)), :: rng.choice((-1, 1))]


def _recoloured(picture: npt.NDArray[np.generic], rng: np.random.Generator) -> Image:
    """Change contrast, brightness and gamma by a table for each channel; a third of the time invert."""
    level = np.linspace(0, 1, 256)[:, None] ** np.exp(rng.uniform(-0.7, 0.7))
    level = 0.5 + (level - 0.5) * rng.uniform(0.6, 1.6) + rng.uniform(-0.35, 0.35) + rng.uniform(-0.1, 0.1, 3)
    if rng.random() < 1 / 3:
        level = 1 - level
    table = np.rint(np.clip(level, 0, 1) * 255).astype(np.uint8)
    return cv2.LUT(np.ascontiguousarray(picture), table[:, None, :])  # type: ignore[return-value]


def _clouds(height: int, width: int, rng: np.random.Generator) -> Field:
    """Fractal Perlin noise: four octaves, each twice as fine and two thirds as strong."""
    cell = max(height, width) / rng.uniform(2, 8)
    return sum(  # type: ignore[return-value]
        perlin(height, width, (2**octave * height / cell, 2**octave * width / cell), rng) * np.float32(0.66**octave)
        for octave in range(4)
    )


def _veins(height: int, width: int, rng: np.random.Generator) -> Field:
    """Marble: thin lines where turbulent noise crosses zero."""
    cells = float(rng.uniform(2, 10))
    noise = turned(height, width, (cells, cells * rng.uniform(0.3, 3)), rng.uniform(0, 180), rng)
    return -np.sqrt(np.abs(noise))


def _stripes(height: int, width: int, rng: np.random.Generator) -> Field:
    """Wood: a sine over a direction, bent by noise."""
    turn = rng.uniform(0, np.pi)
    y, x = np.ogrid[:height, :width]
    phase = (np.cos(turn) * x + np.sin(turn) * y).astype(np.float32) * np.float32(2 * np.pi / rng.uniform(4, 40))
    return np.sin(phase + np.float32(rng.uniform(0, 12)) * perlin(height, width, (3.0, 3.0), rng))


def _cells(height: int, width: int, rng: np.random.Generator) -> Field:
    """Worley cells: distance to the nearest of random points."""
    seeds = np.full((height, width), 255, np.uint8)
    count = max(2, round(height * width / rng.uniform(10, 60) ** 2))
    seeds[rng.integers(height, size=count), rng.integers(width, size=count)] = 0
    return cv2.distanceTransform(seeds, cv2.DIST_L2, 3)  # type: ignore[return-value]


def _grain(height: int, width: int, rng: np.random.Generator) -> Field:
    """White noise, smeared more along one axis than along the other."""
    noise = rng.random((height, width), np.float32)
    reach = [int(1 + 2 * rng.integers(0, 5)) for _ in range(2)]
    return cv2.blur(noise, (reach[0], reach[1]))  # type: ignore[return-value]


def _weave(height: int, width: int, rng: np.random.Generator) -> Field:
    """Cloth: two crossing gratings."""
    y, x = np.ogrid[:height, :width]
    pitch_y, pitch_x = rng.uniform(4, 24, 2)
    weave = np.sin(2 * np.pi * y / pitch_y) * np.sin(2 * np.pi * x / pitch_x)
    return weave.astype(np.float32) + 0.3 * rng.standard_normal((height, width), np.float32)


_RULES: dict[str, Callable[[int, int, np.random.Generator], Field]] = {
    "clouds": _clouds,
    "veins": _veins,
    "stripes": _stripes,
    "cells": _cells,
    "grain": _grain,
    "weave": _weave,
}
