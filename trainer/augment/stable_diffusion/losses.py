"""The table of losses that fine-tuning leaves: both terms apart, so that prior preservation can be seen to happen."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Protocol

from inspector import atomic


@dataclass(frozen=True, slots=True)
class LossRow:
    """One step: means over its images, weighted as trained; `prior_loss` is None without prior preservation."""

    step: int
    instance_loss: float
    prior_loss: float | None
    learning_rate: float


class Write(Protocol):
    """Appends a row."""

    def __call__(self, row: LossRow) -> None: ...


@contextmanager
def table(path: Path, step: int) -> Iterator[Write]:
    """Open the table to append to; rows after `step`, which a resumed run repeats, are dropped first.

    Raises:
        OSError: the disk refuses.
    """
    kept = [row for row in read(path) if row.step <= step]
    with atomic.replacing(path) as handle:
        writer = csv.writer(handle)
        writer.writerow(field.name for field in fields(LossRow))
        writer.writerows(astuple(row) for row in kept)
    with path.open("a", encoding="utf-8", newline="", buffering=1) as handle:
        writer = csv.writer(handle)
        yield lambda row: writer.writerow(astuple(row))


def read(path: Path) -> list[LossRow]:
    """The rows of a table, oldest first; a last row that a kill cut short is left out, a missing table has none."""
    rows: list[LossRow] = []
    with suppress(FileNotFoundError), path.open(encoding="utf-8", newline="") as handle:
        for cells in csv.DictReader(handle):
            try:
                prior = float(cells["prior_loss"]) if cells["prior_loss"] else None
                rows.append(
                    LossRow(int(cells["step"]), float(cells["instance_loss"]), prior, float(cells["learning_rate"]))
                )
            except (TypeError, ValueError, KeyError):
                break
    return rows
