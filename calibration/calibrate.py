"""From labelled logits to the operating point a bundle carries."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeGuard

import numpy.typing as npt

from calibration import bootstrap, clopper_pearson
from calibration.binary import Labels, Scores, checked
from calibration.curve import OperatingPoint, auroc, average_precision, operating_point
from calibration.guarantee import guaranteed
from calibration.policies import FprAtMost, Policy, RecallAtLeast, parse
from calibration.review_band import Review, band
from calibration.scaling import IDENTITY, Scaling, fit, reliability
from inspector.decision import probability_of
from inspector.errors import DataError
from inspector.manifest import Calibration


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationResult:
    """An operating point and the scores it came from, in the order given; all arrays `(N,)`."""

    calibration: Calibration
    labels: Labels
    logits: Scores
    probabilities: Scores
    point: OperatingPoint


def calibrate(
    labels: npt.ArrayLike,
    logits: npt.ArrayLike,
    policy: str = "max-f1",
    confidence: float = 0.95,
    *,
    guarantee: bool = True,
    review: Review | None = None,
    defects: Literal["real", "synthetic"] = "real",
    compared: int = 1,
    source: str = "",
    seed: int = 0,
) -> CalibrationResult:
    """Scale the logits to probabilities, then choose the threshold.

    Args:
        labels: `(N,)`, 0 good, 1 defect.
        logits: `(N,)`, the model's raw output.
        policy: see `calibration.policies.parse`.
        confidence: of the intervals and of the guarantee, in (0, 1).
        guarantee: recall and FPR policies hold on new images with probability `confidence`, or are refused; False
            takes the threshold that meets the level on these images and promises nothing. Synthetic defects prove
            nothing of real ones: a recall policy then promises nothing either.
        review: share of images to send to review, or the band `(low, high)` itself; see `review_band.band`.
        defects: `synthetic` where no real defect was at hand.
        compared: networks that were compared on these images before this one was chosen; the guarantee allows for it.
        source: where the scores came from, for people.
        seed: of the bootstrap.

    Returns:
        The calibration with metrics (`ap`, `auroc`, `precision`, `recall`, `f1`, `fpr`, `tp`, `fp`, `fn`, `tn`,
        `nll`, `brier`, `ece`, the last three also with `_before`: temperature 1, bias 0; and `review_share`) and
        intervals (`ap`, `f1` by bootstrap; `precision`, `recall`, `fpr` exact). All are measured on the images that
        chose the threshold, so they flatter a little; the guarantee does not.

    Raises:
        RecipeError: the policy is not understood.
        DataError: a class is missing, a logit is not finite, or the images cannot support the policy.
    """
    rule = parse(policy)
    if not 0 < confidence < 1:
        raise DataError(f"confidence {confidence:g} is not between 0 and 1: give for example 0.95")
    y, x = checked(labels, logits)
    scaling = fit(y, x)
    p = probability_of(x, scaling.temperature, scaling.bias)
    if guarantee and provable(rule, defects):
        threshold, promise = guaranteed(rule, y, p, confidence, compared)
    else:
        threshold, promise = rule.choose(y, p), None
    point = operating_point(y, p, threshold)
    review_band = band(p, threshold, review) if review is not None else None
    metrics = {"ap": average_precision(y, x), "auroc": auroc(y, x)} | _at(point) | _reliability(y, x, scaling)
    if review_band is not None:
        metrics["review_share"] = float(((p >= review_band[0]) & (p <= review_band[1])).mean())
    intervals = {
        "ap": bootstrap.average_precision(y, x, confidence, seed=seed),
        "f1": bootstrap.at_threshold(y, p, threshold, confidence, seed=seed)["f1"],
    }
    calibration = Calibration(
        policy=str(rule),
        threshold=threshold,
        temperature=scaling.temperature,
        bias=scaling.bias,
        review_band=review_band,
        n_defect=point.tp + point.fn,
        n_ok=point.fp + point.tn,
        defects=defects,
        compared=compared,
        source=source,
        metrics=metrics,
        intervals=intervals | clopper_pearson.intervals(point, confidence),
        guarantee=promise,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    return CalibrationResult(calibration, y, x, p, point)


def provable(rule: Policy, defects: Literal["real", "synthetic"]) -> TypeGuard[RecallAtLeast | FprAtMost]:
    """Whether a policy carries a guarantee: FPR always, recall where the defects are real."""
    return isinstance(rule, FprAtMost) or (isinstance(rule, RecallAtLeast) and defects == "real")


def _at(point: OperatingPoint) -> dict[str, float]:
    rates = {"precision": point.precision, "recall": point.recall, "f1": point.f1, "fpr": point.fpr}
    return rates | {"tp": point.tp, "fp": point.fp, "fn": point.fn, "tn": point.tn}


def _reliability(labels: Labels, logits: Scores, scaling: Scaling) -> dict[str, float]:
    figures: dict[str, float] = {}
    for suffix, chosen in (("_before", IDENTITY), ("", scaling)):
        measured = reliability(labels, chosen.scaled(logits))
        figures |= {f"nll{suffix}": measured.nll, f"brier{suffix}": measured.brier, f"ece{suffix}": measured.ece}
    return figures
