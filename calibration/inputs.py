"""Labelled logits for `inandout-calibrate`: from a scores CSV, or from images scored now."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from calibration import labelled_folder, scores, table
from calibration.binary import Labels, Scores, checked
from calibration.score_images import logits_of
from inspector.bundle import Bundle
from inspector.errors import DataError


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """Labels and logits, `(N,)`, where they came from, and what a person should know of them."""

    labels: Labels
    logits: Scores
    source: str
    notes: tuple[str, ...]


def from_scores(path: Path, split: str | None, bundle: Bundle) -> Inputs:
    """Read a CSV of scores that `bundle` gave; raises `DataError`, see `calibration.scores.read`."""
    old = bundle.manifest.calibration
    found = scores.read(path, split, old.temperature, old.bias)
    notes = [f"using split {found.split!r} of {path}"] if found.split else []
    if found.invalid:
        notes.append(f"{found.invalid} images of {path} could not be scored and are left out")
    return Inputs(found.labels, found.logits, _source(path, found.split), tuple(notes))


def from_folder(
    root: Path,
    split: str | None,
    bundle: Bundle,
    *,
    skip_unreadable: bool,
    threads: int,
    approve: Callable[[Labels], object],
    progress: Callable[[int, int], None],
) -> Inputs:
    """Score the labelled images of a folder.

    Args:
        root: see `calibration.labelled_folder.read`.
        split: which of its images, None for `val` where it has splits.
        bundle: whose model scores.
        skip_unreadable: leave out images that cannot be scored, with a note.
        threads: of the runtime, 0 lets it decide.
        approve: given the labels before anything is scored; raises where they cannot do.
        progress: told `(scored, of)` as images are done.

    Raises:
        DataError: the folder cannot be used, or an image cannot be scored; all of these are named.
    """
    folder = labelled_folder.read(root, split)
    labels = np.array([image.label for image in folder.images], dtype=np.int64)
    checked(labels, np.zeros(len(labels)))
    approve(labels)
    pieces, faults, done = [], [], 0
    for logits, reasons in logits_of(bundle, [image.path for image in folder.images], threads):
        pieces.append(logits)
        faults += reasons
        done += len(logits)
        progress(done, len(labels))
    if faults and not skip_unreadable:
        raise DataError(
            f"{len(faults)} images cannot be scored: {table.some(faults, '; ')}. Replace them, or leave them out with "
            "--skip-unreadable"
        )
    logits = np.concatenate(pieces)
    usable = np.isfinite(logits)
    notes = [f"using split {folder.split!r} of {root}"] if folder.split else []
    notes += [f"left out: {fault}" for fault in faults]
    return Inputs(labels[usable], logits[usable], _source(root, folder.split), tuple(notes))


def _source(path: Path, split: str | None) -> str:
    return f"{path.name or path.resolve().name}, split {split}" if split else path.name or path.resolve().name
