"""A curve's figures from finished builds: means with intervals, and paired differences between its points."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from calibration.curve import average_precision
from inspector.manifest import Interval
from trainer.curve.plan import LINES, Count, Line, count_of, line_of
from trainer.reproduce.cells import Result, Workshop
from trainer.reproduce.interval import Judged, of_difference, over_seeds
from trainer.reproduce.plan import Cell
from trainer.reproduce.summary import Build, judged

_FEWEST_DOUBLINGS = math.log2(1.5)


@dataclass(frozen=True, slots=True)
class Built:
    """A finished cell.

    Attributes:
        cell, result: what was planned and what is stored of it.
        judged: the images of the measured split.
        ap: average precision on them, 0..1.
    """

    cell: Cell
    result: Result
    judged: Judged
    ap: float


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a line: its builds, one a seed.

    Attributes:
        count: as planned.
        defects: real defects in training, the mean over seeds.
        mean, std: of average precision over seeds; no deviation with one seed.
        interval: of the mean.
        builds: by seed.
    """

    count: Count
    defects: float
    mean: float
    std: float | None
    interval: Interval
    builds: Mapping[int, Built]


@dataclass(frozen=True, slots=True)
class Change:
    """How much more average precision `after` has than `before`, over the `seeds` that both have.

    Attributes:
        before, after: the points.
        mean: of the difference, -1..1.
        interval: of that mean, both judged on the same images.
        seeds: how many.
    """

    before: Point
    after: Point
    mean: float
    interval: Interval
    seeds: int

    @property
    def distinguishable(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.interval.low > 0 or self.interval.high < 0

    @property
    def doublings(self) -> float:
        """How many times the real defects doubled."""
        return math.log2(self.after.defects / self.before.defects)


@dataclass(frozen=True, slots=True)
class Curve:
    """Everything measured.

    Attributes:
        points: of each line, by count, ascending; lines and counts without a finished build are missing.
        steps: of each line, from each point to the next.
        last: of each line, the change over the last doubling: between its two highest points that have 1.5 times as
            many defects or more between them.
        gains: by count, what synthetic defects changed.
    """

    points: Mapping[Line, Mapping[Count, Point]]
    steps: Mapping[Line, Sequence[Change]]
    last: Mapping[Line, Change]
    gains: Mapping[Count, Change]


def built(planned: Sequence[Cell], done: Mapping[str, Result], workshop: Workshop) -> list[Built]:
    """The finished cells with their figures, in the order of the plan.

    Raises:
        DataError: a stored score table is damaged.
    """
    found = []
    for cell in planned:
        if (result := done.get(cell.name)) is not None:
            images = judged(Build(result.metrics, result.threshold, workshop.scores(cell)), workshop.split)
            found.append(Built(cell, result, images, average_precision(images.labels, images.logits)))
    return found


def summarise(finished: Sequence[Built], images: str) -> Curve:
    """Means, intervals and differences.

    Args:
        finished: from `built`.
        images: what they were judged on, in words, for the intervals' `method`.
    """
    grouped: dict[Line, dict[Count, dict[int, Built]]] = {}
    for one in finished:
        counts = grouped.setdefault(line_of(one.cell), {})
        counts.setdefault(count_of(one.cell), {})[one.cell.seed] = one
    points = {
        line: {count: _point(count, grouped[line][count], images) for count in sorted(grouped[line], key=_order)}
        for line in LINES
        if line in grouped
    }
    steps = {line: _steps(list(points[line].values()), images) for line in points}
    pairs = {line: _last_doubling(list(points[line].values())) for line in points}
    last = {line: change for line, pair in pairs.items() if pair and (change := _change(*pair, images))}
    alone, beside = points.get("real", {}), points.get("synthetic", {})
    gains = {
        count: change for count in alone if count in beside and (change := _change(alone[count], beside[count], images))
    }
    return Curve(points, steps, last, gains)


def _order(count: Count) -> float:
    return math.inf if count == "all" else count


def _point(count: Count, builds: Mapping[int, Built], images: str) -> Point:
    values = [one.ap for one in builds.values()]
    return Point(
        count=count,
        defects=fmean(one.result.real or 0 for one in builds.values()),
        mean=fmean(values),
        std=stdev(values) if len(values) > 1 else None,
        interval=over_seeds([one.judged for one in builds.values()], images=images)["ap"],
        builds=builds,
    )


def _change(before: Point, after: Point, images: str) -> Change | None:
    """None without a common seed."""
    seeds = [seed for seed in before.builds if seed in after.builds]
    if not seeds:
        return None
    pairs = [(before.builds[seed], after.builds[seed]) for seed in seeds]
    interval = of_difference([one.judged for one, _ in pairs], [other.judged for _, other in pairs], images=images)
    return Change(before, after, fmean(other.ap - one.ap for one, other in pairs), interval["ap"], len(seeds))


def _steps(points: Sequence[Point], images: str) -> list[Change]:
    return [change for one, other in itertools.pairwise(points) if (change := _change(one, other, images))]


def _last_doubling(points: Sequence[Point]) -> tuple[Point, Point] | None:
    some = [point for point in points if point.defects > 0]
    if len(some) < 2:
        return None
    *lower, last = some
    far = [point for point in lower if math.log2(last.defects / point.defects) >= _FEWEST_DOUBLINGS]
    return (far[-1] if far else lower[0]), last
