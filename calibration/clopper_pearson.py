"""Exact confidence limits of a binomial rate.

Source: Clopper and Pearson, The use of confidence or fiducial limits illustrated in the case of the binomial,
Biometrika 26, 1934.
"""

from calibration.curve import OperatingPoint
from inspector.manifest import Interval


def upper(hits: int, n: int, confidence: float) -> float:
    """One-sided upper limit of the rate behind `hits` of `n`; 1 where all hit or nothing was seen."""
    from scipy.special import betaincinv

    return 1.0 if hits >= n else float(betaincinv(hits + 1, n - hits, confidence))


def lower(hits: int, n: int, confidence: float) -> float:
    """One-sided lower limit of the rate behind `hits` of `n`; 0 where none hit."""
    return 1.0 - upper(n - hits, n, confidence)


def interval(hits: int, n: int, confidence: float) -> Interval:
    """Two-sided interval of the rate behind `hits` of `n`; [0, 1] where nothing was seen."""
    one_sided = (1 + confidence) / 2
    return Interval(
        low=lower(hits, n, one_sided), high=upper(hits, n, one_sided), confidence=confidence, method="Clopper-Pearson"
    )


def intervals(point: OperatingPoint, confidence: float) -> dict[str, Interval]:
    """Intervals of the rates at an operating point: `precision` (given the number of alarms), `recall`, `fpr`.

    Unlike a bootstrap they do not shrink to nothing where no error was seen.
    """
    return {
        "precision": interval(point.tp, point.tp + point.fp, confidence),
        "recall": interval(point.tp, point.tp + point.fn, confidence),
        "fpr": interval(point.fp, point.fp + point.tn, confidence),
    }
