"""The curve for programs: every build in `curve.csv`, and those with the points and differences in `curve.json`."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from inspector import atomic
from inspector.errors import SinkError
from trainer.curve.plan import count_of, line_of
from trainer.curve.summary import Built, Change, Curve
from trainer.stages import write_json

COLUMNS = (
    "cell",
    "real_defects_asked",
    "line",
    "augmentation",
    "generator",
    "seed",
    "real_defects",
    "synthetic_defects",
    "split",
    "ap",
    "good_images",
    "defect_images",
    "seconds",
    "finished",
)
"""Of `curve.csv`; `ap` is measured on `split`, which has so many good and defect images."""


def write(
    finished: Sequence[Built], curve: Curve, sentences: Sequence[str], settings: Mapping[str, Any], folder: Path
) -> list[Path]:
    """Write both files and return their paths.

    Args:
        finished: every finished build, in the order of the plan.
        curve: of them.
        sentences: what it says.
        settings: how it came about, JSON-serialisable; `split` among them.
        folder: where to.

    Raises:
        SinkError: the disk refuses.
    """
    records = [dict(zip(COLUMNS, _record(one, settings["split"]), strict=True)) for one in finished]
    table, document = folder / "curve.csv", folder / "curve.json"
    try:
        with atomic.replacing(table) as handle:
            writer = csv.DictWriter(handle, COLUMNS)
            writer.writeheader()
            writer.writerows(records)
    except OSError as error:
        raise SinkError(f"cannot write {table}: {error.strerror}; free some space and run again") from error
    write_json(
        document,
        {
            "settings": settings,
            "sentences": list(sentences),
            "points": [
                {
                    "line": line,
                    "real_defects_asked": point.count,
                    "real_defects": point.defects,
                    "ap": point.mean,
                    "std": point.std,
                    "interval": point.interval.model_dump(mode="json"),
                    "seeds": sorted(point.builds),
                }
                for line, points in curve.points.items()
                for point in points.values()
            ],
            "steps": {line: [_change(change) for change in changes] for line, changes in curve.steps.items()},
            "last_doubling": {line: _change(change) for line, change in curve.last.items()},
            "synthetic_gain": [_change(change) for change in curve.gains.values()],
            "cells": records,
        },
    )
    return [table, document]


def _record(one: Built, split: str) -> list[Any]:
    labels, result, augment = one.judged.labels, one.result, one.cell.recipe.augment
    defects = int(labels.sum())
    seconds = result.train_seconds + result.fine_tune_seconds + result.other_seconds
    generator = augment.generator if one.cell.generates else None
    first = [one.cell.name, count_of(one.cell), line_of(one.cell), one.cell.kind, generator, one.cell.seed]
    measured = [split, one.ap, len(labels) - defects, defects]
    return [*first, result.real, result.synthetic, *measured, round(seconds, 1), result.finished]


def _change(change: Change) -> dict[str, Any]:
    return {
        "before": change.before.defects,
        "after": change.after.defects,
        "difference": change.mean,
        "interval": change.interval.model_dump(mode="json"),
        "seeds": change.seeds,
        "distinguishable": change.distinguishable,
    }
