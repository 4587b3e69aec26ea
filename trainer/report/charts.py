"""The report's charts as inline SVG whose colours are the page's own, so they follow light, dark and print."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from calibration import clopper_pearson
from calibration.curve import operating_point, pr_curve
from calibration.scaling import IDENTITY, Scaling
from calibration.scaling import reliability as measure
from inspector.manifest import Calibration
from trainer.report import Scores
from trainer.report.svg import ACCENT, DEFECT, GOOD, INK, MUTED, REVIEW, RULE, render

_LOWEST = 1e-4  # probabilities beyond are drawn at the edge of the log-odds axis


def loss_curve(history: Sequence[Mapping[str, float]]) -> str:
    """Training loss by epoch; empty text where no epoch has one."""
    return _by_epoch(history, "loss", "training loss", MUTED, best=None)


def validation_curve(history: Sequence[Mapping[str, float]]) -> str:
    """Validation average precision by epoch with the best epoch marked; empty text where no epoch has one."""
    return _by_epoch(history, "val_ap", "average precision (validation)", ACCENT, best=np.argmax)


def precision_recall(validation: Scores, test: Scores | None, threshold: float) -> str:
    """Precision over recall of both splits, each with its operating point; empty where no split has both classes."""
    curves = []
    for name, scores, colour, dashes in (
        ("validation", validation, MUTED, (0, (4, 2))),
        ("test", test, ACCENT, "solid"),
    ):
        labels, probabilities = scorable(scores)
        if 0 < labels.sum() < len(labels):
            curves.append((name, labels, probabilities, colour, dashes))
    if not curves:
        return ""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for name, labels, probabilities, colour, dashes in curves:
            curve = pr_curve(labels, probabilities)
            label = f"{name}, AP {curve.average_precision:.3f}"
            style: Any = {"color": colour, "linestyle": dashes, "label": label, "clip_on": False}
            axes.step(curve.recall, curve.precision, where="post", **style)
            point = operating_point(labels, probabilities, threshold)
            if point.tp + point.fp:
                axes.plot(point.recall, point.precision, "o", color=colour, markersize=7, clip_on=False)
        axes.plot([], [], "o", color=MUTED, label="operating point")
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
        axes.legend(loc="lower left", labelcolor=MUTED)

    return render(draw, "Precision over recall")


def histogram(scores: Scores, calibration: Calibration) -> str:
    """Share of good and of defective pictures by probability, on a log-odds axis, every picture a tick.

    The threshold is a line, the review band a strip; empty text where nothing could be scored.
    """
    labels, probabilities = scorable(scores)
    if not len(labels):
        return ""
    position = _log_odds(probabilities)

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        edges = np.linspace(_log_odds(_LOWEST), _log_odds(1 - _LOWEST), 37)
        highest = 0.0
        for label, name, colour in ((0, "good", GOOD), (1, "defect", DEFECT)):
            own = position[labels == label]
            if len(own):
                heights = 100 * np.histogram(own, edges)[0] / len(own)
                highest = max(highest, float(heights.max()))
                axes.stairs(
                    heights, edges, fill=True, color=colour, alpha=0.45, linewidth=0, label=f"{name} ({len(own)})"
                )
        tick = 0.035 * highest
        for label, colour, base in ((1, DEFECT, -1.6 * tick), (0, GOOD, -3.2 * tick)):
            own = np.unique(np.round(position[labels == label], 2))
            # one line broken by NaN: a single SVG path however many pictures
            x = np.column_stack([own, own, np.full_like(own, np.nan)]).ravel()
            y = np.tile([base, base + tick, np.nan], len(own))
            axes.plot(x, y, color=colour, linewidth=0.9, solid_capstyle="butt")
        if calibration.review_band is not None:
            low, high = _log_odds(np.asarray(calibration.review_band))
            axes.axvspan(low, high, color=REVIEW, alpha=0.18, linewidth=0, label="review band")
        axes.axvline(_log_odds(calibration.threshold), color=INK, linewidth=1.3, label="threshold")
        marks = np.array([1e-4, 1e-3, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999])
        axes.xaxis.set_major_locator(FixedLocator(list(_log_odds(marks))))
        axes.set_xticks(list(_log_odds(marks)), ["≤0.0001", *(f"{mark:g}" for mark in marks[1:-1]), "≥0.9999"])
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g} %" if y >= 0 else ""))
        axes.set(
            xlim=(edges[0] - 0.25, edges[-1] + 0.25),
            ylim=(-3.8 * tick, 1.08 * highest),
            xlabel="probability of a defect",
            ylabel="share of its class",
        )
        axes.grid(False, axis="x")
        axes.legend(loc="upper center", ncols=4, bbox_to_anchor=(0.5, 1.13), labelcolor=MUTED, handlelength=1.4)

    return render(draw, "Scores of good and defective pictures with the threshold", width=11.4, height=3.7)


def reliability(scores: Scores, calibration: Calibration) -> str:
    """Observed share of defects over predicted probability before and after scaling, with 95 % exact intervals.

    Empty where the split lacks a class.
    """
    labels, _ = scorable(scores)
    if not 0 < labels.sum() < len(labels):
        return ""
    logits = np.asarray(scores.logits)[_usable(scores)]
    fitted = Scaling(calibration.temperature, calibration.bias)
    series: list[tuple[str, Scaling, str, Any]] = [("as reported", fitted, ACCENT, "-")]
    if fitted != IDENTITY:
        series.insert(0, ("before scaling", IDENTITY, MUTED, (0, (4, 2))))

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color=RULE, linewidth=1.2)
        for name, scaling, colour, dashes in series:
            found = measure(labels, scaling.scaled(logits))
            label = f"{name}, calibration error {found.ece:.3f}"
            style: Any = {"color": colour, "linestyle": dashes, "linewidth": 1.4, "clip_on": False}
            axes.plot(found.predicted, found.observed, "o", **style, markersize=5, label=label)
            if scaling is fitted:
                hits = np.rint(found.observed * found.size).astype(int)
                ends = [clopper_pearson.interval(int(k), int(n), 0.95) for k, n in zip(hits, found.size, strict=True)]
                axes.vlines(
                    found.predicted, [end.low for end in ends], [end.high for end in ends], colour, linewidth=0.9
                )
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="predicted probability", ylabel="observed share of defects")
        axes.legend(loc="upper left", labelcolor=MUTED)

    return render(draw, "Reliability of the probabilities")


def scorable(scores: Scores | None) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Labels and probabilities of the pictures that have a finite score; empty for None."""
    if scores is None:
        return np.zeros(0, np.int64), np.zeros(0)
    usable = _usable(scores)
    return np.asarray(scores.labels)[usable], np.asarray(scores.probabilities)[usable]


