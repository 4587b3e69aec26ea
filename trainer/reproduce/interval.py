"""Intervals of figures averaged over seeds: both the seeds and the test images might have been others.

Each resample draws seeds with replacement and, stratified by class, test images with replacement; where all seeds
were judged on the same images, they share the draw. Percentile intervals (Efron and Tibshirani, An Introduction to
the Bootstrap, 1993). With few seeds the seeds' part is somewhat too small, as a bootstrap of few values is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inspector.manifest import Interval
from trainer.reproduce.tables import METRICS, Metric

_ENTRIES = 2_000_000  # of a block of resamples, for bounded memory
_Weights = npt.NDArray[np.int64]
_Figures = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Test images of one build in order of path: labels (0/1), logits, and which were called defects; all `(N,)`."""

    paths: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    logits: npt.NDArray[np.float64]
    called: npt.NDArray[np.bool_]


def over_seeds(
    builds: Sequence[Judged], confidence: float = 0.95, n: int = 2000, seed: int = 0, images: str = "test images"
) -> dict[Metric, Interval]:
    """Intervals of the mean over `builds` (one a seed) of each metric.

    Args:
        builds: at least one; each with good images and defects.
        confidence: level of the two-sided intervals.
        n: resamples.
        seed: same seed, same answer.
        images: what the builds were judged on, for the intervals' `method`.
    """
    return _intervals([(build,) for build in builds], lambda figures: figures[0], confidence, n, seed, images)


def of_difference(
    before: Sequence[Judged],
    after: Sequence[Judged],
    confidence: float = 0.95,
    n: int = 2000,
    seed: int = 0,
    images: str = "test images",
) -> dict[Metric, Interval]:
    """Intervals of the mean over seeds of `after` minus `before`: paired, both of a seed on the same resample.

    Args:
        before, after: as many, seed by seed; both of a seed judged on the same images.
        confidence, n, seed, images: as in `over_seeds`.

    Raises:
        ValueError: the two of a seed were judged on different images.
    """
    pairs = list(zip(before, after, strict=True))
    if any(one.paths != other.paths for one, other in pairs):
        raise ValueError("builds judged on different images cannot be paired")
    return _intervals(pairs, lambda figures: figures[1] - figures[0], confidence, n, seed, images)


def _intervals(
    seeds: Sequence[tuple[Judged, ...]],
    figure: Callable[[Sequence[_Figures]], _Figures],
    confidence: float,
    n: int,
    seed: int,
    images: str,
) -> dict[Metric, Interval]:
    """Intervals of the mean over `seeds` of what `figure` makes of the metrics of each one's builds."""
    shared = all(builds[0].paths == seeds[0][0].paths for builds in seeds)
    rng = np.random.default_rng([seed, 0])
    drawn = np.empty((len(seeds), len(METRICS), n))
    rows = max(1, _ENTRIES // max(len(builds[0].labels) for builds in seeds))
    for start in range(0, n, rows):
        block = min(rows, n - start)
        weights = _resampled(seeds[0][0].labels, block, rng)
        for number, builds in enumerate(seeds):
            if number and not shared:
                weights = _resampled(builds[0].labels, block, rng)
            drawn[number, :, start : start + block] = figure([_figures(build, weights) for build in builds])
    picked = np.random.default_rng([seed, 1]).integers(0, len(seeds), (n, len(seeds)))
    means = np.stack([drawn[picked[k], :, k].mean(axis=0) for k in range(n)])
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    what = f"seeds and {images}" if len(seeds) > 1 else images
    method = f"stratified percentile bootstrap over {what}, {n} resamples"
    return {
        metric: Interval(low=float(low[k]), high=float(high[k]), confidence=confidence, method=method)
        for k, metric in enumerate(METRICS)
    }


def _resampled(labels: npt.NDArray[np.int64], rows: int, rng: np.random.Generator) -> _Weights:
    """How often each image was drawn, `(rows, N)`, as many of each class as there are."""
    weights = np.empty((rows, len(labels)), np.int64)
    for label in (0, 1):
        members = np.flatnonzero(labels == label)
        weights[:, members] = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), rows)
    return weights


def _figures(build: Judged, weights: _Weights) -> _Figures:
    """Average precision, precision and recall of each row of weights, `(3, rows)`."""
    defects = weights * build.labels
    hits, alarms = defects[:, build.called].sum(axis=1), weights[:, build.called].sum(axis=1)
    total = build.labels.sum()
    return np.stack([_average_precision(build, weights, defects), hits / np.maximum(alarms, 1), hits / total])


def _average_precision(build: Judged, weights: _Weights, defects: _Weights) -> _Figures:
    """`sum (R_k - R_(k-1)) P_k` over the distinct scores, tied images together."""
    order = np.argsort(-build.logits, kind="stable")
    falling = build.logits[order]
    last_of_tie = np.append(np.flatnonzero(np.diff(falling)), len(falling) - 1)
    tp = np.cumsum(defects[:, order], axis=1)[:, last_of_tie]
    called = np.cumsum(weights[:, order], axis=1)[:, last_of_tie]
    gained = np.diff(tp, axis=1, prepend=0)
    return (gained * tp / np.maximum(called, 1)).sum(axis=1) / build.labels.sum()
