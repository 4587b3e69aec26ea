"""The key figures, the confusion table and the sentences of the report, ready to be shown."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from calibration import clopper_pearson
from calibration.curve import OperatingPoint
from calibration.guarantee import sentence
from inspector.frames import VerdictKind
from inspector.manifest import Calibration, Interval
from trainer.report import ReportInputs, Scores
from trainer.report.charts import scorable
from trainer.report.numbers import count, percent, probability, share, span

_CONFIDENCE = 0.95
_NAMES = {
    "ap": "Average precision",
    "auroc": "AUROC",
    "recall": "Recall",
    "precision": "Precision",
    "fpr": "False-alarm rate",
    "f1": "F1",
}
_COLUMNS: tuple[tuple[VerdictKind, str], ...] = (
    ("ok", "judged ok"),
    ("review", "sent to review"),
    ("defect", "judged defect"),
    ("invalid", "not scorable"),
)


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure: its value, its interval and the counts behind it as text; empty where unknown."""

    name: str
    value: str
    interval: str
    counts: str


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of the confusion table: pictures, their share of the row, and `right`, `wrong` or `apart`."""

    pictures: str
    of_row: str
    kind: str


def measured(inputs: ReportInputs) -> dict[str, Figure]:
    """Figures of the split that the headline stands on: test, or validation where there is no test split."""
    if inputs.test is None:
        return calibrated(inputs.calibration)
    labels, probabilities = scorable(inputs.test)
    called = probabilities >= inputs.calibration.threshold
    hits, alarms, n_defect = int((called & (labels == 1)).sum()), int(called.sum()), int(labels.sum())
    n_ok = len(labels) - n_defect
    point = OperatingPoint(inputs.calibration.threshold, hits, alarms - hits, n_defect - hits, n_ok - (alarms - hits))
    exact = clopper_pearson.intervals(point, _CONFIDENCE)
    counts = {
        "recall": f"{count(hits)} of {count(n_defect)} defects",
        "precision": f"{count(hits)} of {count(alarms)} alarms",
        "fpr": f"{count(alarms - hits)} of {count(n_ok)} good parts",
    }
    figures = {}
    for key, name in _NAMES.items():
        low, high = inputs.metrics.get(f"{key}_low"), inputs.metrics.get(f"{key}_high")
        if low is None and key in exact:
            low, high = exact[key].low, exact[key].high
        style = _style(key)
        figures[key] = Figure(name, style(inputs.metrics.get(key)), span(low, high, style), counts.get(key, ""))
    return figures


def calibrated(calibration: Calibration) -> dict[str, Figure]:
    """Figures on the data that set the threshold."""
    return {
        key: Figure(name, _style(key)(calibration.metrics.get(key)), _interval(calibration.intervals, key), "")
        for key, name in _NAMES.items()
    }


def level(calibration: Calibration) -> str:
    """Confidence of the intervals on the calibration data, `95 %`."""
    confidence = next((found.confidence for found in calibration.intervals.values()), _CONFIDENCE)
    return f"{100 * confidence:g}\N{NO-BREAK SPACE}%"


def operating_point(calibration: Calibration) -> str:
    """What the threshold does, in one sentence."""
    threshold = probability(calibration.threshold)
    rule = f"A picture is judged a defect at a probability of {threshold} or more"
    if calibration.review_band is None:
        return f"{rule}."
    low, high = (probability(edge) for edge in calibration.review_band)
    return f"{rule}; between {low} and {high} a person reviews it."


def guarantee(calibration: Calibration) -> str:
    """What holds beyond the pictures at hand, in one sentence."""
    if calibration.guarantee is None:
        return f"The policy {calibration.policy} carries no guarantee: the intervals show what the data supports."
    return sentence(calibration.guarantee)


def confusion(scores: Scores) -> tuple[list[str], list[tuple[str, str, list[Cell]]]]:
    """Column titles, and `(truth, pictures, cells)` a row; review and not-scorable only where they occur."""
    verdicts, labels = np.asarray(scores.verdicts, dtype=object), np.asarray(scores.labels)
    columns = [(kind, title) for kind, title in _COLUMNS if kind in ("ok", "defect") or (verdicts == kind).any()]
    rows = []
    for label, truth, right in ((0, "good", "ok"), (1, "defect", "defect")):
        own = verdicts[labels == label]
        cells = []
        for kind, _ in columns:
            n = int((own == kind).sum())
            state = "apart" if kind in ("review", "invalid") or not n else "right" if kind == right else "wrong"
            cells.append(Cell(count(n), percent(n / len(own)) if len(own) else "", state))
        rows.append((truth, count(len(own)), cells))
    return [title for _, title in columns], rows


def _style(key: str) -> Callable[[float | None], str]:
    return percent if key in ("recall", "precision", "fpr") else share


def _interval(intervals: Mapping[str, Interval], key: str) -> str:
    found = intervals.get(key)
    return "" if found is None else span(found.low, found.high, _style(key))
