"""Stratified bootstrap: how far the figures would move with other images of the same kind.

Each resample draws as many defects and as many good images as there are, with replacement, each from its own
class. Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993 (percentile intervals).

Where no error was seen every resample is perfect and the interval has no width; for precision, recall and FPR
`calibration.clopper_pearson` stays honest there.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from calibration.binary import Labels, Scores, checked
from inspector.manifest import Interval

_CELLS = 2_000_000


def average_precision(
    labels: npt.ArrayLike, scores: npt.ArrayLike, confidence: float = 0.95, n: int = 2000, seed: int = 0
) -> Interval:
    """Interval of the average precision of `(N,)` labels (0/1) and scores, from `n` resamples; same seed, same answer.

    Raises:
        DataError: see `calibration.binary.checked`.
    """
    y, s = checked(labels, scores)
    order = np.argsort(-s, kind="stable")
    y, s = y[order], s[order]
    ends = _run_ends(s)
    drawn = np.concatenate([_average_precision(y, ends, weights) for weights in _resamples(y, n, seed)])
    return _interval(drawn, confidence, n)


def at_threshold(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    threshold: float,
    confidence: float = 0.95,
    n: int = 2000,
    seed: int = 0,
) -> dict[str, Interval]:
    """Intervals of `precision`, `recall`, `f1` and `fpr` at `score >= threshold`, for `(N,)` labels (0/1) and scores.

    The threshold stays the same in every resample: the intervals speak of it, not of the policy that chose it.

    Raises:
        DataError: see `calibration.binary.checked`.
    """
    y, s = checked(labels, scores)
    n_defect = int(y.sum())
    n_ok = len(y) - n_defect
    rng = np.random.default_rng(seed)
    # With the threshold fixed, a class's resample matters only through how many of its images are called.
    tp = rng.binomial(n_defect, (s[y == 1] >= threshold).mean(), n)
    fp = rng.binomial(n_ok, (s[y == 0] >= threshold).mean(), n)
    drawn = {
        "precision": tp / np.maximum(tp + fp, 1),
        "recall": tp / n_defect,
        "f1": 2 * tp / (tp + fp + n_defect),
        "fpr": fp / n_ok,
    }
    return {name: _interval(values, confidence, n) for name, values in drawn.items()}


def precision_band(
    labels: npt.ArrayLike, scores: npt.ArrayLike, recalls: npt.ArrayLike, confidence: float = 0.95, n: int = 500
) -> tuple[Scores, Scores]:
    """Pointwise band of the precision at the highest threshold that reaches each of the `(K,)` `recalls`.

    Returns:
        low and high, each `(K,)`.
    """
    y, s = checked(labels, scores)
    order = np.argsort(-s, kind="stable")
    y, ends = y[order], _run_ends(s[order])
    wanted = np.asarray(recalls, dtype=np.float64) * y.sum() - 1e-9
    drawn = []
    for weights in _resamples(y, n, seed=0):
        tp, called = _cumulative(y, ends, weights)
        for hits, alarms in zip(tp, called, strict=True):
            first = np.maximum(np.searchsorted(hits, wanted), np.searchsorted(alarms, 1))
            drawn.append(hits[first] / alarms[first])
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return low, high


def _resamples(y: Labels, n: int, seed: int) -> Iterator[Labels]:
    """Yield `(B, N)` counts of how often each image was drawn, `n` rows in all, a bounded number at a time."""
    rng = np.random.default_rng(seed)
    rows = max(1, _CELLS // len(y))
    for done in range(0, n, rows):
        batch = min(rows, n - done)
        weights = np.empty((batch, len(y)), np.int64)
        for members in (np.flatnonzero(y == 1), np.flatnonzero(y == 0)):
            size = len(members)
            cells = rng.integers(0, size, (batch, size)) + size * np.arange(batch)[:, None]
            weights[:, members] = np.bincount(cells.ravel(), minlength=batch * size).reshape(batch, size)
        yield weights


def _run_ends(descending: Scores) -> Labels:
    """Index of the last image of each run of equal scores."""
    return np.append(np.flatnonzero(np.diff(descending)), len(descending) - 1)


def _cumulative(y: Labels, ends: Labels, weights: Labels) -> tuple[Labels, Labels]:
    """Defects and images at or above each distinct score, `(B, M)`, for images in falling order of score."""
    return np.cumsum(weights * y, axis=1)[:, ends], np.cumsum(weights, axis=1)[:, ends]


def _average_precision(y: Labels, ends: Labels, weights: Labels) -> Scores:
    """Average precision of each row of weights, `sum (R_k - R_(k-1)) P_k` over distinct scores, tied ones together."""
    tp, called = _cumulative(y, ends, weights)
    gained = np.diff(tp, axis=1, prepend=0)
    return (gained * (tp / np.maximum(called, 1))).sum(axis=1) / y.sum()


def _interval(drawn: Scores, confidence: float, n: int) -> Interval:
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    method = f"stratified percentile bootstrap, {n} resamples"
    return Interval(low=float(low), high=float(high), confidence=confidence, method=method)
