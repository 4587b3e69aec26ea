"""Every threshold that tells two images apart, and what it calls."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calibration.binary import Labels, Scores, checked


@dataclass(frozen=True, slots=True, eq=False)
class Cuts:
    """Candidate thresholds.

    A threshold lies between two adjacent distinct scores, away from both, so that the last digits, in which two
    runtimes differ, flip no verdict; where in between, `share_of_gap` says. The ends lie midway to 0 (every image
    a defect) and midway to 1 (none). Never on a score, but for the one case the range [0, 1] forces: a lowest score of
    0 leaves 0 itself as the bottom end. A highest score of 1 leaves no top end, and two scores with no number
    between them no cut.

    Attributes:
        thresholds: `(M,)` ascending.
        tp, fp: `(M,)` defects and good images with `score >= threshold`; both fall as the threshold rises.
        n_defect, n_ok: images of each class.
    """

    thresholds: Scores
    tp: Labels
    fp: Labels
    n_defect: int
    n_ok: int


def cuts(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> Cuts:
    """List the candidate thresholds of `(N,)` labels (0/1) and probabilities in [0, 1]."""
    y, p = checked(labels, probabilities)
    values, group = np.unique(p, return_inverse=True)
    defects = np.bincount(group, weights=y, minlength=len(values)).astype(np.int64)
    ok = np.bincount(group, minlength=len(values)) - defects
    below = np.concatenate([[0.0], values])
    above = np.concatenate([values, [1.0]])
    n_defect, n_ok = int(defects.sum()), int(ok.sum())
    share = np.full(len(below), share_of_gap(n_defect, n_ok))
    share[0] = share[-1] = 0.5
    thresholds = below * (1 - share) + above * share
    apart = (below < thresholds) & (thresholds < above)
    apart[0] = True
    apart[-1] = thresholds[-1] > values[-1]
    tp = n_defect - np.concatenate([[0], np.cumsum(defects)])
    fp = n_ok - np.concatenate([[0], np.cumsum(ok)])
    return Cuts(thresholds[apart], tp[apart], fp[apart], n_defect, n_ok)


def share_of_gap(n_defect: int, n_ok: int) -> float:
    """How far up a gap between two scores its threshold lies, from 0.1 to 0.9.

    The extreme of `n` draws leaves `1 / (n + 1)` of its class beyond it on average, so the class with fewer images
    needs the larger part of a gap between the classes. Five defects against a hundred good images put the threshold
    low in the gap: the next defect may score far below these five, the next good image hardly above the hundred.
    """
    return min(max((n_defect + 1) / (n_defect + n_ok + 2), 0.1), 0.9)
