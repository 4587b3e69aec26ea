"""Stage `report`: `scores.csv`, `report.html`, and the bundle that joins them with the model."""

import csv
import importlib.metadata
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from inspector import bundle, imagefile, preprocess
from inspector.bundle import Bundle
from inspector.manifest import Calibration, Manifest, ModelEntry, Parity
from inspector.preprocess import InputSpec
from models.network import Network
from trainer.build.evaluate import judged
from trainer.recipe import Recipe
from trainer.report import Picture, ReportInputs, Scores, render
from trainer.report.generation import GenerationFigures
from trainer.report.judges import Judges
from trainer.training_set import TrainingImage

_GRID = 12
_PACKAGES = ("inandout", "torch", "torchvision", "accelerate", "onnx", "onnxscript", "onnxruntime", "numpy")
_CSV = ("path", "label", "split", "logit", "probability", "verdict")


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What the earlier stages produced; arrays follow the order of the image lists."""

    root: Path
    recipe: Recipe
    train: Sequence[TrainingImage]
    validation: Sequence[TrainingImage]
    validation_logits: npt.NDArray[np.float32]
    test: Sequence[TrainingImage]
    test_logits: npt.NDArray[np.float32]
    cams: npt.NDArray[np.float32]
    table: Sequence[dict[str, Any]]
    history: Sequence[dict[str, float]]
    calibration: Calibration
    metrics: dict[str, float]
    parity: Parity
    model: Path
    provenance: dict[str, Any]
    generation: GenerationFigures | None
    judges: Judges | None

    @property
    def judged_images(self) -> Sequence[TrainingImage]:
        """The images that `cams` belong to: the test split, or validation where there is none."""
        return self.test or self.validation


def provenance(
    recipe: Recipe, data: dict[str, Any], weights: str, model: Network, seconds: dict[str, float]
) -> dict[str, Any]:
    """What it takes to build this again, JSON-serialisable."""
    return {
        "recipe": recipe.model_dump(mode="json"),
        "data": data,
        "weights": weights,
        "classifier": model.classifier.config.as_dict(),
        "fusion": model.fusion.as_dict(),
        "seed": recipe.seed,
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        "stage_seconds": {name: round(value, 1) for name, value in seconds.items()},
    }


def work(outcome: Outcome, destination: Path, folder: Path) -> Bundle:
    """Write the report and the score table into `folder`, and the bundle to `destination`."""
    created = datetime.now(UTC).isoformat(timespec="seconds")
    validation = _judged(outcome, outcome.validation, outcome.validation_logits)
    test = _judged(outcome, outcome.test, outcome.test_logits)
    table = folder / "scores.csv"
    _write_scores(table, [("val", validation), ("test", test)])
    page = folder / "report.html"
    worst = _worst(outcome, test if outcome.test else validation, outcome.recipe.input)
    render.write(_report(outcome, created, validation, test if "ap" in outcome.metrics else None, worst), page)
    manifest = Manifest(
        name=outcome.recipe.name,
        created=created,
        models=[ModelEntry(**bundle.describe(outcome.model).model_dump(), precision="fp32")],
        files=[bundle.describe(table), bundle.describe(page)],
        input=outcome.recipe.input,
        calibration=outcome.calibration,
        provenance=outcome.provenance,
        metrics=outcome.metrics,
        parity=outcome.parity,
    )
    return bundle.write(destination, manifest, {path.name: path for path in (outcome.model, table, page)})


def _judged(outcome: Outcome, images: Sequence[TrainingImage], logits: npt.NDArray[np.float32]) -> Scores:
    labels = np.array([image.label for image in images], dtype=np.int64)
    return judged([_shown(image.path, outcome.root) for image in images], labels, logits, outcome.calibration)


def _shown(path: Path, root: Path) -> str:
    """Relative to the data folder; a synthetic image keeps its last two parts."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else "synthetic:" + "/".join(path.parts[-2:])


def _write_scores(path: Path, splits: Sequence[tuple[str, Scores]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(_CSV)
        for split, scores in splits:
            writer.writerows(
                (name, int(label), split, repr(float(logit)), repr(float(probability)), verdict)
                for name, label, logit, probability, verdict in zip(
                    scores.paths, scores.labels, scores.logits, scores.probabilities, scores.verdicts, strict=True
                )
            )


def _report(
    outcome: Outcome, created: str, validation: Scores, test: Scores | None, worst: Sequence[Picture]
) -> ReportInputs:
    spec = outcome.recipe.input
    synthetic = [image for image in outcome.train if image.synthetic] or [
        image for image in outcome.validation if image.synthetic
    ]
    return ReportInputs(
        name=outcome.recipe.name,
        scenario=outcome.recipe.scenario,
        created=created,
        notes=_notes(outcome),
        data_table=outcome.table,
        real_defects=_grid([image for image in outcome.train if image.label and not image.synthetic], outcome, spec),
        normals=_grid([image for image in outcome.train if not image.label], outcome, spec),
        synthetic_defects=_grid(synthetic, outcome, spec),
        history=outcome.history,
        validation=validation,
        test=test,
        calibration=outcome.calibration,
        metrics=outcome.metrics,
        worst_errors=worst,
        parity=outcome.parity,
        provenance=outcome.provenance,
        generation=outcome.generation,
        judges=outcome.judges,
    )


def _notes(outcome: Outcome) -> list[str]:
    notes = []
    if outcome.calibration.defects == "synthetic":
        notes.append(
            "The threshold comes from synthetic defects: no real defect was available for calibration. "
            "Collect real ones and run inandout-calibrate before relying on it."
        )
    if "ap" not in outcome.metrics:
        notes.append(
            "The test split lacks good images or defects: no figure on this page was measured on unseen images."
        )
    if outcome.calibration.n_defect < 20:
        notes.append(
            f"Only {outcome.calibration.n_defect} defects support the threshold: read its intervals before its figures."
        )
    return notes


def _grid(images: Sequence[TrainingImage], outcome: Outcome, spec: InputSpec) -> list[Picture]:
    chosen = np.unique(np.linspace(0, max(0, len(images) - 1), min(len(images), _GRID)).astype(int))
    return [
        Picture(preprocess.fit(imagefile.read(images[index].path), spec), _shown(images[index].path, outcome.root))
        for index in chosen
    ]


def _worst(outcome: Outcome, scores: Scores, spec: InputSpec) -> list[Picture]:
    """Wrong verdicts first, the most confident ones leading; then the least certain right ones."""
    margin = scores.probabilities - outcome.calibration.threshold
    against = np.where(scores.labels == 1, -margin, margin)
    pictures = []
    for index in np.argsort(-against)[:_GRID]:
        image = outcome.judged_images[index]
        truth = "defect" if image.label else "good"
        pictures.append(
            Picture(
                preprocess.fit(imagefile.read(image.path), spec),
                f"{scores.paths[index]}: {truth}, judged {scores.verdicts[index]} "
                f"({scores.probabilities[index]:.3f} against {outcome.calibration.threshold:.3f})",
                outcome.cams[index],
            )
        )
    return pictures
