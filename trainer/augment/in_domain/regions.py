"""Where the defect of a real image lies, found from its label alone."""

from collections.abc import Sequence

import cv2
import numpy as np

from trainer.augment import Pixels, first_classifier
from trainer.augment.features import Features
from trainer.augment.perlin import Mask

_GOOD_AT_MOST = 400
_HELD = 0.995
_OF_PEAK = 0.35


def locate(normals: Sequence[Pixels], defects: Sequence[Pixels], features: Features, seed: int) -> list[Mask]:
    """Regions of real defects, from the map of a first classifier trained on the same images.

    A cell belongs to the region where the map is above `_OF_PEAK` of the image's own peak and above what all but
    the oddest cells of good images reach; the peak's cell always does. Image labels suffice: no mask is read.

    Args:
        normals, defects: `(H, W, 3)` uint8 RGB, all of one size.
        features: frozen features.
        seed: of the classifier's training.

    Returns:
        One `(H, W)` uint8 mask a defect, 255 in the region, never empty.
    """
    good = features.of(normals[:_GOOD_AT_MOST])
    bad = features.of(defects)
    head = first_classifier.train_head(good, [(bad, 1.0)], seed)
    usual = float(np.quantile(first_classifier.apply(head, good), _HELD))
    return [
        _region(cam, usual, picture.shape[:2])
        for cam, picture in zip(first_classifier.apply(head, bad), defects, strict=True)
    ]


def _region(cam: np.ndarray, usual: float, size: tuple[int, int]) -> Mask:
    height, width = size
    fine = cv2.resize(cam, (width, height), interpolation=cv2.INTER_LINEAR)
    peak = float(fine.max())
    bound = max(usual + _OF_PEAK * (peak - usual), usual) if peak > usual else peak
    return np.where(fine >= bound, np.uint8(255), np.uint8(0))
