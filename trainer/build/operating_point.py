"""Stage `calibrate`: the operating point from validation scores."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from accelerate import Accelerator

from calibration.calibrate import calibrate
from inspector.manifest import Calibration
from models.classifier import Classifier
from trainer.recipe import Recipe
from trainer.stages import write_json
from trainer.torch_scores import score
from trainer.training_set import TrainingImage

SCORES = "scores.npz"


def work(
    model: Classifier, recipe: Recipe, validation: Sequence[TrainingImage], folder: Path, accelerator: Accelerator
) -> None:
    """Score the validation images and write `scores.npz` (logits, cams) and `calibration.json`.

    Raises:
        DataError: the validation images cannot support the policy; the message says what would.
    """
    scored = score(model.to(accelerator.device), [image.path for image in validation], recipe.input, accelerator.device)
    np.savez(folder / SCORES, logits=scored.logits, cams=scored.cams)
    synthetic = any(image.synthetic for image in validation)
    result = calibrate(
        np.array([image.label for image in validation]),
        scored.logits,
        policy=recipe.calibrate.policy,
        confidence=recipe.calibrate.confidence,
        defects="synthetic" if synthetic else "real",
        source="validation split" + (" with synthetic defects" if synthetic else ""),
        seed=recipe.seed,
    )
    write_json(folder / "calibration.json", result.calibration.model_dump(mode="json"))


def load(folder: Path) -> Calibration:
    """The operating point a finished stage wrote."""
    return Calibration.model_validate_json((folder / "calibration.json").read_text(encoding="utf-8"))