def _usable(scores: Scores) -> npt.NDArray[np.bool_]:
    return np.isfinite(scores.probabilities) & np.isfinite(scores.logits)


def _log_odds(probability: Any) -> Any:
    clipped = np.clip(probability, _LOWEST, 1 - _LOWEST)
    return np.log(clipped / (1 - clipped))


def _by_epoch(
    history: Sequence[Mapping[str, float]],
    key: str,
    title: str,
    colour: str,
    best: Callable[[npt.NDArray[np.float64]], Any] | None,
) -> str:
    rows = [(row["epoch"], row[key]) for row in history if np.isfinite(row.get(key, np.nan))]
    if not rows:
        return ""
    epochs, values = np.array(rows, dtype=float).T

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.plot(epochs, values, color=colour, marker="o" if len(rows) < 25 else "", markersize=4, clip_on=False)
        if best is not None:
            at = int(best(values))
            axes.plot(epochs[at], values[at], "o", color=colour, markersize=8, clip_on=False)
            label = f"best {values[at]:.3f} at epoch {epochs[at]:g}"
            axes.text(0.98, 0.06, label, transform=axes.transAxes, ha="right", color=INK)
        single = 1 if len(rows) == 1 else 0
        axes.set_xlim(epochs[0] - single, epochs[-1] + single)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("epoch")

    return render(draw, f"{title} by epoch")
