"""Which images of one split show the same part as images of another."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainer.data import duplicates
from trainer.data.samples import Sample

_ORDER = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Leak:
    """An image whose part is in an earlier split too (train before val before test), with its closest match there.

    Attributes:
        sample, match: the image of the later split, and that of the earlier one.
        similarity: `duplicates.SAME` to 1.
        denied: the data set's own groups say that these are different parts.
    """

    sample: Sample
    match: Sample
    similarity: float
    denied: bool


def find(
    samples: Sequence[Sample], hashes: duplicates.Hashes, contents: Sequence[bytes]
) -> tuple[list[Leak], npt.NDArray[np.bool_]]:
    """Compare all images of a set; pairs with the same pixels are not reported, only those that differ.

    Args:
        samples: readable ones.
        hashes: their perceptual hashes, `(n, 256)`.
        contents: digest of their decoded pixels.

    Returns:
        For each image its closest match in each earlier split, most similar first; and for each image whether another
        one of its own split shows the same part, `(n,)`.
    """
    place = np.array([_ORDER.index(s.split) if s.split else -1 for s in samples])
    _, content = np.unique(np.array(contents, dtype="S32"), return_inverse=True)
    best = np.zeros((len(samples), len(_ORDER)))
    match = np.full((len(samples), len(_ORDER)), -1)
    repeated = np.zeros(len(samples), np.bool_)

    def take(later: npt.NDArray[np.intp], earlier: npt.NDArray[np.intp], similarity: npt.NDArray[np.floating]) -> None:
        better = np.flatnonzero(similarity > best[later, place[earlier]])
        better = better[np.argsort(similarity[better], kind="stable")]  # of several assignments the last one stays
        best[later[better], place[earlier[better]]] = similarity[better]
        match[later[better], place[earlier[better]]] = earlier[better]

    for i, j, similarity in duplicates.matches(duplicates.whiten(hashes)):
        differs = content[i] != content[j]
        i, j, similarity = i[differs], j[differs], similarity[differs]
        inside = place[i] == place[j]
        repeated[i[inside]] = repeated[j[inside]] = True
        across = ~inside & (place[i] >= 0) & (place[j] >= 0)
        i, j, similarity = i[across], j[across], similarity[across]
        swap = place[i] < place[j]
        take(np.where(swap, j, i), np.where(swap, i, j), similarity)
    found = []
    for k, earlier in np.argwhere(match >= 0):
        sample, other = samples[k], samples[match[k, earlier]]
        denied = bool(sample.group and other.group and sample.group != other.group)
        found.append(Leak(sample, other, min(float(best[k, earlier]), 1.0), denied))
    return sorted(found, key=lambda leak: -leak.similarity), repeated
