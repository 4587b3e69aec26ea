"""A small generator to order: it fills the region with a grey that its prompt and seed decide."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event

import numpy as np

from inspector import imagefile, preprocess
from inspector.errors import DataError
from trainer.augment import Commission, Material, SyntheticImage
from trainer.recipe import Recipe

GO_ON = Event()  # cleared, an image waits for it
GO_ON.set()


class Painter:
    """Steered by prompt and region; where no region is given it paints the upper left 8 x 8 pixels."""

    steered_by = frozenset({"prompt", "region"})

    def __init__(self, material: Material) -> None:
        self.material = material

    def draw_for(self, commission: Commission) -> SyntheticImage:
        GO_ON.wait(20)
        if "impossible" in (commission.prompt or ""):
            raise DataError("the prompt has too many words: shorten it")
        if "crash" in (commission.prompt or ""):
            raise RuntimeError("out of memory\nand more")
        assert commission.part is not None
        mask = np.zeros(commission.part.shape[:2], np.uint8)
        if commission.region is None:
            mask[:8, :8] = 255
        else:
            mask[commission.region > 0] = 255
        pixels = commission.part.copy()
        pixels[mask > 0] = (commission.seed * 7 + len(commission.prompt or "")) % 90
        return SyntheticImage(pixels, mask, {"generator": "painter", "seed": commission.seed})

    def generate(self, n: int, seed: int, first: int = 0) -> Iterator[SyntheticImage]:
        for k in range(first, first + n):
            part = preprocess.fit(imagefile.read(self.material.normals[k]), self.material.spec)
            yield self.draw_for(Commission(seed + k, "any", part))


class Trained(Painter):
    """One that has to be trained first; it keeps the folder it was loaded from."""

    loaded: Path | None = None

    def fit(self, folder: Path, accelerator: object, console: object) -> None:
        (folder / "weights").write_text("trained")

    def load(self, folder: Path, device: str) -> None:
        if not (folder / "weights").is_file():
            raise DataError(f"{folder} holds no weights: train again")
        self.loaded = folder


def create(material: Material, recipe: Recipe) -> Painter:
    return Painter(material)


def create_trained(material: Material, recipe: Recipe) -> Trained:
    return Trained(material)
