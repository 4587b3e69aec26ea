"""MemSeg-style defects: a texture or the shuffled part itself, blended through a Perlin mask."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from inspector import imagefile, preprocess
from inspector.errors import DataError
from inspector.preprocess import Image, InputSpec
from trainer.augment import Material, SyntheticImage, perlin
from trainer.augment import textures as sources
from trainer.augment.foreground import foreground
from trainer.recipe import Recipe

_SHARE = (0.001, 0.2)
_SMALLEST_PIXELS = 4
_FINEST_CELL = 8
_VISIBLE = 8.0
_ABOVE_MOTTLING = 2.5
_NEAR, _FAR = 3, 31
_TRIES = 8


class MemSeg:
    """Draws out-of-distribution defects from normal images alone (Yang et al., "MemSeg", 2023).

    Perlin noise with a random scale along each axis, turned and thresholded, times the part's foreground gives the
    mask; inside it a source is blended with one opacity. The source is a texture picture (from `textures`, else
    drawn by rule) or the part itself, mirrored, turned, re-coloured and shuffled on a 4 x 8 grid. On grey parts
    sources are grey too, so that colour does not give them away.

    The threshold is set so that the mask covers a share of the foreground drawn log-uniformly from 0.1 % to 20 %;
    half of the masks keep only one to three of their spots. The opacity is drawn from the part of its range where the
    defect shows: the mean change inside the mask, both pictures averaged over 3 x 3 pixels, is at least 8 of 255
    levels and at least 2.5 times the part's own mottling. Where no opacity of the range is enough, mask and source
    are drawn again; after eight times the source is the part with every value moved by 128.

    Args:
        normals: files of defect-free images.
        spec: size and pixel rules; images are fitted by `inspector.preprocess`.
        textures: folder of texture pictures, searched recursively; None draws textures by rule.
        opacity: range the blend's opacity is drawn from, within 0.1..1.
        structural_share: share of images whose source is the shuffled part, 0..1.
        line_share: share of masks that follow the noise's zero lines, thin and winding as cracks are; 0 is MemSeg.

    Raises:
        DataError: no normal image, an empty or missing texture folder, ranges out of bounds.
    """

    def __init__(
        self,
        normals: Sequence[Path],
        spec: InputSpec,
        textures: Path | None = None,
        opacity: tuple[float, float] = (0.15, 1.0),
        structural_share: float = 0.5,
        line_share: float = 0.0,
    ) -> None:
        if not normals:
            raise DataError("MemSeg needs at least one good image to paint on, and there is none")
        if not 0.1 <= opacity[0] <= opacity[1] <= 1:
            raise DataError(f"opacity {opacity} is not a rising range within 0.1..1")
        for name, share in (("structural_share", structural_share), ("line_share", line_share)):
            if not 0 <= share <= 1:
                raise DataError(f"{name} {share} is not within 0..1")
        self.normals = list(normals)
        self.spec = spec
        self.opacity = opacity
        self.structural_share = structural_share
        self.line_share = line_share
        self._textures = sources.find(textures) if textures is not None else []

    def generate(self, n: int, seed: int, first: int = 0) -> Iterator[SyntheticImage]:
        """Yield `draw(first, seed)` to `draw(first + n - 1, seed)`."""
        return (self.draw(k, seed) for k in range(first, first + n))

    def draw(self, k: int, seed: int) -> SyntheticImage:
        """Draw the `k`-th image of `seed` (both >= 0); depends on nothing else.

        Raises:
            DataError: the normal image or the texture drawn cannot be read.
        """
        rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, k])))
        path = self.normals[rng.integers(len(self.normals))]
        part = preprocess.fit(imagefile.read(path), self.spec)
        made = self.paint(part, rng)
        provenance = {"generator": "memseg", "seed": seed, "index": k, "source": str(path), **made.provenance}
        return SyntheticImage(made.pixels, made.mask, provenance)

    def paint(self, part: Image, rng: np.random.Generator) -> SyntheticImage:
        """Paint one defect on a fitted `(H, W, 3)` uint8 RGB part; pixels outside the mask stay as they are."""
        where = foreground(part)
        bound = max(_VISIBLE, _ABOVE_MOTTLING * _unevenness(part))
        for _ in range(_TRIES):
            mask, shape = _mask(where, self.line_share, rng)
            source, origin = self._source(part, rng)
            least = bound / max(_change(part, source, mask), 1e-6)
            if least <= self.opacity[1]:
                break
        else:
            source, origin, least = sources.opposite(part), {"kind": "opposite"}, self.opacity[1]
        opacity = float(rng.uniform(max(least, self.opacity[0]), self.opacity[1]))
        mixed = cv2.addWeighted(source, opacity, part, 1 - opacity, 0)
        pixels: Image = cv2.copyTo(mixed, mask, part.copy())  # type: ignore[assignment]
        return SyntheticImage(pixels, mask, {**origin, "opacity": opacity, **shape})

    def _source(self, part: Image, rng: np.random.Generator) -> tuple[Image, dict[str, Any]]:
        height, width = part.shape[:2]
        if rng.random() < self.structural_share:
            source, origin = sources.structural(part, rng), {"kind": "structural"}
        elif self._textures:
            path = self._textures[rng.integers(len(self._textures))]
            source = sources.from_file(path, height, width, self.spec.depth, rng)
            origin = {"kind": "texture", "texture": str(path)}
        else:
            source, rule = sources.procedural(height, width, rng)
            origin = {"kind": "procedural", "texture": rule}
        return (sources.grey(source) if sources.is_grey(part) else source), origin


def create(material: Material, recipe: Recipe) -> MemSeg:
    """MemSeg as the recipe's section `augment` wants it."""
    chosen = recipe.augment
    return MemSeg(material.normals, material.spec, textures=chosen.textures, line_share=chosen.line_share)


