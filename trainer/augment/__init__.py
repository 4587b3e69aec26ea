"""Synthetic defects: one small port, one file per generator."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, eq=False)
class SyntheticImage:
    """A generated defect image at the model's size.

    Attributes:
        pixels: `(H, W, 3)` uint8 RGB.
        mask: `(H, W)` uint8, 255 where the defect is, or None where the generator cannot tell.
        provenance: JSON-serialisable: generator, seed, source image, parameters.
    """

    pixels: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.uint8] | None
    provenance: dict[str, Any] = field(default_factory=dict)


class Augmenter(Protocol):
    """Draws defect images."""

    def generate(self, n: int, seed: int) -> Iterator[SyntheticImage]:
        """Yield `n` images; the k-th depends on `(seed, k)` alone, whatever the number of workers."""
        ...
