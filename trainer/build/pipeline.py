"""The build: stages in order, each reused when nothing it depends on changed."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from rich.console import Console

from inspector.bundle import Bundle
from inspector.errors import SinkError
from inspector.manifest import Parity
from trainer import classify, heads, stages
from trainer.build import (
    assemble,
    evaluate,
    export,
    fine_tune,
    fuse,
    generate,
    index,
    mix,
    network,
    operating_point,
    splits,
)
from trainer.data import readers
from trainer.data.samples import Sample
from trainer.recipe import Recipe
from trainer.report.generation import GenerationFigures
from trainer.review import accepted as reviewed
from trainer.run_lock import exclusive
from trainer.training_set import TrainingImage


@dataclass(frozen=True, slots=True)
class Divided:
    """The data set, read and split."""

    samples: list[Sample]
    data: dict[str, Any]
    seconds: dict[str, float]
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """What training needs from the stages before it; `compared` is that of `trainer.build.mix`."""

    samples: list[Sample]
    train: list[TrainingImage]
    validation: list[TrainingImage]
    synthetic: dict[str, int]
    data: dict[str, Any]
    seconds: dict[str, float]
    fingerprint: str
    compared: int
    generation: GenerationFigures | None


def build(
    recipe: Recipe, data: Path, weights: str, run: Path, accelerator: Accelerator, console: Console
) -> Bundle | None:
    """Run all stages.

    Args:
        recipe: the resolved recipe.
        data: folder of labelled images.
        weights: `imagenet`, `none`, or a safetensors file.
        run: the run's folder; the bundle lands in `run/bundle`.
        accelerator: device, precision and processes.
        console: for progress lines.

    Returns:
        The verified bundle; None on the helper processes of a multi-process launch.

    Raises:
        InandoutError: anything that spoils the build, in one sentence. The run can be continued.
    """
    if not accelerator.is_main_process:
        _help(recipe, weights, accelerator, console)
        return None
    with exclusive(run):
        stages.write_json(run / "recipe.json", recipe.model_dump(mode="json"))
        stages.write_json(run / "weights.json", {"weights": weights})
        divided = _divide(recipe, data, run)
        tuned = _fine_tune(recipe, weights, divided, run, accelerator, console)
        prepared = _prepare(recipe, weights, divided, tuned, run, accelerator)
        if accelerator.num_processes > 1:
            done = stages.finished(run, "train", _train_inputs(recipe, weights, prepared))
            broadcast_object_list([(prepared, None if done else run / "train")])
        train = _train(recipe, weights, prepared, run, accelerator, console)
        return _finish(recipe, data, weights, prepared, train, run, accelerator, console)


def _help(recipe: Recipe, weights: str, accelerator: Accelerator, console: Console) -> None:
    """A helper process: wait for what the main one prepared, and train with it what is not trained yet."""
    shared: list[Any] = [None]
    if fine_tune.needed(recipe):
        broadcast_object_list(shared)
        material, folder = shared[0]
        if folder is not None:
            fine_tune.work(material, recipe, folder, accelerator, console)
    broadcast_object_list(shared)
    prepared, folder = shared[0]
    if folder is not None:
        network.work(recipe, weights, prepared.train, prepared.validation, folder, accelerator, console)


def _divide(recipe: Recipe, data: Path, run: Path) -> Divided:
    dataset = readers.read(data.absolute(), recipe.data.layout, recipe.data.resplit)
    indexed = stages.run(run, "index", index.inputs(dataset), lambda folder: index.work(dataset, folder))
    found = index.load_samples(indexed.folder / "samples.json")
    content = stages.read_json(indexed.folder / "fingerprint.json")
    divided = stages.run(
        run,
        "split",
        splits.inputs(indexed.fingerprint, recipe),
        lambda folder: splits.work(found, recipe, folder),
    )
    return Divided(
        samples=index.load_samples(divided.folder / "samples.json"),
        data={"root": str(dataset.root), "layout": dataset.layout, **content},
        seconds={"index": indexed.seconds, "split": divided.seconds},
        fingerprint=divided.fingerprint,
    )


def _fine_tune(
    recipe: Recipe, weights: str, divided: Divided, run: Path, accelerator: Accelerator, console: Console
) -> stages.Finished | None:
    if not fine_tune.needed(recipe):
        return None
    material = fine_tune.material(divided.samples, recipe, weights)
    inputs = fine_tune.inputs(recipe, weights, divided.fingerprint)
    if accelerator.num_processes > 1:
        done = stages.finished(run, "fine_tune", inputs)
        broadcast_object_list([(material, None if done else run / "fine_tune")])
    return stages.run(
        run, "fine_tune", inputs, lambda folder: fine_tune.work(material, recipe, folder, accelerator, console)
    )


def _prepare(
    recipe: Recipe,
    weights: str,
    divided: Divided,
    tuned: stages.Finished | None,
    run: Path,
    accelerator: Accelerator,
) -> Prepared:
    samples = divided.samples
    material = fine_tune.material(samples, recipe, weights)
    calibration = generate.calibration_material(material, samples)
    generated = stages.run(
        run,
        "generate",
        generate.inputs(recipe, weights, divided.fingerprint, None if tuned is None else tuned.fingerprint),
        lambda folder: generate.work(
            material, calibration, recipe, None if tuned is None else tuned.folder, folder, accelerator
        ),
    )
    accepted, rejected = reviewed.load(run), reviewed.rejected(run)
    mixed = stages.run(
        run,
        "mix",
        mix.inputs(recipe, generated.fingerprint, accepted, rejected),
        lambda folder: mix.work(
            samples, recipe, weights, str(accelerator.device), generated.folder, accepted, rejected, folder
        ),
    )
    synthetic = mix.load(mixed.folder)
    validation = network.images(samples, synthetic["val"], "val")
    compared = mix.compared(mixed.folder)
    operating_point.require_support(recipe, validation, compared)
    return Prepared(
        samples=samples,
        train=network.images(samples, synthetic["train"], "train", mix.masks(mixed.folder), recipe.dense.supervision),
        validation=validation,
        synthetic={name: len(paths) for name, paths in synthetic.items()},
        data=divided.data,
        seconds=divided.seconds
        | ({} if tuned is None else {"fine_tune": tuned.seconds})
        | {"generate": generated.seconds, "mix": mixed.seconds},
        fingerprint=mixed.fingerprint,
        compared=compared,
        generation=generate.figures(generated.folder, recipe, mix.table(mixed.folder)),
    )


def _train_inputs(recipe: Recipe, weights: str, prepared: Prepared) -> dict[str, Any]:
    chosen = recipe.train.model_dump()
    for key in ("workers", "checkpoint_seconds"):  # no influence on the outcome
        del chosen[key]
    return {
        "mix": prepared.fingerprint,
        "heads": heads.config(recipe).as_dict(),
        "pixel_weight": heads.pixel_weight(recipe),
        "noise": heads.feature_noise(recipe),
        "supervision": recipe.dense.supervision,
        "train": chosen,
        "weights": network.weights_identity(weights),
        "seed": recipe.seed,
    }


def _train(
    recipe: Recipe, weights: str, prepared: Prepared, run: Path, accelerator: Accelerator, console: Console
) -> stages.Finished:
    trained = stages.run(
        run,
        "train",
        _train_inputs(recipe, weights, prepared),
        lambda folder: network.work(recipe, weights, prepared.train, prepared.validation, folder, accelerator, console),
    )
    shutil.rmtree(trained.folder / classify.CHECKPOINT, ignore_errors=True)
    return trained


def _finish(
    recipe: Recipe,
    data: Path,
    weights: str,
    prepared: Prepared,
    train: stages.Finished,
    run: Path,
    accelerator: Accelerator,
    console: Console,
) -> Bundle:
    classifier = network.load(train.folder)
    fused = stages.run(
        run,
        "fuse",
        fuse.inputs(recipe, train.fingerprint),
        lambda folder: fuse.work(classifier, recipe, prepared.train, prepared.validation, folder, accelerator, console),
    )
    model = fuse.load(classifier, fused.folder)
    test = network.images(prepared.samples, [], "test")
    section = recipe.calibrate.model_dump()
    calibrated = stages.run(
        run,
        "calibrate",
        {"fuse": fused.fingerprint, "calibrate": section},
        lambda folder: operating_point.work(
            model,
            recipe,
            prepared.validation,
            prepared.compared * heads.compared(recipe),
            folder,
            accelerator,
        ),
    )
    calibration = operating_point.load(calibrated.folder)
    evaluated = stages.run(
        run,
        "evaluate",
        {"calibrate": calibrated.fingerprint},
        lambda folder: evaluate.work(
            model,
            recipe,
            [image.path for image in test],
            np.array([image.label for image in test], dtype=np.int64),
            calibration,
            folder,
            accelerator,
        ),
    )
    with np.load(calibrated.folder / operating_point.SCORES) as stored:
        validation_logits, validation_cams = stored["logits"], stored["cams"]
    with np.load(evaluated.folder / evaluate.SCORES) as stored:
        test_logits, test_cams = stored["logits"], stored["cams"]
    real = [number for number, image in enumerate(prepared.validation) if not image.synthetic]
    exported = stages.run(
        run,
        "export",
        {"evaluate": evaluated.fingerprint, "export": recipe.export.model_dump(), "opset": export.OPSET},
        lambda folder: export.work(
            model,
            recipe,
            [prepared.validation[number].path for number in real] + [image.path for image in test],
            np.concatenate([validation_logits[real], test_logits]),
            calibration,
            folder,
        ),
    )
    seconds = prepared.seconds | {
        "train": train.seconds,
        "fuse": fused.seconds,
        "calibrate": calibrated.seconds,
        "evaluate": evaluated.seconds,
        "export": exported.seconds,
    }
    outcome = assemble.Outcome(
        root=data.absolute(),
        recipe=recipe,
        train=prepared.train,
        validation=prepared.validation,
        validation_logits=validation_logits,
        test=test,
        test_logits=test_logits,
        cams=test_cams if test else validation_cams,
        table=splits.table(prepared.samples, prepared.synthetic),
        history=stages.read_json(train.folder / "history.json"),
        calibration=calibration,
        metrics=stages.read_json(evaluated.folder / "metrics.json"),
        parity=Parity.model_validate(stages.read_json(exported.folder / "parity.json")),
        model=exported.folder / export.MODEL,
        provenance=assemble.provenance(recipe, prepared.data, weights, model, seconds),
        generation=prepared.generation,
        judges=fuse.judges(fused.folder, any(image.synthetic for image in prepared.validation)),
    )
    folder = run / "report"
    folder.mkdir(exist_ok=True)
    made = assemble.work(outcome, run / "bundle", folder)
    link_latest(run)
    return made


def link_latest(run: Path) -> None:
    """Point `runs/latest` at this run's bundle, for runs that live in a folder named `runs`."""
    if run.absolute().parent.name != "runs":
        return
    link = run.parent / "latest"
    temporary = run.parent / ".latest"
    try:
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(Path(run.name) / "bundle", target_is_directory=True)
        temporary.replace(link)
    except OSError as error:
        raise SinkError(f"cannot point {link} at the new bundle: {error.strerror}") from error