def _mask(where: perlin.Mask, line_share: float, rng: np.random.Generator) -> tuple[perlin.Mask, dict[str, Any]]:
    """Draw a non-empty mask inside the foreground, and the figures it came from."""
    height, width = where.shape
    diagonal = math.hypot(height, width)
    finest = max(1, int(math.log2(diagonal / _FINEST_CELL)))
    cells = float(2 ** rng.integers(0, finest + 1)), float(2 ** rng.integers(0, finest + 1))
    degrees, roughness = float(rng.uniform(-90, 90)), float(rng.uniform(0, 0.5))
    noise = perlin.turned(height, width, cells, degrees, rng)
    detail = min(4 * cells[0], diagonal / _FINEST_CELL), min(4 * cells[1], diagonal / _FINEST_CELL)
    noise += np.float32(roughness) * perlin.turned(height, width, detail, degrees, rng)
    lines = bool(rng.random() < line_share)
    if lines:
        noise = -np.abs(noise)
    lowest = max(_SHARE[0], _SMALLEST_PIXELS / cv2.countNonZero(where))
    share = math.exp(rng.uniform(math.log(lowest), math.log(_SHARE[1])))
    mask = perlin.cut(noise, where, share)
    if rng.random() < 0.5:
        mask = _some_spots(mask, int(rng.integers(1, 4)), lowest * cv2.countNonZero(where), rng)
    pixels = cv2.countNonZero(mask)
    return mask, {
        "cells": cells,
        "degrees": degrees,
        "roughness": roughness,
        "lines": lines,
        "mask_share": pixels / mask.size,
    }


def _some_spots(mask: perlin.Mask, n: int, smallest: float, rng: np.random.Generator) -> perlin.Mask:
    """Keep up to `n` spots of at least `smallest` pixels, drawn at random; all spots where none is as large."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    large = np.flatnonzero(stats[1:, cv2.CC_STAT_AREA] >= smallest) + 1
    if not large.size:
        return mask
    kept = np.zeros(len(stats), np.uint8)
    kept[rng.permutation(large)[:n]] = 255
    return kept[labels]


def _change(part: Image, source: Image, mask: perlin.Mask) -> float:
    """Mean absolute change inside the mask at opacity 1, averaged over 3 x 3 pixels, of the strongest channel."""
    change = cv2.copyTo(cv2.subtract(source, part, dtype=cv2.CV_16S), mask)
    return max(cv2.mean(cv2.convertScaleAbs(cv2.blur(change, (_NEAR, _NEAR))), mask)[:3])


def _unevenness(part: Image) -> float:
    """Mean absolute difference between the part averaged over 3 x 3 and over 31 x 31 pixels: its natural mottling."""
    near, far = cv2.blur(part, (_NEAR, _NEAR)), cv2.blur(part, (_FAR, _FAR))
    return max(cv2.mean(cv2.absdiff(near, far))[:3])
