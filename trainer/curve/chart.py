"""The curve as inline SVG in the page's own colours."""

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainer.curve.plan import Line
from trainer.curve.sentences import shown_count
from trainer.curve.summary import Curve, Point
from trainer.report.svg import ACCENT, MUTED, REVIEW, render

_COLOURS: Mapping[Line, str] = {"real": REVIEW, "synthetic": ACCENT}
_SHIFT: Mapping[Line, float] = {"real": -0.04, "synthetic": 0.04}  # of a doubling, so that bars do not hide each other
_MARGIN = 0.35
_LABELS_APART = 0.45


def draw(curve: Curve, labels: Mapping[Line, str], chance: float) -> str:
    """Average precision over real defects (a doubling is a step) with 95 % bars; each build is a small dot.

    Args:
        curve: with at least one point.
        labels: of the lines, for the legend.
        chance: average precision of random scores: the share of defects.
    """
    every = [point for points in curve.points.values() for point in points.values()]

    def fill(figure: Figure) -> None:
        axes = figure.add_subplot()
        for line, points in curve.points.items():
            _line(axes, list(points.values()), _SHIFT[line], _COLOURS[line], labels[line])
        low, high = (_position(end(point.defects for point in every)) for end in (min, max))
        axes.set_xlim(low - _MARGIN, high + _MARGIN)
        axes.axhline(chance, color=MUTED, linewidth=1.0, linestyle=(0, (2, 3)), label=f"random scores, {chance:.2f}")
        axes.set_xticks(*_ticks(every))
        axes.set_ylim(_floor([chance, *(point.interval.low for point in every), *_dots(every)]), 1.01)
        axes.set(xlabel="real defects in training, a doubling a step", ylabel="average precision")
        axes.grid(False, axis="x")
        axes.legend(loc="upper center", ncols=3, bbox_to_anchor=(0.5, 1.12), labelcolor=MUTED)

    return render(fill, "Average precision over real defects in training", width=11.4, height=4.8)


def _line(axes: Axes, points: Sequence[Point], shift: float, colour: str, label: str) -> None:
    at = [_position(point.defects) + shift for point in points]
    means = [point.mean for point in points]
    bars = [
        [max(0.0, mean - point.interval.low) for mean, point in zip(means, points, strict=True)],
        [max(0.0, point.interval.high - mean) for mean, point in zip(means, points, strict=True)],
    ]
    first = 1 if points[0].defects == 0 else 0  # 0 has no place on a scale of doublings
    axes.plot(at[: first + 1], means[: first + 1], color=colour, linewidth=1.2, linestyle=(0, (1, 2)))
    axes.plot(at[first:], means[first:], color=colour)
    axes.errorbar(at, means, bars, fmt="o", color=colour, markersize=6, elinewidth=1.4, capsize=3.5, label=label)
    for x, point in zip(at, points, strict=True):
        seeds = [one.ap for one in point.builds.values()]
        if len(seeds) > 1:
            axes.plot([x + shift] * len(seeds), seeds, ".", color=colour, markersize=4, alpha=0.55)


def _position(defects: float) -> float:
    """On the axis: doublings above one defect; none at all is one step below."""
    return math.log2(defects) if defects > 0 else -1.0


def _ticks(points: Sequence[Point]) -> tuple[list[float], list[str]]:
    """Positions and labels from the right, so that `all` always has its own; those without room are left out."""
    labels = {_position(point.defects): shown_count(point.count, point) for point in points}
    chosen: list[float] = []
    for at in sorted(labels, reverse=True):
        if not chosen or chosen[-1] - at >= _LABELS_APART:
            chosen.append(at)
    return chosen, [labels[at] for at in chosen]


def _dots(points: Sequence[Point]) -> list[float]:
    return [one.ap for point in points for one in point.builds.values()]


def _floor(values: Sequence[float]) -> float:
    """The lower end of the axis, a multiple of 0.1 below them all."""
    return max(0.0, math.floor((min(values) - 0.02) * 10) / 10)
