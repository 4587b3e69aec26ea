"""Finite-sample guarantees for recall and false-positive rate, valid for a threshold chosen on the same images.

Why the plain binomial limit holds although the data choose the threshold: with `n` defects, let the threshold be
at or below the (k + 1)-th smallest of their scores. The share of new defects below that order statistic is
distributed as Beta(k + 1, n - k), whatever the scores' distribution (ties only lower it). So

    P(miss rate <= a) >= P(Beta(k + 1, n - k) <= a) = P(Binomial(n, a) > k),

and the guarantee `miss rate <= a with probability >= confidence` holds exactly where
`P(Binomial(n, a) <= k) <= 1 - confidence`, which is where the one-sided Clopper-Pearson limit for k errors of n is
at most `a`. `k` follows from n, a and the confidence alone, before any score is seen. False alarms on good images
are the same statement with the scores' sign turned.

What it rests on: new images are drawn like the calibration images (same part, light, camera, kinds of defect), and
near-duplicates of one part count as one. It says nothing of defects unlike any seen. Scaling the logits, fitted on the
same images, changes no order and therefore nothing here.

Sources: Clopper and Pearson, Biometrika 26, 1934; Vovk, Conditional validity of inductive conformal predictors,
ACML 2012 (the Beta law of the coverage); Angelopoulos, Bates et al., Learn then Test, 2021 (fixed-sequence testing
gives the same rule); Angelopoulos et al., Conformal Risk Control, ICLR 2024 (the bound in expectation).
"""

import math

import numpy as np
import numpy.typing as npt

from calibration.binary import checked
from calibration.policies import FprAtMost, RecallAtLeast
from inspector.errors import DataError
from inspector.manifest import Guarantee


def allowed_errors(n: int, rate: float, confidence: float) -> int | None:
    """The largest k with `P(Binomial(n, rate) <= k) <= 1 - confidence`; None where even k = 0 has no such proof.

    Args:
        n: images of the class.
        rate: error rate to stay under, in (0, 1).
        confidence: in (0, 1).
    """
    from scipy.special import bdtr

    tail = bdtr(np.arange(n), n, rate)
    return int(np.searchsorted(tail, 1 - confidence, side="right")) - 1 if n and tail[0] <= 1 - confidence else None


def needed(rate: float, confidence: float) -> int:
    """The fewest images with which an error rate under `rate` can be guaranteed: `(1 - rate)^n <= 1 - confidence`."""
    n = max(1, math.ceil(math.log(1 - confidence) / math.log1p(-rate)) - 1)
    while allowed_errors(n, rate, confidence) is None:
        n += 1
    return n


def supported(n: int, confidence: float) -> float:
    """The smallest error rate that `n` images, none of them wrong, can guarantee."""
    return 1 - (1 - confidence) ** (1 / n)


def errors_allowed(
    policy: RecallAtLeast | FprAtMost, labels: npt.ArrayLike, confidence: float, compared: int = 1
) -> int:
    """How many misses (or false alarms) on images with these `(N,)` labels (0/1) still prove `policy`.

    Args:
        policy, labels, confidence: see `guaranteed`.
        compared: networks that were compared on these images before one was chosen. Each is given its share of the
            risk, so that the promise holds for whichever it was (the union bound, as in Learn then Test).

    Raises:
        DataError: too few images for the level; the message says how many are needed and what these support.
    """
    n, rate = _size(policy, labels), _rate(policy)
    allowed = allowed_errors(n, rate, _each(confidence, compared)) if rate > 0 else None
    if allowed is None:
        raise DataError(_refusal(policy, n, rate, confidence, compared))
    return allowed


def guaranteed(
    policy: RecallAtLeast | FprAtMost,
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    confidence: float,
    compared: int = 1,
) -> tuple[float, Guarantee]:
    """The best threshold for which `policy` holds on new images with probability `confidence`.

    Args:
        policy: `recall>=r` takes the highest such threshold, `fpr<=f` the lowest.
        labels, probabilities: `(N,)`, labels 0/1.
        confidence: over the draw of the calibration images.
        compared: see `errors_allowed`.

    Raises:
        DataError: see `errors_allowed` and `calibration.binary.checked`.
    """
    y, p = checked(labels, probabilities)
    allowed, n = errors_allowed(policy, y, confidence, compared), _size(policy, y)
    among = f", for each of the {compared} networks compared on them" if compared > 1 else ""
    if isinstance(policy, RecallAtLeast):
        threshold = policy.with_misses(allowed, y, p)
        method = f"Clopper-Pearson on order statistics: {allowed} of the {n} defects may be missed{among}"
        return threshold, Guarantee(metric="recall", bound=policy.level, confidence=confidence, method=method)
    threshold = policy.with_alarms(allowed, y, p)
    method = f"Clopper-Pearson on order statistics: {allowed} of the {n} good images may raise an alarm{among}"
    return threshold, Guarantee(metric="fpr", bound=policy.level, confidence=confidence, method=method)


def _each(confidence: float, compared: int) -> float:
    """The confidence each of several networks needs so that all hold together with `confidence`."""
    return 1 - (1 - confidence) / compared


def _size(policy: RecallAtLeast | FprAtMost, labels: npt.ArrayLike) -> int:
    return int(np.sum(np.asarray(labels) == (1 if isinstance(policy, RecallAtLeast) else 0)))


def _rate(policy: RecallAtLeast | FprAtMost) -> float:
    return 1 - policy.level if isinstance(policy, RecallAtLeast) else policy.level


def sentence(guarantee: Guarantee) -> str:
    """The guarantee in plain words."""
    what = (
        f"at least {guarantee.bound:.4g} of new defects will be caught"
        if guarantee.metric == "recall"
        else f"at most {guarantee.bound:.4g} of new good images will raise an alarm"
    )
    condition = "if they come from the same process as the calibration images"
    return f"With confidence {guarantee.confidence:g}, {what}, {condition}. {guarantee.method}."


def _refusal(policy: RecallAtLeast | FprAtMost, n: int, rate: float, confidence: float, compared: int) -> str:
    recall = isinstance(policy, RecallAtLeast)
    kind = "defects" if recall else "good images"
    each = _each(confidence, compared)
    reach = supported(n, each)
    # rounded to the safe side, so that the level named here is one that is then accepted
    level = (
        f"recall>={math.floor((1 - reach) * 1e4 - 1e-6) / 1e4:g}"
        if recall
        else f"fpr<={math.ceil(reach * 1e4) / 1e4:g}"
    )
    need = f"{needed(rate, each)} {kind} are needed" if rate > 0 else f"no number of {kind} is enough"
    return (
        f"{policy} cannot be guaranteed with confidence {confidence:g}: {need}, there are {n}, which support {level} "
        "at best; ask for that, add images, or waive the guarantee (--no-guarantee)"
    )
