"""Tell a surface like the real one from another: distance of its patch features to those of real good images."""

import math

import numpy as np
import numpy.typing as npt
import torch

from trainer.augment.features import FeatureMaps

_PATCHES = 4096
_LEFT_OUT = 128
_STRONGEST = 0.1
_TYPICAL = 0.25  # of unseen magnetic tiles with defects 25 % are off texture by it, and 31 % by the median


class Texture:
    """A memory of normal patches, and how far real good images are from it.

    Patches are compared wherever they lie (nearest neighbour, Euclidean), after PatchCore (Roth et al., CVPR 2022).
    An image has two figures: `worst`, the mean of the farthest tenth of its patches, where the defect's place is known
    and left out; `typical`, the lower quartile of all patches, which a defect on less than three quarters of the
    picture hardly moves, where it is not known. Each has its own threshold: what `share` of real good images stay
    below when the memory holds none of their own patches.

    Args:
        good: `(N, h, w, C)` features of real good images.
        share: in (0, 1].
        seed: of the patches' choice.
    """

    def __init__(self, good: FeatureMaps, share: float, seed: int) -> None:
        rng = np.random.default_rng([seed, 11])
        cells = good.reshape(len(good), -1, good.shape[-1])
        of_each = min(cells.shape[1], max(1, _PATCHES // len(good)))
        chosen = [np.sort(rng.permutation(cells.shape[1])[:of_each]) for _ in cells]
        patches = np.concatenate([maps[rows] for maps, rows in zip(cells, chosen, strict=True)])
        self._memory = torch.from_numpy(patches).float()
        self._squares = self._memory.square().sum(1)
        owners = torch.arange(len(good)).repeat_interleave(of_each)
        self.worst, self.typical = math.inf, math.inf
        if len(good) > 1:
            some = np.unique(np.linspace(0, len(good) - 1, _LEFT_OUT).astype(int))
            distances = [self._distances(good[i], owners == int(i)) for i in some]
            self.worst = float(np.quantile([_worst(found) for found in distances], share))
            self.typical = float(np.quantile([np.quantile(found, _TYPICAL) for found in distances], share))

    def excess(self, maps: FeatureMaps, touched: npt.NDArray[np.bool_] | None) -> float:
        """How far an image is from the real surface; above 1 is farther than real good images are.

        Args:
            maps: `(h, w, C)` features.
            touched: `(h, w)`, the cells that the defect may change; None where that is not known.
        """
        distances = self._distances(maps)
        if touched is None or touched.all():
            return float(np.quantile(distances, _TYPICAL)) / self.typical
        return _worst(distances[~touched.ravel()]) / self.worst

    @torch.inference_mode()
    def _distances(self, maps: FeatureMaps, without: torch.Tensor | None = None) -> npt.NDArray[np.float32]:
        """Of each of the `h * w` patches to its nearest neighbour in the memory."""
        patches = torch.from_numpy(maps.reshape(-1, maps.shape[-1])).float()
        squares = self._squares - 2 * patches @ self._memory.T
        if without is not None:
            squares[:, without] = torch.inf
        nearest = squares.min(1).values + patches.square().sum(1)
        return nearest.clamp_min(0).sqrt().numpy()


def _worst(distances: npt.NDArray[np.float32]) -> float:
    count = max(1, math.ceil(_STRONGEST * len(distances)))
    return float(np.sort(distances)[-count:].mean())
