"""Stage `fine_tune`: the in-distribution generator learns the surface."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from rich.console import Console

from trainer.augment import Learner, Material, registry
from trainer.build import network
from trainer.data.samples import Sample
from trainer.recipe import Recipe


def material(samples: Sequence[Sample], recipe: Recipe, weights: str) -> Material:
    """What a generator may see: the real training images."""
    return Material(
        normals=[sample.path for sample in samples if sample.split == "train" and sample.label == 0],
        defects=[sample.path for sample in samples if sample.split == "train" and sample.label == 1],
        spec=recipe.input,
        scenario=recipe.scenario,
        seed=recipe.seed,
        weights=weights,
    )


def needed(recipe: Recipe) -> bool:
    """Whether the recipe draws in-distribution defects at all."""
    return recipe.augment.kind in ("diffusion", "in_and_out") and recipe.augment.n != 0


def inputs(recipe: Recipe, weights: str, split: str) -> dict[str, Any]:
    """What the stage depends on; settings that matter for drawing alone are left out."""
    section = getattr(recipe, recipe.augment.generator)
    return {
        "split": split,
        "generator": recipe.augment.generator,
        "section": section.model_dump(mode="json", exclude=set(section.DRAWING)),
        "input": recipe.input.model_dump(),
        "weights": network.weights_identity(weights),
        "seed": recipe.seed,
    }


def work(material: Material, recipe: Recipe, folder: Path, accelerator: Accelerator, console: Console) -> None:
    """Train the generator into `folder`; called on every process."""
    augmenter = registry.create(recipe.augment.generator, material, recipe)
    if isinstance(augmenter, Learner):
        augmenter.fit(folder, accelerator, console)
