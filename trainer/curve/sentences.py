"""What a curve says, in plain sentences: what more real defects bought, and what synthetic ones did."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inspector.manifest import Interval
from trainer.curve.plan import LINES, Count, Line
from trainer.curve.summary import Change, Curve, Point
from trainer.report.numbers import MISSING, share

BESIDE: Mapping[Line, str] = {"real": "without synthetic defects", "synthetic": "with synthetic defects"}
"""How a sentence names a line."""

UNCLEAR = "not distinguishable from no change"
_MORE = 10
_ONE_DOUBLING = (0.85, 1.15)


@dataclass(frozen=True, slots=True)
class Pace:
    """What each doubling of the real defects brought, and what ten more would at that pace.

    Attributes:
        mean, low, high: of average precision, a doubling.
        more_mean, more_low, more_high: for ten more defects; never past an average precision of 1.
    """

    mean: float
    low: float
    high: float
    more_mean: float
    more_low: float
    more_high: float


def signed(value: float) -> str:
    """A difference of the 0..1 scale: `+0.031`, `−0.012`, `0.000`."""
    return "0.000" if abs(value) < 0.0005 else f"{value:+.3f}".replace("-", "−")


def span(interval: Interval | None) -> str:
    """An interval of average precision: `0.812 to 0.861`."""
    return MISSING if interval is None else f"{share(interval.low)} to {share(interval.high)}"


def signed_span(low: float, high: float) -> str:
    """An interval of a difference: `−0.004 to +0.061`."""
    return f"{signed(low)} to {signed(high)}"


def defects(point: Point) -> str:
    """Its number of real defects, as trained on: `20`, `19.5` where seeds differ."""
    return f"{point.defects:.1f}".removesuffix(".0")


def pace(change: Change) -> Pace:
    """The change a doubling, and its extrapolation: ten more defects are `log2((n + 10) / n)` doublings."""
    per = [value / change.doublings for value in (change.mean, change.interval.low, change.interval.high)]
    more = math.log2((change.after.defects + _MORE) / change.after.defects)
    room = 1.0 - change.after.mean
    return Pace(*per, *(min(value * more, room) for value in per))


def last_doubling(line: Line, curve: Curve) -> str:
    """What the last doubling of the real defects bought on one line."""
    change = curve.last.get(line)
    if change is None:
        return f"Two finished points above 0 real defects are needed to say what more of them bought {BESIDE[line]}."
    step = f"from {defects(change.before)} to {defects(change.after)}"
    once = _ONE_DOUBLING[0] <= change.doublings <= _ONE_DOUBLING[1]
    start = f"Doubling the real defects {step}" if once else f"Going {step} real defects"
    interval = f"95 % interval {signed_span(change.interval.low, change.interval.high)}"
    if not change.distinguishable:
        return f"{start} changed average precision by {signed(change.mean)} {BESIDE[line]} ({interval}): {UNCLEAR}."
    verb = "raised" if change.mean > 0 else "lowered"
    each = "" if once else f", {share(abs(pace(change).mean))} for each doubling"
    return f"{start} {verb} average precision by {share(abs(change.mean))} {BESIDE[line]} ({interval}){each}."


def ten_more(line: Line, curve: Curve) -> str:
    """What ten more real defects would buy on one line at the pace of the last doubling."""
    change = curve.last.get(line)
    if change is None:
        return ""
    if not change.distinguishable:
        return f"Whether ten more real defects would help {BESIDE[line]} cannot be told from these images."
    at = pace(change)
    first = change.after.defects
    step = f"{defects(change.after)} to {first + _MORE:.1f}".removesuffix(".0")
    return (
        f"At that pace, ten more real defects ({step}) would change it by about {signed(at.more_mean)} "
        f"{BESIDE[line]} ({signed_span(at.more_low, at.more_high)}); this is an extrapolation."
    )


def synthetic(curve: Curve) -> str:
    """At which numbers of real defects synthetic ones helped or hurt; empty where nothing can be compared."""
    told: dict[str, list[str]] = {"raised": [], "lowered": [], "did not distinguishably change": []}
    for change in curve.gains.values():
        verb = "did not distinguishably change"
        if change.distinguishable:
            verb = "raised" if change.mean > 0 else "lowered"
        told[verb].append(defects(change.before))
    parts = [f"{verb} it at {_listed(counts)}" for verb, counts in told.items() if counts]
    if not parts:
        return ""
    text = "; they ".join(parts).replace("it", "average precision", 1)
    return f"Synthetic defects {text} real defects."


def leading(curve: Curve) -> Line | None:
    """The line that is ahead at its most real defects; None without a point."""
    ends = {line: list(curve.points[line].values())[-1] for line in LINES if line in curve.points}
    return max(ends, key=lambda line: (ends[line].defects, ends[line].mean), default=None)


def all_of(curve: Curve) -> list[str]:
    """Every sentence in the order of reading: the line that is ahead comes first."""
    ahead = leading(curve)
    lines = sorted(curve.points, key=lambda line: line != ahead)
    told = [last_doubling(line, curve) for line in lines]
    told += [ten_more(ahead, curve) if ahead else "", synthetic(curve)]
    return [sentence for sentence in told if sentence]


def shown_count(count: Count, point: Point) -> str:
    """A count with what `all` stands for: `5`, `all (19)`."""
    return f"all ({defects(point)})" if count == "all" else str(count)


def _listed(counts: Sequence[str]) -> str:
    *first, last = counts
    return f"{', '.join(first)} and {last}" if first else last
