"""The piece of an image that a drawing needs: large enough to see the surroundings, small enough to be quick."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trainer.augment.in_domain.codec import FACTOR
from trainer.augment.perlin import Mask


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of pixels."""

    top: int
    left: int
    height: int
    width: int

    def of(self, image: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The view of `(H, W, ...)` inside the window."""
        return image[self.top : self.top + self.height, self.left : self.left + self.width]


def around(region: Mask, crop: int) -> Window:
    """A window of `crop` latent cells a side, or the image's side where that is less, centred on the region.

    Its corner lies on the grid of the latents. Of a region larger than the window, the window shows a part.
    """
    rows, columns = np.nonzero(region)
    spans = []
    for found, side in ((rows, region.shape[0]), (columns, region.shape[1])):
        size = min(side, crop * FACTOR)
        begin = (int(found.min()) + int(found.max())) // 2 - size // 2
        begin = min(max(0, begin), side - size) // FACTOR * FACTOR
        spans.append((begin, size))
    return Window(spans[0][0], spans[1][0], spans[0][1], spans[1][1])
