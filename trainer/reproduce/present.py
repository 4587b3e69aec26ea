"""A filled table for people (markdown, terminal) and for programs (CSV)."""

import csv
from collections.abc import Sequence
from pathlib import Path

import rich.box
import rich.table

from inspector import atomic
from inspector.errors import SinkError
from inspector.manifest import Interval
from trainer.reproduce.summary import OurRow
from trainer.reproduce.tables import METRICS, Figure, Table, notes

_NAMES = {"ap": "AP", "precision": "Precision", "recall": "Recall"}
_COLUMNS = ("table", "scenario", "augmentation", "n_aug", "metric", "published_mean", "published_std")
_OURS = ("ours_mean", "ours_std", "ours_low", "ours_high", "confidence", "seeds")
_NOTHING = "–"
_LEVEL = "95 % interval"


def figure(value: Figure | None) -> str:
    """As the paper prints it: `.782 (.030)`; `.733 (-)` without a deviation, a dash without a mean."""
    if value is None or value.mean is None:
        return _NOTHING
    return f"{_short(value.mean)} ({'-' if value.std is None else _short(value.std)})"


def header(seeds: int) -> list[str]:
    """Column names of `lines`."""
    names = [name for metric in METRICS for name in (f"{_NAMES[metric]} paper", "ours", _LEVEL)]
    return ["Augmentation", "N_aug", *names, f"seeds of {seeds}"]


def lines(rows: Sequence[OurRow]) -> list[list[str]]:
    """The table's cells as text, a list a row."""
    shown = []
    for row in rows:
        texts = [row.published.label, _count(row)]
        for metric in METRICS:
            texts += [figure(row.published.figures[metric]), figure(row.ours.get(metric))]
            texts.append(_span(row.intervals.get(metric)))
        shown.append([*texts, _finished(row)])
    return shown


def in_terminal(table: Table, rows: Sequence[OurRow], seeds: int) -> rich.table.Table:
    """The table for a terminal: intervals below our figures, averages set apart."""
    shown = rich.table.Table(title=_title(table), title_justify="left", box=rich.box.SIMPLE_HEAD)
    shown.add_column("Augmentation")
    shown.add_column("N_aug", justify="right")
    for metric in METRICS:
        shown.add_column(f"{_NAMES[metric]}\npaper", justify="right", no_wrap=True)
        shown.add_column("\nours", justify="right", style="bold", no_wrap=True)
    shown.add_column(f"seeds\nof {seeds}", justify="right")
    for row in rows:
        figures = []
        for metric in METRICS:
            interval = row.intervals.get(metric)
            below = "" if interval is None else f"\n[not bold]{_span(interval)}[/]"
            figures += [figure(row.published.figures[metric]), figure(row.ours.get(metric)) + below]
        shown.add_row(row.published.label, _count(row), *figures, _finished(row), end_section=_is_average(row))
    shown.caption = "\n".join([f"Below ours: {_LEVEL}.", *notes(table)])
    shown.caption_justify = "left"
    return shown


def write(table: Table, rows: Sequence[OurRow], seeds: int, about: Sequence[str], folder: Path) -> Path:
    """Write `table-<k>.md` and `table-<k>.csv`, and return the former.

    Args:
        table: one of the paper's.
        rows: filled, from `trainer.reproduce.summary.summarise`.
        seeds: how many were planned.
        about: sentences on how our figures came about.
        folder: where to.

    Raises:
        SinkError: the disk refuses.
    """
    page = folder / f"table-{table.number}.md"
    names = header(seeds)
    text = [f"# {_title(table)}", "", _bar(names), _bar(["---", *["---:"] * (len(names) - 1)])]
    text += [_bar(texts) for texts in lines(rows)]
    text += ["", *[f"- {sentence}" for sentence in (*about, *notes(table))], ""]
    try:
        with atomic.replacing(page) as handle:
            handle.write("\n".join(text))
        with atomic.replacing(page.with_suffix(".csv")) as handle:
            writer = csv.writer(handle)
            writer.writerow(_COLUMNS + _OURS)
            writer.writerows(_records(table, rows))
    except OSError as error:
        raise SinkError(f"cannot write {page}: {error.strerror}; free some space and run again") from error
    return page


def _records(table: Table, rows: Sequence[OurRow]) -> list[list[object]]:
    records: list[list[object]] = []
    for row in rows:
        for metric in METRICS:
            published, ours = row.published.figures[metric], row.ours.get(metric, Figure())
            interval = row.intervals.get(metric)
            ends = ["", "", ""] if interval is None else [interval.low, interval.high, interval.confidence]
            known = [published.mean, published.std, ours.mean, ours.std]
            first = [table.number, table.scenario, row.published.label, _count(row, ""), metric]
            records.append([*first, *["" if value is None else value for value in known], *ends, row.seeds])
    return records


def _title(table: Table) -> str:
    return f"Table {table.number}: {table.title} ({table.scenario})"


def _is_average(row: OurRow) -> bool:
    return row.published.kind is not None and row.published.n is None


def _count(row: OurRow, nothing: str = _NOTHING) -> str:
    if row.published.n is not None:
        return str(row.published.n)
    return "average" if _is_average(row) else nothing


def _finished(row: OurRow) -> str:
    return str(row.seeds) if row.published.kind else _NOTHING


def _span(interval: Interval | None) -> str:
    return _NOTHING if interval is None else f"{_short(interval.low)} to {_short(interval.high)}"


def _short(value: float) -> str:
    """Three decimals without the leading zero."""
    text = f"{value:.3f}"
    return text[1:] if text.startswith("0") else text


def _bar(texts: Sequence[str]) -> str:
    return "| " + " | ".join(texts) + " |"
