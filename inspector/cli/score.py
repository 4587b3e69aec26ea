"""`inandout-inspect score`: every image of a folder into a CSV and a SQLite file."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from inspector.cli.options import bundle_option, open_bundle, threads_option
from inspector.errors import DataError, SinkError


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, readable=False))
@bundle_option
@click.option(
    "--output", type=click.Path(path_type=Path, readable=False), default=Path("scores.csv"), show_default=True
)
@click.option(
    "--store",
    type=click.Path(path_type=Path, readable=False),
    help="SQLite file.  [default: the output's name, ending in .sqlite]",
)
@click.option("--batch", type=click.IntRange(1, 1024), default=8, show_default=True, help="Images a model call.")
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    default=min(4, os.cpu_count() or 1),
    show_default="up to 4",
    help="Decoding threads.",
)
@click.option(
    "--exclude", multiple=True, metavar="PATTERN", help="File names to leave out, e.g. '*_GT.png'; repeatable."
)
@threads_option
@click.option("--restart", is_flag=True, help="Score everything again, whatever the store holds.")
def score(
    folder: Path,
    bundle: Path | None,
    output: Path,
    store: Path | None,
    batch: int,
    workers: int,
    exclude: tuple[str, ...],
    threads: int,
    restart: bool,
) -> None:
    """Score every image under DIR, sub-folders included.

    Columns: path (relative to DIR), label and split (left empty), logit, probability, verdict, peak_x, peak_y, reason.

    A run that was stopped or killed continues where it was when started again. A run started on the same store
    later scores only what is new, changed or was invalid. Files that cannot be read become rows with the verdict
    'invalid', and the exit code is then 1.
    """
    from inspector import backends
    from inspector.judge import Judge
    from inspector.scorebook import Scorebook
    from inspector.scoring import require_images, score_folder

    store = store or output.with_suffix(".sqlite")
    _check_places(output, store)
    require_images(folder, exclude)
    opened = open_bundle(bundle)
    judge = Judge(opened, backends.create("onnxruntime", opened, threads))
    with Scorebook(store, folder, opened.identity, restart) as book, _progress(folder, exclude) as advance:
        summary = score_folder(folder, judge, book, output, batch, workers, exclude, advance)
    total = sum(summary.counts.values())
    verdicts = ", ".join(f"{summary.counts.get(kind, 0)} {kind}" for kind in ("ok", "defect", "review", "invalid"))
    click.echo(
        f"{total} images ({summary.scored} scored now in {summary.seconds:.1f} s): {verdicts}; see {output} and {store}"
    )
    invalid = summary.counts.get("invalid", 0)
    problems = [f"{invalid} of {total} images could not be scored: see the invalid rows of {output}"] * bool(invalid)
    problems += [f"{summary.unlisted} folders could not be listed"] * bool(summary.unlisted)
    if problems:
        raise DataError("; ".join(problems))


def _check_places(output: Path, store: Path) -> None:
    """Refuse at once what would fail only after hours of scoring."""
    if output.is_dir():
        raise SinkError(f"{output} is a folder: --output needs the name of a CSV file")
    if output == store:
        raise SinkError(f"--output and --store are both {output}: give two names")
    parent = next(folder for folder in output.absolute().parents if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise SinkError(f"cannot write {output}: {parent} is not a folder that can be written")


@contextmanager
def _progress(folder: Path, exclude: tuple[str, ...]) -> Iterator[Callable[[int], None]]:
    """A bar on stderr for people; nothing where stderr is not a terminal."""
    if not sys.stderr.isatty():
        yield lambda images: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from inspector.listing import images_in

    columns = (TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=sum(1 for _ in images_in(folder, lambda problem: None, exclude)))
        yield lambda images: progress.update(task, advance=images)
