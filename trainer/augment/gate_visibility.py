"""Tell whether a first classifier sees the defect in a generated image."""

import math

import numpy as np
import numpy.typing as npt

from trainer.augment.features import FeatureMaps
from trainer.augment.first_classifier import apply, train_head

Maps = npt.NDArray[np.float32]

RISE = 0.5
"""Least rise over the source, in standard deviations of real good images, of a visible defect."""

_STEPS = 100
_STRONGEST = 0.1


class Visibility:
    """Two first classifiers, each judging the half of the good images that it was not trained on.

    A region's score is the mean of the map's strongest tenth inside it. It is compared with the scores that real good
    images have in the very same region, so neither its size nor its place counts.

    Args:
        good: `(N, h, w, C)` features of real good images.
        defects: `(M, h, w, C)` features of real defects, or of an imitation; at least one.
        seed: of the training.
    """

    def __init__(self, good: FeatureMaps, defects: FeatureMaps, seed: int) -> None:
        halves = np.arange(len(good)) % 2
        folds = (0, 1) if len(good) > 1 else (1,)
        self._heads = [train_head(good[halves != fold], [(defects, 1.0)], seed, _STEPS) for fold in folds]
        if len(good) > 1:
            self._held_out = [apply(head, good[halves == fold]) for head, fold in zip(self._heads, folds, strict=True)]
        else:
            self._held_out = [apply(head, good) for head in self._heads]

    def maps(self, features: FeatureMaps) -> Maps:
        """Both classifiers' maps of `(N, h, w, C)` features: `(N, 2, h, w)`."""
        return np.stack([apply(head, features) for head in self._heads], axis=1)

    def share(self, maps: Maps, region: npt.NDArray[np.bool_]) -> float:
        """Share of real good images that score less in the region `(h, w)` than the image of `(2, h, w)` maps."""
        return float(
            np.mean(
                [
                    (_scores(others, region) < _scores(own[None], region)).mean()
                    for own, others in zip(maps, self._held_out, strict=True)
                ]
            )
        )

    def rise(self, maps: Maps, source: Maps, region: npt.NDArray[np.bool_]) -> float:
        """How much higher the image scores in the region than its source, in standard deviations of good images."""
        return float(
            np.mean(
                [
                    (_scores(own[None], region) - _scores(before[None], region))[0]
                    / (_scores(others, region).std() + 1e-6)
                    for own, before, others in zip(maps, source, self._held_out, strict=True)
                ]
            )
        )


def _scores(maps: Maps, region: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    inside = maps[:, region]
    count = max(1, math.ceil(_STRONGEST * inside.shape[1]))
    return np.sort(inside, axis=1)[:, -count:].mean(axis=1)
