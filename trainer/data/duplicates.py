"""Find images that show the same part: a perceptual hash that forgets lighting, compared within a data set.

The hash is 16 x 16 cells of the logarithm of the picture, high-passed and locally normalised, so neither exposure nor
slow shading nor encoding matters. What all images of a set share (the outline of a fixtured part, common shading) says
nothing about two of them being the same part; so hashes are centred and whitened over the set before comparison, and
unrelated parts come out near zero even where their pictures look alike to the eye.

Measured on KolektorSDD at half scale (383 images): the only matches, 8 pairs at 0.94 and above, are one commutator
that is in the set twice (kos38 and kos39); no other pair passes 0.2. JPEG at quality 40, brightness, gamma, half the
size, noise of 10 grey levels, a gradient of light, 3 columns cut off: all found, at 0.88 and above. With 2 per cent cut
off at two sides 94 % are found, with 4 per cent none: the hash wants a fixed view. On the magnetic-tile set, see
`tests/trainer/data/test_duplicates.py`.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from inspector import imagefile

SAME = 0.6
"""Similarity from which two images are taken for the same part."""

_SIDE = 16
_MARGIN = 0.04
_RIDGE = 0.3
_PRIOR = 8
_FEATURELESS = 0.01  # a picture with any texture has 5 to 20
_TILE = (1024, 8192)
LENGTH = _SIDE * _SIDE
Hashes = npt.NDArray[np.float32]


def describe(pixels: npt.NDArray[np.generic]) -> Hashes:
    """The perceptual hash of a picture, `(256,)` float32 of length 1 (0 for a featureless picture).

    Args:
        pixels: `(H, W)` or `(H, W, 3)`, of any depth and size.
    """
    top, left = (round(side * _MARGIN) for side in pixels.shape[:2])
    inner = pixels[top : pixels.shape[0] - top, left : pixels.shape[1] - left]
    cells = cv2.resize(inner, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)  # type: ignore[arg-type]
    grey = cells.mean(2) if cells.ndim == 3 else cells
    light = np.log(grey / max(float(grey.mean()), 1e-6) + 0.06)
    detail = light - cv2.GaussianBlur(light, (0, 0), 1.0, borderType=cv2.BORDER_REFLECT)
    spread = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), 1.0, borderType=cv2.BORDER_REFLECT))
    row = np.clip(detail / (spread + 0.02), -3, 3).reshape(1, -1)
    return _unit(row if np.linalg.norm(row) > _FEATURELESS else np.zeros_like(row))[0]


def whiten(hashes: Hashes) -> Hashes:
    """Remove from `(n, 256)` hashes what the set has in common; rows come back at length 1, featureless ones at 0.

    The centre is shrunk towards zero by eight imaginary blank pictures, so that two copies alone in a set are still
    found; the whitening is ridged, so that sets of any size work.
    """
    centred = hashes - hashes.sum(0) / (len(hashes) + _PRIOR)
    variances, axes = np.linalg.eigh((centred.T @ centred / max(len(hashes), 1)).astype(np.float64))
    rank = min(hashes.shape)
    scale = 1 / np.sqrt(np.maximum(variances, 0) + _RIDGE * variances.sum() / max(rank, 1) + 1e-12)
    return _unit(centred @ (axes * scale).astype(np.float32)) * hashes.any(1, keepdims=True)


def matches(
    whitened: Hashes, threshold: float = SAME
) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Hashes]]:
    """All pairs `i < j` at least `threshold` similar, as `(i, j, similarity)` arrays, one tile at a time.

    Costs `256 n^2` multiply-adds in matrix products: about a minute for 100 000 images on one core.
    """
    rows, columns = _TILE
    for top in range(0, len(whitened), rows):
        for left in range(top, len(whitened), columns):
            tile = whitened[top : top + rows] @ whitened[left : left + columns].T
            i, j = np.nonzero(tile >= threshold)
            upper = i + top < j + left
            i, j = i[upper], j[upper]
            if i.size:
                yield i + top, j + left, tile[i, j]


def clusters(whitened: Hashes, threshold: float = SAME) -> npt.NDArray[np.intp]:
    """Number of the cluster of each image, images being linked by `matches`; the smallest index names it."""
    count = len(whitened)
    label = np.arange(count)
    for i, j, _ in matches(whitened, threshold):
        links = coo_array((np.ones(len(i), np.bool_), (label[i], label[j])), shape=(count, count))
        label = connected_components(links, directed=False)[1][label]
    first = np.full(count, count)
    np.minimum.at(first, label, np.arange(count))
    return first[label]


def describe_files(paths: Sequence[Path], tick: Callable[[], None] = lambda: None) -> Hashes:
    """The hash of each file, `(n, 256)`; a few pictures are in memory at a time.

    Args:
        paths: image files.
        tick: called once a file, for a progress bar.

    Raises:
        DataError: a file cannot be decoded.
    """
    hashes = np.zeros((len(paths), LENGTH), np.float32)

    def fill(i: int) -> None:
        hashes[i] = describe(imagefile.read(paths[i]))
        tick()

    with ThreadPoolExecutor() as pool:
        for _ in pool.map(fill, range(len(paths))):
            pass
    return hashes


def _unit(rows: npt.NDArray[np.floating]) -> Hashes:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.maximum(length, 1e-9)).astype(np.float32)
