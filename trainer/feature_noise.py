"""Defects that cost no picture: noise over spots of a good image's features, shown to the head `dense`."""

import numpy as np
import torch

from models.head import Disturbance
from trainer.augment.perlin import perlin
from trainer.pixel_truth import DEFECT, GOOD

_CELLS = (2.0, 8.0)
_SHARE = (0.02, 0.12)


def draw(
    targets: torch.Tensor, height: int, width: int, strength: float, seed: tuple[int, ...]
) -> tuple[Disturbance, torch.Tensor] | None:
    """Spots on each good image of a batch, shaped by Perlin noise.

    Args:
        targets: `(N,)` 0 good, 1 defect.
        height, width: of the grid of 8 x 8 pixel cells, see `trainer.pixel_truth.cells`.
        strength: see `models.head.Disturbance`.
        seed: everything drawn depends on it alone.

    Returns:
        The disturbance and the truth of its images' cells, `(n, height, width)`; None without a good image.
    """
    rows = torch.nonzero(targets == 0).flatten()
    if not len(rows):
        return None
    rng = np.random.default_rng(seed)
    places = np.stack([_spot(height, width, rng) for _ in rows])
    truth = np.where(places, DEFECT, GOOD).astype(np.uint8)
    disturbance = Disturbance(rows, torch.from_numpy(places), strength, int(rng.integers(2**31)))
    return disturbance, torch.from_numpy(truth)


def _spot(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    noise = perlin(height, width, (rng.uniform(*_CELLS), rng.uniform(*_CELLS)), rng)
    return noise >= np.quantile(noise, 1 - rng.uniform(*_SHARE))
