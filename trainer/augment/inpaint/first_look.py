"""A first classifier for regions by class-activation map, from what the scenario allows."""

from itertools import islice
from typing import Protocol

import numpy as np
import numpy.typing as npt

from inspector import imagefile, preprocess
from trainer.augment import Material, Pixels
from trainer.augment.memseg import MemSeg

_GOOD_AT_MOST = 200
_DRAWN = 60


class Looker(Protocol):
    """Anything that says where images look defective."""

    def maps(self, images: list[Pixels]) -> npt.NDArray[np.float32]:
        """Class-activation maps `(N, h, w)` of `(H, W, 3)` uint8 RGB images, higher is more like a defect."""
        ...


def train(material: Material, device: str) -> Looker:
    """Train a first classifier on good images and real defects, or on MemSeg's where the scenario allows none.

    Raises:
        InandoutError: an image cannot be read, or the start weights cannot be had.
    """
    from trainer.augment.features import Features
    from trainer.augment.first_classifier import FirstClassifier, train_head

    def read(paths: list) -> list[Pixels]:
        return [preprocess.fit(imagefile.read(path), material.spec) for path in paths]

    features = Features(material.weights, device)
    good = features.of(read(list(islice(material.normals, _GOOD_AT_MOST))))
    if material.defects:
        bad = features.of(read(list(material.defects)))
    else:
        bad = features.of(
            made.pixels for made in MemSeg(material.normals, material.spec).generate(_DRAWN, material.seed)
        )
    return FirstClassifier(features, train_head(good, [(bad, 1.0)], material.seed))
