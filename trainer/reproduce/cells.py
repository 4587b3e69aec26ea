"""Build the planned cells one after the other, each in a run folder of its own, and keep what a table needs."""

import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from accelerate import Accelerator
from pydantic import ValidationError
from rich.console import Console

from inspector.bundle import Bundle
from inspector.errors import DataError, InandoutError, SinkError
from inspector.optional import require
from trainer import classify
from trainer.build import mix
from trainer.build.index import load_samples
from trainer.build.network import weights_identity
from trainer.build.pipeline import build
from trainer.data.samples import DataSet
from trainer.interruption import Interrupted
from trainer.recipe import Recipe
from trainer.reproduce.plan import Cell
from trainer.section import Section
from trainer.stages import digest, read_json, write_json
from trainer.training_set import order

yaml = require("yaml", "writing a recipe")
logger = logging.getLogger(__name__)
_RESULT, _SCORES, _RECIPE, _RUN = "result.json", "scores.csv", "recipe.yaml", "run"
# Stages that cells of one scenario and seed have in common.
_SHARED_STAGES = ("index", "split", "fine_tune")

Measured = Literal["val", "test"]


class Result(Section):
    """What is stored of a finished cell, beside its `scores.csv` and `recipe.yaml`.

    Attributes:
        cell: its name.
        digest: of all that decides the outcome; a cell whose digest changed is built again.
        metrics: the build's figures on the sealed test split; none where that lacks a class.
        threshold: the build's operating point, a probability.
        real: real defects that training saw; None in results of builds that did not count them.
        synthetic: defects that training got; fewer than `n` where the gate let too few pass.
        draws: training images drawn, over all epochs.
        train_seconds, fine_tune_seconds, other_seconds: of the classifier's training, of the generator's (shared by
            the cells of a scenario and seed), and of everything else.
        provenance: of the build.
        finished: UTC, ISO 8601.
    """

    cell: str
    digest: str
    metrics: dict[str, float]
    threshold: float
    real: int | None = None
    synthetic: int
    draws: int
    train_seconds: float
    fine_tune_seconds: float
    other_seconds: float
    provenance: dict[str, Any]
    finished: str


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where cells are built, and from what.

    Attributes:
        data: the folder of labelled images.
        weights: start weights as `--weights` names them.
        material: digest of both, see `material`.
        output: holds `cells/<name>/`.
        keep: keep the run folder, with the bundle, of finished cells.
        split: where the figures come from.
    """

    data: Path
    weights: str
    material: str
    output: Path
    keep: bool = False
    split: Measured = "test"

    def folder(self, cell: Cell) -> Path:
        """The cell's folder."""
        return self.output / "cells" / cell.name

    def run(self, cell: Cell) -> Path:
        """The cell's run folder."""
        return self.folder(cell) / _RUN

    def scores(self, cell: Cell) -> Path:
        """The finished cell's score table."""
        return self.folder(cell) / _SCORES

    def digest(self, cell: Cell) -> str:
        """Digest of all that decides the cell's outcome."""
        return digest({"recipe": cell.identity(), "material": self.material})

    def finished(self, cell: Cell) -> Result | None:
        """The stored result of a cell, or None where it is missing, unreadable or of another recipe or data set."""
        path = self.folder(cell) / _RESULT
        if not path.is_file():
            return None
        try:
            stored = Result.model_validate_json(path.read_bytes())
        except (ValidationError, OSError):
            logger.warning("%s cannot be read: the cell is built again", path)
            return None
        if stored.digest != self.digest(cell):
            logger.info("%s: recipe, weights or data changed since it was built", cell.name)
            return None
        return stored


def material(dataset: DataSet, weights: str) -> str:
    """Digest of start weights and images (names, labels, splits, groups, sizes), wherever the folder lies.

    Raises:
        InandoutError: the weights are missing.
    """
    files = [
        (s.path.relative_to(dataset.root).as_posix(), s.label, s.split, s.group, s.path.stat().st_size)
        for s in dataset.samples
    ]
    return digest({"weights": weights_identity(weights), "files": files})


def require_both_kinds(dataset: DataSet, split: Measured = "test") -> None:
    """Refuse a data set on which no figure could be measured, before hours go by.

    Raises:
        DataError: that split (all of the set, where splits are left open) lacks good images or defects.
    """
    given = [sample.label for sample in dataset.samples if sample.split == split]
    labels = given or [sample.label for sample in dataset.samples]
    if len(set(labels)) < 2:
        lacking = "defect" if 1 not in labels else "good image"
        aim = "validate" if split == "val" else "test"
        raise DataError(f"{dataset.root} has no {lacking} to {aim} on: average precision needs both kinds; add some")


def training_draws(labels: Sequence[int], synthetic: int, recipe: Recipe) -> int:
    """Images drawn in a whole training on real images of these `labels` (0/1) and so many synthetic defects."""
    everything, generated = [*labels, *[1] * synthetic], [False] * len(labels) + [True] * synthetic
    section = recipe.train
    epoch = order(everything, section.defect_share, recipe.seed, 0, generated, section.synthetic_worth)
    return section.epochs * len(epoch)


