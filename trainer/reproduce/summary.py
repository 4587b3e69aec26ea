"""Our figures for the rows of a table: mean and standard deviation over seeds, with an interval."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev

import numpy as np

from calibration import table as csv_table
from inspector.errors import DataError
from inspector.manifest import Interval
from trainer.reproduce.cells import Measured
from trainer.reproduce.interval import Judged, over_seeds
from trainer.reproduce.tables import METRICS, Figure, Metric, Row, Table


@dataclass(frozen=True, slots=True)
class Build:
    """A finished build of a row, for one seed: its metrics, the threshold they hold at, and its score table."""

    metrics: Mapping[str, float]
    threshold: float
    scores: Path


@dataclass(frozen=True, slots=True)
class OurRow:
    """A published row and ours.

    Attributes:
        published: the paper's.
        ours: by metric; empty where no seed is finished or the paper only quotes the row.
        intervals: of our means; empty for averages, as in the paper.
        seeds: finished ones; of an average, of its row with the fewest.
    """

    published: Row
    ours: Mapping[Metric, Figure] = field(default_factory=dict)
    intervals: Mapping[Metric, Interval] = field(default_factory=dict)
    seeds: int = 0


def summarise(table: Table, builds: Mapping[tuple[str, int], Sequence[Build]]) -> list[OurRow]:
    """Fill a table's rows.

    Args:
        table: one of the paper's.
        builds: `(kind, n)` -> finished builds, one a seed.

    Raises:
        DataError: a stored score table is damaged.
    """
    filled: dict[int, OurRow] = {}
    for number, row in enumerate(table.rows):
        if row.kind is not None and row.n is not None:
            filled[number] = _row(row, builds.get((row.kind, row.n), ()))
    for number, row in enumerate(table.rows):
        if row.kind is not None and row.n is None:
            filled[number] = _average(row, [filled[table.rows.index(member)] for member in table.averaged(row)])
    return [filled.get(number, OurRow(row)) for number, row in enumerate(table.rows)]


def _row(row: Row, builds: Sequence[Build]) -> OurRow:
    if not builds:
        return OurRow(row)
    ours = {}
    for metric in METRICS:
        values = [build.metrics[metric] for build in builds]
        ours[metric] = Figure(fmean(values), stdev(values) if len(values) > 1 else None)
    return OurRow(row, ours, over_seeds([judged(build) for build in builds]), len(builds))


def _average(row: Row, members: Sequence[OurRow]) -> OurRow:
    """The paper's average: of the means, and of the standard deviations; only once every row has a figure."""
    if not all(member.ours for member in members):
        return OurRow(row)
    ours = {}
    for metric in METRICS:
        deviations = [member.ours[metric].std for member in members]
        known = [deviation for deviation in deviations if deviation is not None]
        means = [member.ours[metric].mean or 0.0 for member in members]
        ours[metric] = Figure(fmean(means), fmean(known) if len(known) == len(members) else None)
    return OurRow(row, ours, seeds=min(member.seeds for member in members))


def judged(build: Build, split: Measured = "test") -> Judged:
    """A build's rows of one split in its score table, by path.

    Raises:
        DataError: the file is missing or damaged.
    """
    _, rows = csv_table.read(build.scores)
    try:
        entries = sorted(
            (row["path"], int(row["label"]), float(row["logit"]), float(row["probability"]))
            for _, row in rows
            if row["split"] == split
        )
    except (KeyError, ValueError) as error:
        raise DataError(f"{build.scores} is damaged ({error}): delete its folder and run again") from None
    if {label for _, label, _, _ in entries} != {0, 1}:
        raise DataError(f"{build.scores} lacks {split} images of either kind: delete its folder and run again")
    paths, labels, logits, probabilities = zip(*entries, strict=True)
    return Judged(
        paths=paths,
        labels=np.array(labels, dtype=np.int64),
        logits=np.array(logits, dtype=np.float64),
        called=np.array(probabilities) >= build.threshold,
    )
