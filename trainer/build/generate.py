"""Stage `generate`: synthetic defects for training, and for calibration where no real defect is at hand."""

from collections.abc import Sequence
from pathlib import Path

from trainer.augment import registry
from trainer.data.newfolder import write_png
from trainer.data.samples import Sample
from trainer.recipe import Recipe
from trainer.stages import read_json, write_json

RECORDS = "records.json"
_CALIBRATION_DEFECTS = 60
_CALIBRATION_SEED = 1_000_003


def plan(samples: Sequence[Sample], recipe: Recipe) -> dict[str, int]:
    """How many synthetic defects each split gets.

    Training gets what the recipe asks for. Validation gets some only where it holds no real defect, so that a
    threshold can be picked at all.
    """
    real = any(sample.label == 1 for sample in samples if sample.split == "val")
    return {
        "train": 0 if recipe.augment.kind == "none" else recipe.augment.n,
        "val": 0 if real else _CALIBRATION_DEFECTS,
    }


def work(samples: Sequence[Sample], recipe: Recipe, folder: Path) -> None:
    """Write `<split>/<k>.png`, `<split>/<k>_mask.png` where the generator knows it, and `records.json`."""
    records = []
    for split, count in plan(samples, recipe).items():
        normals = [sample.path for sample in samples if sample.split == split and sample.label == 0]
        if not count or not normals:
            continue
        kind = "memseg" if recipe.augment.kind == "none" else recipe.augment.kind
        seed = recipe.seed if split == "train" else recipe.seed + _CALIBRATION_SEED
        augmenter = registry.create(kind, normals, recipe.input, textures=recipe.augment.textures)
        (folder / split).mkdir(exist_ok=True)
        for number, image in enumerate(augmenter.generate(count, seed)):
            name = f"{split}/{number:05d}"
            write_png(folder / f"{name}.png", image.pixels)
            if image.mask is not None:
                write_png(folder / f"{name}_mask.png", image.mask)
            records.append({"path": f"{name}.png", "split": split, "provenance": image.provenance})
    write_json(folder / RECORDS, records)


def paths(folder: Path, split: str) -> list[Path]:
    """The synthetic images of a split, in order."""
    return [folder / record["path"] for record in read_json(folder / RECORDS) if record["split"] == split]
