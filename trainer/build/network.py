"""Stage `train`: start weights, the classifier, its training."""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from accelerate import Accelerator
from rich.console import Console
from safetensors.torch import load_file

from inspector.bundle import sha256_of
from inspector.errors import DataError, InandoutError
from models import weights
from models.classifier import STAGES, Classifier, ClassifierConfig
from trainer import classify, heads
from trainer.build.progress import training_progress
from trainer.data.samples import Sample
from trainer.recipe import Recipe, Supervision
from trainer.stages import read_json, write_json
from trainer.training_set import TrainingImage

logger = logging.getLogger(__name__)


def weights_identity(choice: str) -> str:
    """What the stage's fingerprint says of the start weights: a checksum for a file, else the choice's name.

    Raises:
        InandoutError: the file is missing.
    """
    if choice in ("imagenet", "none"):
        return choice
    if not Path(choice).is_file():
        raise InandoutError(f"no weights at {choice}: give a safetensors file, 'imagenet' or 'none'")
    return sha256_of(Path(choice))


def images(
    samples: Sequence[Sample],
    synthetic: Sequence[Path],
    split: str,
    masks: Mapping[Path, Path] | None = None,
    supervision: Supervision = "image",
) -> list[TrainingImage]:
    """The images of a split: real ones first, then synthetic defects.

    Args:
        samples, synthetic, split: where to take them from.
        masks: of synthetic defects, by the image's path.
        supervision: whether real defects bring their masks; see `trainer.recipe.DenseSection`.

    Raises:
        DataError: `pixel` supervision, and a real defect of the split has no mask.
    """
    inside = [sample for sample in samples if sample.split == split]
    bare = [sample.path for sample in inside if sample.label == 1 and sample.mask is None]
    if supervision == "pixel" and bare:
        raise DataError(
            f"dense.supervision=pixel, but {len(bare)} defects in {split} have no mask, such as {bare[0]}: "
            "add them, or use dense.supervision=mixed"
        )
    shown = [None if supervision == "image" else sample.mask for sample in inside]
    real = [TrainingImage(sample.path, sample.label, mask=mask) for sample, mask in zip(inside, shown, strict=True)]
    return real + [TrainingImage(path, 1, synthetic=True, mask=(masks or {}).get(path)) for path in synthetic]


def work(
    recipe: Recipe,
    choice: str,
    train: Sequence[TrainingImage],
    validation: Sequence[TrainingImage],
    folder: Path,
    accelerator: Accelerator,
    console: Console,
) -> None:
    """Fill `folder` with `model.safetensors`, `history.json`, `config.json` and TensorBoard scalars.

    Raises:
        InandoutError: the weights do not fit, or training failed or was interrupted.
    """
    try:
        start = _start(choice)
        config = heads.config(recipe, "conv2" if start is None else start.stride_on)
        torch.manual_seed(recipe.seed)
        model = Classifier(config)
        fresh = list(STAGES) if start is None else weights.load(model.backbone, start)
    except weights.WeightsError as error:
        raise InandoutError(str(error)) from None
    if start is None:
        logger.warning("EVERY layer starts from random weights: expect to need far more images and epochs")
    else:
        logger.info("start weights %s (stride on %s)", start.origin, config.stride_on)
        logger.warning("initialised fresh: %s", ", ".join([*fresh, *(["heads"] if config.heads else [])]))
    if accelerator.is_main_process:
        write_json(folder / "config.json", config.as_dict())

    if not config.heads:
        logger.info("nothing to train: the memory judges by the start weights' features")
        if accelerator.is_main_process:
            classify.finish(model, [], folder)
        return
    with training_progress(console, recipe.train.epochs) as (on_epoch, on_step):
        told = dataclasses.replace(training_task(recipe, train, validation, fresh), on_epoch=on_epoch, on_step=on_step)
        classify.train(model, told, folder, accelerator)


def training_task(
    recipe: Recipe, train: Sequence[TrainingImage], validation: Sequence[TrainingImage], fresh: Sequence[str]
) -> classify.TrainingTask:
    """What the recipe's training learns from, and how; `fresh` are the backbone's stages without start weights."""
    return classify.TrainingTask(
        images=train,
        validation=validation,
        spec=recipe.input,
        recipe=recipe.train,
        seed=recipe.seed,
        fresh=fresh,
        pixel_weight=heads.pixel_weight(recipe),
        noise=heads.feature_noise(recipe),
    )


def load(folder: Path) -> Classifier:
    """The trained classifier of a finished stage, in evaluation mode."""
    model = Classifier(ClassifierConfig.from_dict(read_json(folder / "config.json")))
    model.load_state_dict(load_file(folder / classify.WEIGHTS))
    return model.eval()


def _start(choice: str) -> weights.StartWeights | None:
    if choice == "none":
        return None
    return weights.download() if choice == "imagenet" else weights.read(Path(choice))
