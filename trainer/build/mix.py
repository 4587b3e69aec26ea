"""Stage `mix`: which synthetic images training sees, fixed by the recipe or searched on validation images."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from inspector import imagefile, preprocess
from trainer.augment import mix as search
from trainer.augment.features import Features
from trainer.build import generate, pools
from trainer.data.samples import Sample
from trainer.recipe import Recipe
from trainer.review.accepted import AcceptedImage
from trainer.stages import read_json, write_json

logger = logging.getLogger(__name__)
_CHOSEN = "images.json"
_UNSEARCHED = 100
_GOOD_AT_MOST = 400  # about 1 MB of features each


def inputs(recipe: Recipe, generated: str, accepted: Sequence[AcceptedImage], rejected: set[str]) -> dict[str, Any]:
    """What the stage depends on."""
    return {
        "generate": generated,
        "accepted": [image.sha256 for image in accepted],
        "rejected": sorted(rejected),
        "augment": recipe.augment.model_dump(mode="json"),
        "synthetic_worth": recipe.train.synthetic_worth if recipe.augment.n == "auto" else None,
        "seed": recipe.seed,
    }


def work(
    samples: Sequence[Sample],
    recipe: Recipe,
    weights: str,
    device: str,
    generated: Path,
    accepted: Sequence[AcceptedImage],
    rejected: set[str],
    folder: Path,
) -> None:
    """Write `images.json`: paths for training and for calibration, masks by path, and the table of a search.

    Images accepted in the review come on top of what the recipe asks for; rejected ones are left out.
    """
    available = {
        name: [path for path in pools.kept(generated / name) if f"{name}/{path.name}" not in rejected]
        for name in generate.wanted(recipe)
    }
    table = None
    if recipe.augment.n != "auto":
        counts = generate.wanted(recipe)
    elif len({sample.label for sample in samples if sample.split == "val"}) < 2:
        logger.warning(
            "augment.n=auto: validation lacks a class to search on, %d synthetic defects are taken", _UNSEARCHED
        )
        unsearched = recipe.augment.model_copy(update={"n": _UNSEARCHED})
        counts = generate.wanted(recipe.model_copy(update={"augment": unsearched}))
    else:
        choice = _searched(samples, recipe, weights, device, available)
        table = choice.table
        halves = search.split(choice.n, choice.share)
        counts = {name: halves[half] for half, name in generate.generators(recipe).items()}
        logger.info(
            "augmentation picked on validation images: %d defects, %.0f %% by diffusion", choice.n, 100 * choice.share
        )
    train = [path for name, paths in available.items() for path in paths[: counts[name]]]
    calibration = generated / generate.CALIBRATION
    write_json(
        folder / _CHOSEN,
        {
            "train": [str(path) for path in train] + [str(image.path) for image in accepted],
            "val": [str(path) for path in pools.kept(calibration)] if calibration.is_dir() else [],
            "masks": {str(path): str(mask) for path, mask in _masks(train, accepted).items()},
            "table": table,
        },
    )


def load(folder: Path) -> dict[str, list[Path]]:
    """The chosen images by split."""
    chosen = read_json(folder / _CHOSEN)
    return {split: [Path(path) for path in chosen[split]] for split in ("train", "val")}


def masks(folder: Path) -> dict[Path, Path]:
    """Where the chosen training images' masks lie, for those that have one."""
    return {Path(path): Path(mask) for path, mask in read_json(folder / _CHOSEN)["masks"].items()}


def table(folder: Path) -> list[dict[str, Any]] | None:
    """What `auto` measured, a row a candidate; None where nothing was searched."""
    found: list[dict[str, Any]] | None = read_json(folder / _CHOSEN)["table"]
    return found


def compared(folder: Path) -> int:
    """How many numbers and mixes a search compared on the validation images; 1 where none was made."""
    return len(table(folder) or ()) or 1


def _masks(train: Sequence[Path], accepted: Sequence[AcceptedImage]) -> dict[Path, Path]:
    known = {path: pools.mask_of(path) for path in train} | {image.path: image.mask for image in accepted}
    return {path: mask for path, mask in known.items() if mask is not None and mask.is_file()}


def _searched(
    samples: Sequence[Sample], recipe: Recipe, weights: str, device: str, available: dict[str, list[Path]]
) -> search.Choice:
    validation = [sample for sample in samples if sample.split == "val"]
    labels = np.array([sample.label for sample in validation])
    features = Features(weights, device)

    def of(paths: Sequence[Path]) -> Any:
        return features.of(preprocess.fit(imagefile.read(path), recipe.input) for path in paths) if paths else None

    train = [sample for sample in samples if sample.split == "train"]
    good = of([sample.path for sample in train if sample.label == 0][:_GOOD_AT_MOST])
    bad = of([sample.path for sample in train if sample.label == 1])
    return search.choose(
        search.RealFeatures(good, good[:0] if bad is None else bad),
        {("memseg" if name == "memseg" else "diffusion"): of(paths) for name, paths in available.items() if paths},
        (of([sample.path for sample in validation]), labels),
        seed=recipe.seed,
        synthetic_worth=recipe.train.synthetic_worth,
    )
