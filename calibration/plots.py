"""Pictures of an operating point, as PNG bytes: precision-recall curve, score histogram, reliability diagram.

Each takes the `(N,)` labels (0/1) and raw logits of the images to show and the calibration to show them under, so the
same pictures serve the calibration images and a test split. Blue is good, hatched orange is defect: told apart in
any colour vision and in grey (palette of Okabe and Ito, 2008).
"""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration import bootstrap, clopper_pearson
from calibration.binary import Labels, Scores, checked
from calibration.curve import operating_point, pr_curve
from calibration.guarantee import sentence
from calibration.scaling import IDENTITY, Scaling, reliability
from inspector.decision import probability_of
from inspector.manifest import Calibration

_BLUE, _ORANGE, _GREEN, _INK, _PALE = "#0072B2", "#D55E00", "#009E73", "#222222", "#8A8A8A"
_CONFIDENCE = 0.95
# Log-odds shown; what lies beyond is counted at the edge.
_EDGE = 9.0
_TICKS = (0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999)
_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _PALE,
    "axes.labelcolor": _INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "legend.edgecolor": "none",
    "legend.framealpha": 0.9,
    "legend.fontsize": 9,
}
Panel = Callable[[Any, Labels, Scores, Calibration], None]


def precision_recall_png(labels: npt.ArrayLike, logits: npt.ArrayLike, calibration: Calibration) -> bytes:
    """The curve with its bootstrap band, and the operating point with its exact intervals."""
    return _png([_precision_recall], labels, logits, calibration)


def histogram_png(labels: npt.ArrayLike, logits: npt.ArrayLike, calibration: Calibration) -> bytes:
    """Good and defect images by calibrated probability (on a log-odds axis), threshold and review band."""
    return _png([_histogram], labels, logits, calibration)


def reliability_png(labels: npt.ArrayLike, logits: npt.ArrayLike, calibration: Calibration) -> bytes:
    """Share of defects against predicted probability, before and after scaling, in bins of equal numbers."""
    return _png([_reliability], labels, logits, calibration)


def overview_png(labels: npt.ArrayLike, logits: npt.ArrayLike, calibration: Calibration) -> bytes:
    """The three pictures side by side under a line that says what was asked and what is promised."""
    promise = sentence(calibration.guarantee) if calibration.guarantee else "No guarantee beyond these images."
    support = f"{calibration.n_defect} defects and {calibration.n_ok} good images"
    if calibration.defects == "synthetic":
        support = f"{calibration.n_defect} synthetic defects and {calibration.n_ok} good images"
    title = f"{calibration.policy}: threshold {calibration.threshold:.4f} from {support}"
    return _png([_precision_recall, _histogram, _reliability], labels, logits, calibration, (title, promise))


def _png(
    panels: list[Panel],
    labels: npt.ArrayLike,
    logits: npt.ArrayLike,
    calibration: Calibration,
    heading: tuple[str, str] | None = None,
) -> bytes:
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    y, x = checked(labels, logits)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(5.4 * len(panels), 4.6 + 0.6 * bool(heading)), dpi=110, layout="constrained")
        FigureCanvasAgg(figure)
        for panel, axes in zip(panels, figure.subplots(1, len(panels), squeeze=False)[0], strict=True):
            panel(axes, y, x, calibration)
        if heading:
            figure.suptitle(f"{heading[0]}\n", x=0.01, ha="left", fontsize=14, fontweight="bold", color=_INK)
            figure.text(0.0105, 0.922, heading[1], ha="left", va="center", fontsize=10, color=_INK)
        out = io.BytesIO()
        figure.savefig(out, format="png")
    return out.getvalue()


