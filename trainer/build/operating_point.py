"""Stage `calibrate`: the operating point from validation scores."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from accelerate import Accelerator

from calibration.calibrate import calibrate, provable
from calibration.guarantee import errors_allowed
from calibration.policies import parse
from inspector.manifest import Calibration
from models.network import Network
from trainer import heads
from trainer.recipe import Recipe
from trainer.stages import write_json
from trainer.torch_scores import score
from trainer.training_set import TrainingImage

SCORES = "scores.npz"


def require_support(recipe: Recipe, validation: Sequence[TrainingImage], compared: int) -> None:
    """Refuse a policy that these validation images can never prove, before hours of training go by.

    `compared` ways to train were compared on these images; the ways to weigh evidence come on top.

    Raises:
        DataError: too few images for the level; the message says how many are needed.
    """
    rule = parse(recipe.calibrate.policy)
    if recipe.calibrate.guarantee and provable(rule, _kind(validation)):
        labels = [image.label for image in validation]
        errors_allowed(rule, labels, recipe.calibrate.confidence, compared * heads.compared(recipe))


def work(
    model: Network,
    recipe: Recipe,
    validation: Sequence[TrainingImage],
    compared: int,
    folder: Path,
    accelerator: Accelerator,
) -> None:
    """Score the validation images and write `scores.npz` (logits, cams) and `calibration.json`.

    `compared` networks were compared on these images before `model` was chosen.

    Raises:
        DataError: the validation images cannot support the policy; the message says what would.
    """
    scored = score(model.to(accelerator.device), [image.path for image in validation], recipe.input, accelerator.device)
    np.savez(folder / SCORES, logits=scored.logits, cams=scored.cams)
    kind = _kind(validation)
    result = calibrate(
        np.array([image.label for image in validation]),
        scored.logits,
        policy=recipe.calibrate.policy,
        confidence=recipe.calibrate.confidence,
        guarantee=recipe.calibrate.guarantee,
        defects=kind,
        compared=compared,
        source="validation split" + (" with synthetic defects" if kind == "synthetic" else ""),
        seed=recipe.seed,
    )
    write_json(folder / "calibration.json", result.calibration.model_dump(mode="json"))


def _kind(validation: Sequence[TrainingImage]) -> Literal["real", "synthetic"]:
    return "synthetic" if any(image.synthetic for image in validation) else "real"


def load(folder: Path) -> Calibration:
    """The operating point a finished stage wrote."""
    return Calibration.model_validate_json((folder / "calibration.json").read_text(encoding="utf-8"))
