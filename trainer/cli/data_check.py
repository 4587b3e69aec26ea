"""`inandout-train data check`: a table of a data set, and what would spoil a build of it."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from trainer.data.check import CheckReport
    from trainer.data.samples import DataSet

_SHOWN = 10


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path), default=Path("data"))
@click.option(
    "--layout",
    type=click.Choice(["auto", "manifest", "ksdd2", "ksdd", "mvtec", "folders"]),
    default="auto",
    show_default=True,
    help="How the folder is laid out.",
)
@click.option(
    "--resplit", type=click.IntRange(min=0), metavar="SEED", help="Check a purely random split instead of the given."
)
@click.option("--pairs", type=click.Path(path_type=Path), help="Write images whose part is in two splits to this CSV.")
def check(folder: Path, layout: str, resplit: int | None, pairs: Path | None) -> None:
    """Read every image of DIR (default: data) and say what would spoil a build; then the exit code is 1."""
    from rich.console import Console

    from inspector.errors import DataError
    from trainer.data import check as checking
    from trainer.data import readers

    dataset = readers.read(folder, layout)
    if resplit is not None:
        dataset = checking.shuffled(dataset, resplit)
    console = Console()
    report = _with_progress(dataset)
    _print_rows(console, report, f"{dataset.root} ({dataset.layout}{', random split' if resplit is not None else ''})")
    _print_findings(console, report)
    if pairs is not None:
        _write_pairs(pairs, report)
    if report.errors:
        kinds = ", ".join(f"{n} {kind}" for kind, n in Counter(f.kind for f in report.errors).items())
        raise DataError(f"{len(report.errors)} of these would spoil a build ({kinds}): correct them and check again")
    warnings = sum(finding.severity == "warning" for finding in report.findings)
    click.echo(f"no errors, {warnings} warning(s); next: inandout-train build --data {folder}")


def _with_progress(dataset: "DataSet") -> "CheckReport":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from trainer.data.check import check as run

    columns = (TextColumn("reading images"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=len(dataset.samples))
        return run(dataset, tick=lambda: progress.advance(task))


def _print_rows(console: "Console", report: "CheckReport", title: str) -> None:
    from rich.table import Table

    console.print(title, markup=False, highlight=False, soft_wrap=True)
    table = Table()
    table.add_column("split")
    for name in ("good", "defect", "masks", "groups"):
        table.add_column(name, justify="right")
    for row in report.rows:
        table.add_row(row.split or "(open)", *(str(n) for n in (row.good, row.defect, row.masks, row.groups)))
    console.print(table)


def _print_findings(console: "Console", report: "CheckReport") -> None:
    shown: Counter[tuple[str, str]] = Counter()
    for finding in report.findings:
        key = (finding.severity, finding.kind)
        shown[key] += 1
        if shown[key] > _SHOWN:
            continue
        advice = f" -> {finding.advice}" if finding.advice else ""
        console.print(f"{finding.severity}: {finding.message}{advice}", markup=False, highlight=False, soft_wrap=True)
    if report.leaks:
        console.print("note: --pairs FILE.csv lists every image whose part is in two splits", highlight=False)
    for (severity, kind), n in shown.items():
        if n > _SHOWN:
            console.print(f"{severity}: and {n - _SHOWN} more of the kind '{kind}'", markup=False, highlight=False)


def _write_pairs(path: Path, report: "CheckReport") -> None:
    import csv

    from inspector.atomic import replacing
    from inspector.errors import SinkError

    try:
        with replacing(path) as handle:
            table = csv.writer(handle)
            table.writerow(["split", "path", "match_split", "match", "similarity", "groups_differ"])
            for leak in report.leaks:
                sample, match = leak.sample, leak.match
                table.writerow(
                    [sample.split, sample.path, match.split, match.path, f"{leak.similarity:.3f}", int(leak.denied)]
                )
    except OSError as error:
        raise SinkError(f"cannot write {path}: {error.strerror}") from error
