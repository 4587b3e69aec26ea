"""Defects painted by rule on good images: in the part's own tones, with nothing to learn."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from inspector import imagefile, preprocess
from inspector.errors import DataError
from inspector.preprocess import InputSpec
from trainer.augment import Material, SyntheticImage, strokes
from trainer.augment.foreground import foreground
from trainer.recipe import Recipe


class Painted:
    """Paints cracks, scratches, pits, stains, shades and disorder; see `trainer.augment.strokes`.

    The painted defects that `in_domain` starts from in zero-shot, without its model: on our sets worth as much.

    Args:
        normals: files of defect-free images.
        spec: size and pixel rules; images are fitted by `inspector.preprocess`.

    Raises:
        DataError: no normal image.
    """

    def __init__(self, normals: Sequence[Path], spec: InputSpec) -> None:
        if not normals:
            raise DataError("painting defects needs at least one good image to paint on, and there is none")
        self.normals = list(normals)
        self.spec = spec

    def generate(self, n: int, seed: int, first: int = 0) -> Iterator[SyntheticImage]:
        """Yield images `first` to `first + n - 1` of `seed`; the k-th depends on `(seed, k)` alone."""
        return (self._draw(number, seed) for number in range(first, first + n))

    def _draw(self, number: int, seed: int) -> SyntheticImage:
        rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, number])))
        path = self.normals[rng.integers(len(self.normals))]
        part = preprocess.fit(imagefile.read(path), self.spec)
        pixels, mask, kind = strokes.paint(part, foreground(part), rng)
        provenance = {"generator": "strokes", "seed": seed, "index": number, "source": str(path), "mode": kind}
        return SyntheticImage(pixels, mask, provenance)


def create(material: Material, recipe: Recipe) -> Painted:
    """From the registry."""
    return Painted(material.normals, recipe.input)
