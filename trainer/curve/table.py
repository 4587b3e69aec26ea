"""The curve as a table of texts, for the page and for a terminal."""

from dataclasses import dataclass

import rich.box
import rich.table

from trainer.curve.plan import Line
from trainer.curve.sentences import defects, shown_count, signed, signed_span, span
from trainer.curve.summary import Change, Curve, Point
from trainer.report.numbers import MISSING, share


@dataclass(frozen=True, slots=True)
class Difference:
    """A paired difference as text; its kind is `better` or `worse` where it is distinguishable from 0, else empty."""

    value: str
    interval: str
    distinguishable: str
    kind: str


@dataclass(frozen=True, slots=True)
class Row:
    """One number of real defects: both lines, what synthetic defects changed, and the seeds behind both lines."""

    count: str
    real: tuple[str, str]
    synthetic: tuple[str, str]
    gain: Difference
    seeds: str


def rows(curve: Curve) -> list[Row]:
    """A row a count."""
    alone, beside = curve.points.get("real", {}), curve.points.get("synthetic", {})
    counts = [*beside, *(count for count in alone if count not in beside)]
    counts.sort(key=lambda count: float("inf") if count == "all" else count)
    found = []
    for count in counts:
        one, other = alone.get(count), beside.get(count)
        known = one or other
        assert known is not None  # the count comes from one of the two
        lines = [points.get(count) for points in curve.points.values()]
        seeds = [MISSING if point is None else str(len(point.builds)) for point in lines]
        both = seeds[0] if len(set(seeds)) == 1 else " / ".join(seeds)
        gain = difference(curve.gains.get(count))
        found.append(Row(shown_count(count, known), _figure(one), _figure(other), gain, both))
    return found


def steps(line: Line, curve: Curve) -> list[tuple[str, Difference]]:
    """What each step to more real defects changed on a line."""
    return [
        (f"{defects(change.before)} to {defects(change.after)}", difference(change))
        for change in curve.steps.get(line, ())
    ]


def difference(change: Change | None) -> Difference:
    """A change as text; dashes for None."""
    if change is None:
        return Difference(MISSING, "", "", "")
    kind = ("better" if change.mean > 0 else "worse") if change.distinguishable else ""
    interval = signed_span(change.interval.low, change.interval.high)
    return Difference(signed(change.mean), interval, "yes" if kind else "no", kind)


def in_terminal(curve: Curve, title: str, synthetic: str) -> rich.table.Table:
    """For a terminal: intervals beside the figures.

    Args:
        curve: with at least one point.
        title: above the table.
        synthetic: names the augmentation.
    """
    shown = rich.table.Table(title=title, title_justify="left", box=rich.box.SIMPLE_HEAD)
    shown.add_column("real\ndefects", justify="right")
    both = "synthetic" in curve.points
    names = ["real alone\nAP", *([f"with {synthetic}\nAP", "difference\n"] if both else [])]
    for name in names:
        shown.add_column(name, justify="right", style="bold", no_wrap=True)
        shown.add_column("\n95 % interval", justify="right", no_wrap=True)
    shown.add_column("seeds", justify="right", no_wrap=True)
    for row in rows(curve):
        texts = [*row.real, *((*row.synthetic, row.gain.value, row.gain.interval) if both else ())]
        shown.add_row(row.count, *texts, row.seeds)
    return shown


def _figure(point: Point | None) -> tuple[str, str]:
    return (MISSING, "") if point is None else (share(point.mean), span(point.interval))