def _precision_recall(axes: Any, y: Labels, x: Scores, calibration: Calibration) -> None:
    curve, found = pr_curve(y, x), bootstrap.average_precision(y, x)
    grid = np.linspace(0.005, 1, 200)
    low, high = bootstrap.precision_band(y, x, grid)
    axes.fill_between(grid, low, high, color=_BLUE, alpha=0.15, linewidth=0, label="95 % bootstrap band")
    area = f"AP {curve.average_precision:.3f}  [{found.low:.3f}, {found.high:.3f}]"
    axes.plot(curve.recall, curve.precision, drawstyle="steps-post", color=_BLUE, linewidth=2, label=area)
    share = float(y.mean())
    axes.axhline(share, color=_PALE, linestyle=":", linewidth=1.2, label=f"share of defects {share:.3f}")
    point = operating_point(y, _probabilities(x, calibration), calibration.threshold)
    exact = clopper_pearson.intervals(point, _CONFIDENCE)
    axes.errorbar(
        point.recall,
        point.precision,
        xerr=_whiskers(point.recall, exact["recall"].low, exact["recall"].high),
        yerr=_whiskers(point.precision, exact["precision"].low, exact["precision"].high),
        fmt="o",
        color=_ORANGE,
        markersize=8,
        markeredgecolor="white",
        elinewidth=1.3,
        capsize=3,
        zorder=5,
        clip_on=False,
        label=f"threshold: recall {point.recall:.3f}, precision {point.precision:.3f}",
    )
    axes.set(xlim=(0, 1.02), ylim=(0, 1.03), xlabel="recall", ylabel="precision", title="Precision and recall")
    axes.legend(loc="lower left")


def _histogram(axes: Any, y: Labels, x: Scores, calibration: Calibration) -> None:
    shown = np.clip(_scaling(calibration).scaled(x), -_EDGE, _EDGE)
    bins = np.linspace(-_EDGE, _EDGE, 46)
    if calibration.review_band is not None:
        low, high = (_position(end) for end in calibration.review_band)
        axes.axvspan(low, high, color=_GREEN, alpha=0.18, linewidth=0, label="review band")
    for label, name, colour in ((0, "good", _BLUE), (1, "defect", _ORANGE)):
        values = shown[y == label]
        style = {"facecolor": (colour, 0.35), "edgecolor": colour, "linewidth": 1.6, "hatch": "///" * label}
        axes.hist(values, bins, histtype="stepfilled", label=f"{name} ({len(values)})", **style)
    threshold = _position(calibration.threshold)
    axes.axvline(threshold, color=_INK, linewidth=1.6, linestyle="--", label=f"threshold {calibration.threshold:.4f}")
    axes.set_yscale("log")
    axes.set_ylim(bottom=0.7, top=axes.get_ylim()[1] * 6)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xticks([_position(tick) for tick in _TICKS], [f"{tick:g}" for tick in _TICKS])
    axes.set(
        xlim=(-_EDGE, _EDGE),
        xlabel="probability of a defect (log-odds axis, ends hold the rest)",
        ylabel="images (log axis)",
    )
    axes.set_title("Scores by class")
    axes.legend(loc="upper center", ncols=2)


def _reliability(axes: Any, y: Labels, x: Scores, calibration: Calibration) -> None:
    axes.plot([0, 1], [0, 1], color=_PALE, linestyle=":", linewidth=1.2, label="perfect")
    for name, scaling, colour, marker in (
        ("before", IDENTITY, _ORANGE, "s"),
        ("after", _scaling(calibration), _BLUE, "o"),
    ):
        measured = reliability(y, scaling.scaled(x))
        hits = np.rint(measured.observed * measured.size).astype(int)
        ends = [clopper_pearson.interval(int(k), int(n), _CONFIDENCE) for k, n in zip(hits, measured.size, strict=True)]
        spread = [
            measured.observed - [end.low for end in ends],
            [end.high for end in ends] - measured.observed,
        ]
        axes.errorbar(
            measured.predicted,
            measured.observed,
            yerr=np.maximum(spread, 0),
            fmt=f"{marker}-",
            color=colour,
            markerfacecolor=colour if name == "after" else "white",
            markersize=6,
            linewidth=1.5,
            elinewidth=0.9,
            alpha=0.95,
            label=f"{name}: ECE {measured.ece:.3f}, Brier {measured.brier:.3f}",
        )
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="predicted probability", ylabel="share of defects")
    axes.set_title("Reliability")
    axes.legend(loc="upper left")


def _scaling(calibration: Calibration) -> Scaling:
    return Scaling(calibration.temperature, calibration.bias)


def _probabilities(logits: Scores, calibration: Calibration) -> Scores:
    return probability_of(logits, calibration.temperature, calibration.bias)


def _position(probability: float) -> float:
    inner = min(max(probability, 1e-12), 1 - 1e-12)
    return float(np.clip(np.log(inner / (1 - inner)), -_EDGE, _EDGE))


def _whiskers(value: float, low: float, high: float) -> list[list[float]]:
    return [[max(value - low, 0.0)], [max(high - value, 0.0)]]
