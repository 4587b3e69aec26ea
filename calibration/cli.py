"""`inandout-calibrate`: choose a bundle's threshold, say what supports it, and put it in force."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from inspector import command as command_line

if TYPE_CHECKING:
    from calibration.binary import Labels
    from calibration.calibrate import CalibrationResult
    from calibration.inputs import Inputs
    from inspector.bundle import Bundle
    from inspector.manifest import Calibration

_PATH = click.Path(path_type=Path)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("bundle", type=_PATH, envvar="INANDOUT_BUNDLE", default="runs/latest", required=False)
@click.option(
    "--data", type=_PATH, help="Folder of labelled images: good/ and defect/, a manifest.csv, or KSDD2's layout."
)
@click.option("--scores", type=_PATH, help="CSV of scores this bundle gave. Default without --data: the bundle's own.")
@click.option("--split", help="Split to use, where the data has splits.  [default: val]")
@click.option(
    "--policy",
    default="max-f1",
    show_default=True,
    help='max-f1, "recall>=0.99", "precision>=0.9", "fpr<=0.01" or "cost(fn=100,fp=1)".',
)
@click.option(
    "--confidence",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.95,
    show_default=True,
    help="Of the guarantee and of the intervals.",
)
@click.option("--no-guarantee", is_flag=True, help="Let recall and FPR policies hold on these images only.")
@click.option("--review", help="Review band: a share of the images (0.05), or two probabilities (0.4,0.7).")
@click.option("--synthetic-defects", is_flag=True, help="Record that the defects given are synthetic.")
@click.option("--skip-unreadable", is_flag=True, help="Leave out images that cannot be read instead of refusing.")
@click.option("--threads", type=click.IntRange(0), default=0, help="Threads of the model runtime; 0: it decides.")
@click.option("--seed", type=click.IntRange(0), default=0, help="Of the bootstrap.")
@click.option(
    "--plot", type=_PATH, help="Where the picture goes.  [default: calibration-<bundle>.png beside the bundle]"
)
@click.option("--dry-run", is_flag=True, help="Show what would be set; write nothing but a --plot asked for.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def command(
    bundle: Path,
    data: Path | None,
    scores: Path | None,
    split: str | None,
    policy: str,
    confidence: float,
    no_guarantee: bool,
    review: str | None,
    synthetic_defects: bool,
    skip_unreadable: bool,
    threads: int,
    seed: int,
    plot: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Choose the threshold of BUNDLE from labelled images or their scores.

    BUNDLE defaults to $INANDOUT_BUNDLE, else ./runs/latest. The old operating point is kept in the bundle's history.

    \b
    inandout-calibrate runs/full_shot/bundle --data parts/ --policy "recall>=0.99"
    inandout-calibrate --scores scores.csv --policy "cost(fn=100,fp=1)" --review 0.05 --dry-run
    """
    if data is not None and scores is not None:
        raise click.UsageError("give --data or --scores, not both")

    from calibration import policies, review_band
    from calibration.calibrate import calibrate
    from calibration.guarantee import errors_allowed
    from inspector.bundle import load, recalibrate
    from inspector.errors import BundleError, RecipeError

    try:
        rule = policies.parse(policy)
        review_asked = None if review is None else review_band.parse(review)
    except RecipeError as error:
        raise click.UsageError(str(error)) from None
    if bundle.is_file() and not dry_run:
        raise BundleError(f"{bundle} is an archive and cannot be rewritten in place: extract it, then calibrate")
    before = load(bundle)
    old = before.manifest.calibration

    own = data is None and scores is None  # the images that chose the network, too
    compared = old.compared if own else 1

    def approve(labels: Labels) -> None:
        if not no_guarantee and isinstance(rule, policies.RecallAtLeast | policies.FprAtMost):
            errors_allowed(rule, labels, confidence)

    if data is not None:
        found = _score(data, split, before, approve, skip_unreadable, threads)
    else:
        found = _read(scores, split, before)
    for note in found.notes:
        click.echo(note, err=True)
    result = calibrate(
        found.labels,
        found.logits,
        policy,
        confidence,
        guarantee=not no_guarantee,
        review=review_asked,
        defects="synthetic" if synthetic_defects or (own and old.defects == "synthetic") else "real",
        compared=compared,
        source=found.source,
        seed=seed,
    )
    if plot is None and not dry_run:
        # beside, not inside: everything in a bundle is listed and checksummed
        plot = bundle.absolute().with_name(f"calibration-{bundle.absolute().name}.png")
    if plot is not None:
        _draw(result, plot)
    after = before if dry_run else recalibrate(bundle, result.calibration)
    if as_json:
        click.echo(_json(old, result.calibration, after, plot, dry_run))
    else:
        _print(old, result.calibration, after, plot, dry_run)


def _read(scores: Path | None, split: str | None, bundle: Bundle) -> Inputs:
    from calibration.inputs import from_scores

    if scores is None and not any(entry.path == "scores.csv" for entry in bundle.manifest.files):
        raise click.UsageError(f"{bundle.path} carries no scores.csv: give --data DIR or --scores CSV")
    return from_scores(scores or bundle.folder / "scores.csv", split, bundle)


def _score(
    data: Path,
    split: str | None,
    bundle: Bundle,
    approve: Callable[[Labels], None],
    skip_unreadable: bool,
    threads: int,
) -> Inputs:
    from rich.console import Console
    from rich.progress import Progress

    from calibration.inputs import from_folder

    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("scoring", total=None)
        return from_folder(
            data,
            split,
            bundle,
            skip_unreadable=skip_unreadable,
            threads=threads,
            approve=approve,
            progress=lambda done, of: bar.update(task, completed=done, total=of),
        )


def _draw(result: CalibrationResult, path: Path) -> None:
    """Write the picture whole or not at all."""
    from calibration.plots import overview_png
    from inspector.errors import DataError

    picture = overview_png(result.labels, result.logits, result.calibration)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(picture)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise DataError(f"cannot write {path}: {error.strerror}; name another place with --plot") from error


def _json(old: Calibration, new: Calibration, bundle: Bundle, plot: Path | None, dry_run: bool) -> str:
    document = {
        "bundle": bundle.identity,
        "written": not dry_run,
        "plot": None if plot is None else str(plot),
        "previous": old.model_dump(mode="json"),
        "calibration": new.model_dump(mode="json"),
    }
    return json.dumps(document, indent=2)


def _print(old: Calibration, new: Calibration, bundle: Bundle, plot: Path | None, dry_run: bool) -> None:
    from rich.console import Console

    from calibration.summary import as_table

    # a pipe has no width of its own: 120 keeps each line of the table whole
    console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 120)
    console.print(as_table(old, new, bundle.identity))
    if plot is not None:
        click.echo(f"picture: {plot}")
    click.echo("dry run: the bundle is unchanged" if dry_run else f"written: {bundle.path}")


def main() -> None:
    """Entry point."""
    command_line.run(command)
