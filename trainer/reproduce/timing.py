"""How long a plan will take, from what was measured: finished cells, or else a few training steps."""

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator

from inspector.preprocess import InputSpec
from models.classifier import STAGES, Classifier
from models.network import Network
from trainer import classify, heads
from trainer.build import splits
from trainer.build.network import images, training_task
from trainer.data.samples import DataSet, Sample
from trainer.optimisation import freeze, keep_frozen_statistics, make_optimiser
from trainer.reproduce.cells import Result, training_draws
from trainer.reproduce.plan import Cell
from trainer.torch_scores import score

_STEPS = 3
_SCORED = 16


@dataclass(frozen=True, slots=True)
class Speed:
    """What was measured.

    Attributes:
        per_draw: seconds a training image, validation between epochs included.
        generating, plain: seconds a cell beside training, with and without a diffusion model; None where not known.
        fine_tune: seconds of a generator's own training, once a division of the images; None where not known.
        source: what was measured, for people.
    """

    per_draw: float
    generating: float | None
    plain: float | None
    fine_tune: float | None
    source: str


def of_finished(finished: Sequence[tuple[Cell, Result]]) -> Speed | None:
    """The speed that finished cells went at; None without any."""
    if not finished:
        return None
    return Speed(
        per_draw=sum(result.train_seconds for _, result in finished) / sum(result.draws for _, result in finished),
        generating=_mean([result.other_seconds for cell, result in finished if cell.generates]),
        plain=_mean([result.other_seconds for cell, result in finished if not cell.generates]),
        fine_tune=_mean([result.fine_tune_seconds for cell, result in finished if cell.generates]),
        source=f"{len(finished)} finished cell{'s' if len(finished) > 1 else ''}",
    )


def of_steps(cell: Cell, dataset: DataSet, accelerator: Accelerator) -> Speed:
    """Time a few training steps and scorings of the cell's network on its own images, from random weights.

    Where no head learns there is no step to time, and training takes no time.

    Raises:
        InandoutError: the images cannot be divided or read, or not even one fits in memory.
    """
    recipe = cell.recipe
    if not heads.trained(recipe):
        return Speed(0.0, generating=None, plain=None, fine_tune=None, source="a training in which no head learns")
    divided = _divided(cell, dataset)
    training = images(divided, [], "train")
    model = Classifier(heads.config(recipe)).to(accelerator.device).to(memory_format=torch.channels_last)
    freeze(model, recipe.train.frozen)
    optimiser = make_optimiser(model, recipe.train, STAGES)
    task = training_task(recipe, training, [], STAGES)
    model.train()
    keep_frozen_statistics(model, recipe.train.frozen)
    state = {"step": 0, "micro_batch": recipe.train.batch}
    marks = [(time.monotonic(), 0)]
    epochs = (classify.batches(task, epoch, 0, accelerator) for epoch in itertools.count())
    for batch in itertools.islice(itertools.chain.from_iterable(epochs), _STEPS + 1):
        classify.step(model, optimiser, batch, state, accelerator, task)
        marks.append((time.monotonic(), len(batch.images)))
    _, (begun, _), *timed = marks  # the first step warms up
    per_draw = (timed[-1][0] - begun) / sum(drawn for _, drawn in timed)
    validation = [sample.path for sample in divided if sample.split == "val"]
    scoring = len(validation) * _scoring_seconds(model, validation, recipe.input, accelerator.device)
    per_epoch = training_draws([image.label for image in training], cell.n, recipe) / recipe.train.epochs
    return Speed(
        per_draw=per_draw + scoring / per_epoch,
        generating=None,
        plain=None,
        fine_tune=None,
        source=f"{_STEPS} training steps, timed just now",
    )


def draws(cells: Sequence[Cell], dataset: DataSet) -> dict[str, int]:
    """Training images that each cell will draw, by its name.

    Raises:
        DataError: the images cannot be divided for a cell's scenario, such as for want of defects.
    """
    known: dict[object, list[int]] = {}
    for cell in cells:
        if cell.division not in known:
            known[cell.division] = [sample.label for sample in _divided(cell, dataset) if sample.split == "train"]
    return {cell.name: training_draws(known[cell.division], cell.n, cell.recipe) for cell in cells}


def forecast(
    todo: Sequence[Cell], finished: Sequence[tuple[Cell, Result]], drawn: Mapping[str, int], speed: Speed
) -> dict[str, float]:
    """Expected seconds of each cell to build, by name; what `speed` does not know of counts nothing.

    Args:
        todo: in the order of building.
        finished: cells whose generator need not be trained again for others of the same division.
        drawn: training images by cell, from `draws`.
        speed: what was measured.
    """
    tuned = {cell.division for cell, _ in finished if cell.generates}
    expected = {}
    for cell in todo:
        beside = speed.generating if cell.generates else speed.plain
        expected[cell.name] = drawn[cell.name] * speed.per_draw + (beside or 0.0)
        if cell.generates and cell.division not in tuned:
            expected[cell.name] += speed.fine_tune or 0.0
            tuned.add(cell.division)
    return expected


def caveat(pending: Sequence[Cell], speed: Speed) -> str:
    """What the estimate leaves out, as the end of a sentence; empty where nothing."""
    if speed.generating is None and any(cell.generates for cell in pending):
        return ", without the generators' own learning and drawing"
    if speed.plain is None and not all(cell.generates for cell in pending):
        return ", without the stages beside training"
    return ""


def duration(length: float) -> str:
    """Seconds as people say them: `40 s`, `12 min`, `3 h 20 min`, `2 d 4 h`."""
    if length < 90:
        return f"{length:.0f} s"
    minutes = round(length / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"


def _divided(cell: Cell, dataset: DataSet) -> list[Sample]:
    """The split that the build will make, but for its near-duplicates, which only reading every image would tell."""
    return splits.divide(list(dataset.samples), cell.recipe)


def _scoring_seconds(model: Classifier, paths: Sequence[Path], spec: InputSpec, device: torch.device) -> float:
    """Seconds an image."""
    if not paths:
        return 0.0
    chosen = paths[:_SCORED]
    network = Network(model)
    score(network, chosen, spec, device)
    begun = time.monotonic()
    score(network, chosen, spec, device)
    return (time.monotonic() - begun) / len(chosen)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