def build_all(
    todo: Sequence[Cell],
    planned: Sequence[Cell],
    workshop: Workshop,
    make_accelerator: Callable[[], Accelerator],
    console: Console,
    on_result: Callable[[Cell, Result], None],
) -> dict[str, str]:
    """Build cells in order; one that fails is reported and the others run on.

    Args:
        todo: cells without a result.
        planned: all cells that may have left stages to go on from.
        workshop: where, and from what.
        make_accelerator: opens a fresh one for each cell, so that nothing (a loss scale, say) carries over.
        console: for progress lines.
        on_result: called after each cell.

    Returns:
        name of each failed cell -> its error, in one line.

    Raises:
        Interrupted: training was asked to stop; running again goes on there.
    """
    failed: dict[str, str] = {}
    for number, cell in enumerate(todo):
        console.print(f"[bold]cell {number + 1} of {len(todo)}: {cell.name}[/bold]")
        try:
            _take_over(cell, planned, workshop)
            later = todo[number:]
            tidy([old for old in planned if not any(old.shares_stages_with(new) for new in later)], workshop)
            result = _build(cell, workshop, make_accelerator(), console)
        except Interrupted as error:
            raise Interrupted(f"{cell.name}: {error}") from None
        except (InandoutError, OSError, RuntimeError) as error:
            failed[cell.name] = " ".join(str(error).split()) or type(error).__name__
            logger.debug("%s failed", cell.name, exc_info=True)
            console.print(f"{cell.name} failed: {failed[cell.name]}", markup=False, style="red", soft_wrap=True)
            continue
        on_result(cell, result)
    return failed


def tidy(planned: Sequence[Cell], workshop: Workshop) -> None:
    """Delete the run folders of finished cells, unless they are to be kept."""
    for cell in planned:
        if not workshop.keep and workshop.run(cell).exists() and workshop.finished(cell):
            shutil.rmtree(workshop.run(cell), ignore_errors=True)


def _take_over(cell: Cell, planned: Sequence[Cell], workshop: Workshop) -> None:
    """Start a new run folder from the one that has most of the stages this cell shares; all share the index.

    A finished cell's folder is moved to one that shares all; of others those stages are copied. Stages know by their
    fingerprint whether they can be reused.
    """
    own = workshop.run(cell)
    if own.exists():
        return
    have = {other.name: _shared_stages(cell, other, workshop) for other in planned}
    best = max(
        (other for other in planned if have[other.name]),
        key=lambda other: (len(have[other.name]), cell.shares_stages_with(other)),
        default=None,
    )
    if best is None:
        return
    own.parent.mkdir(parents=True, exist_ok=True)
    if cell.shares_stages_with(best) and workshop.finished(best) and not workshop.keep:
        workshop.run(best).rename(own)
        return
    copy = own.with_name(f".{_RUN}.copy")
    shutil.rmtree(copy, ignore_errors=True)
    for stage in have[best.name]:
        shutil.copytree(workshop.run(best) / stage, copy / stage)
    copy.rename(own)


def _shared_stages(cell: Cell, other: Cell, workshop: Workshop) -> list[str]:
    """Those of `other` that are finished and serve `cell`."""
    shared = _SHARED_STAGES if cell.shares_stages_with(other) else _SHARED_STAGES[:1]
    return [stage for stage in shared if (workshop.run(other) / stage / "done.json").is_file()]


def _build(cell: Cell, workshop: Workshop, accelerator: Accelerator, console: Console) -> Result:
    run = workshop.run(cell)
    made = build(cell.recipe, workshop.data, workshop.weights, run, accelerator, console)
    assert made is not None  # one process
    if workshop.split == "test" and "ap" not in made.manifest.metrics:
        raise DataError("the test split lacks good images or defects: nothing was measured; add some")
    labels = [sample.label for sample in load_samples(run / "split" / "samples.json") if sample.split == "train"]
    synthetic = len(mix.load(run / "mix")["train"])
    seconds = made.manifest.provenance["stage_seconds"]
    result = Result(
        cell=cell.name,
        digest=workshop.digest(cell),
        metrics=made.manifest.metrics,
        threshold=made.manifest.calibration.threshold,
        real=sum(labels),
        synthetic=synthetic,
        draws=training_draws(labels, synthetic, cell.recipe),
        # over all the epochs, where the stage counts from its last start
        train_seconds=sum(row["seconds"] for row in read_json(run / "train" / classify.HISTORY)),
        fine_tune_seconds=seconds.get("fine_tune", 0.0),
        other_seconds=sum(value for stage, value in seconds.items() if stage not in ("train", "fine_tune")),
        provenance=made.manifest.provenance,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    _store(result, cell, made, workshop)
    return result


def _store(result: Result, cell: Cell, made: Bundle, workshop: Workshop) -> None:
    """Keep the small things; the result comes last, since it says that the cell is finished."""
    folder = workshop.folder(cell)
    try:
        shutil.copyfile(made.folder / "scores.csv", workshop.scores(cell))
        text = yaml.safe_dump(cell.recipe.model_dump(mode="json"), sort_keys=False)
        (folder / _RECIPE).write_text(text, encoding="utf-8")
    except OSError as error:
        raise SinkError(f"cannot write to {folder}: {error.strerror}; free some space and run again") from error
    write_json(folder / _RESULT, result.model_dump(mode="json"))
