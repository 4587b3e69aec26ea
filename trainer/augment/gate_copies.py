"""Find generated images that repeat a training image."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from inspector import imagefile, preprocess
from inspector.preprocess import InputSpec
from trainer.augment import Pixels
from trainer.data.duplicates import describe

COPY = 1.8
"""Largest `residual` of a copy.

Measured on training images of magnetic tiles (224 x 288) and commutators (200 x 600): copies through JPEG of quality
40, noise of 5 levels, darkening or a blur of 1 pixel stay below 0.8 (blur: 1.5); the two most alike of distinct
images, exposures of one tile, are 2.4 apart, and so (2.2) is the faintest twentieth of MemSeg defects from its source.
"""

_CANDIDATES = 3
_SHRINK = 4
_SHORT_SIDE = 16
_AROUND = 7


class Copies:
    """Compares images with training images and their mirror images: classifiers are trained on mirrored images anyway.

    The perceptual hash of `trainer.data.duplicates` names the three most similar training images; each is read again
    and compared pixel by pixel, since the hash does not see a small defect. A copy shifted by pixels is not found.

    Args:
        defects: files of training defects.
        normals: files of training normals.
        spec: the model's input.

    Raises:
        DataError: a file cannot be decoded.
    """

    def __init__(self, defects: Sequence[Path], normals: Sequence[Path], spec: InputSpec) -> None:
        self._files = [*defects, *normals]
        self._defects = len(defects)
        self._spec = spec
        with ThreadPoolExecutor(4) as pool:
            self._hashes = np.stack(list(pool.map(lambda path: describe(self._read(path)), self._files)))

    def nearest(self, pixels: Pixels, defects_only: bool) -> tuple[float, Path | None]:
        """The smallest `residual` to a candidate, and its file; infinite and None where nothing is to be compared.

        Args:
            pixels: `(H, W, 3)` uint8 RGB at the model's size.
            defects_only: leave the training normals out: the image was painted on one.
        """
        count = self._defects if defects_only else len(self._files)
        if not count:
            return float("inf"), None
        turned = [pixels, pixels[::-1], pixels[:, ::-1], pixels[::-1, ::-1]]
        alike = np.stack([describe(view) for view in turned]) @ self._hashes[:count].T
        best, where = float("inf"), None
        for place in np.argsort(-alike, axis=None, kind="stable")[:_CANDIDATES]:
            view, index = divmod(int(place), count)
            found = residual(turned[view], self._read(self._files[index]))
            if found < best:
                best, where = found, self._files[index]
        return best, where

    def _read(self, path: Path) -> Pixels:
        return preprocess.fit(imagefile.read(path), self._spec)


def residual(image: Pixels, other: Pixels) -> float:
    """The largest difference that brightness and contrast do not explain, in units of the other's detail.

    Both are shrunk four times first, so that grain and compression average out; the detail is the standard deviation
    of the other less its 7 x 7 mean, plus one grey level.
    """
    a, b = _shrunk(image), _shrunk(other)
    detail = float((b - cv2.blur(b, (_AROUND, _AROUND))).std()) + 1
    a, b = a - a.mean(), b - b.mean()
    gain = np.clip((a * b).mean() / max(float(a.var()), 1e-6), 0.5, 2)
    return float(np.abs(a * gain - b).max()) / detail


def _shrunk(image: Pixels) -> npt.NDArray[np.float32]:
    grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY).astype(np.float32)
    factor = max(1, min(_SHRINK, min(grey.shape) // _SHORT_SIDE))
    size = grey.shape[1] // factor, grey.shape[0] // factor
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]
