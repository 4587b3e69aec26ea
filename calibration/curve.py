"""Precision-recall curve, average precision, AUROC, and the counts at one threshold."""

from dataclasses import dataclass

import numpy.typing as npt

from calibration.binary import Scores, checked


@dataclass(frozen=True, slots=True, eq=False)
class PrCurve:
    """Precision and recall at each threshold, as scikit-learn's `precision_recall_curve` gives them.

    Attributes:
        precision, recall: `(M + 1,)`; the last point is (1, 0) by convention and has no threshold.
        thresholds: `(M,)` distinct scores, ascending; an image counts as defect at `score >= threshold`.
        average_precision: area under the step curve, `sum (R_k - R_(k-1)) P_k`, not interpolated.
    """

    precision: Scores
    recall: Scores
    thresholds: Scores
    average_precision: float


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Counts at `score >= threshold`; a ratio with nothing in its denominator is 0, as in scikit-learn."""

    threshold: float
    tp: int
    fp: int
    fn: int
    tn: int

    @property
    def precision(self) -> float:
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float:
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def fpr(self) -> float:
        return _ratio(self.fp, self.fp + self.tn)


def pr_curve(labels: npt.ArrayLike, scores: npt.ArrayLike) -> PrCurve:
    """The curve of `(N,)` labels (0/1) and scores; raises `DataError` as `binary.checked` does."""
    from sklearn.metrics import average_precision_score, precision_recall_curve

    y, s = checked(labels, scores)
    precision, recall, thresholds = precision_recall_curve(y, s)
    return PrCurve(precision, recall, thresholds, float(average_precision_score(y, s)))


def average_precision(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Average precision by scikit-learn; raises `DataError` as `binary.checked` does."""
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(*checked(labels, scores)))


def auroc(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Area under the ROC curve by scikit-learn; raises `DataError` as `binary.checked` does."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(*checked(labels, scores)))


def operating_point(labels: npt.ArrayLike, scores: npt.ArrayLike, threshold: float) -> OperatingPoint:
    """Count what `score >= threshold` calls; raises `DataError` as `binary.checked` does."""
    y, s = checked(labels, scores)
    called = s >= threshold
    tp, fp = int((called & (y == 1)).sum()), int((called & (y == 0)).sum())
    return OperatingPoint(threshold, tp, fp, int(y.sum()) - tp, int((y == 0).sum()) - fp)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
