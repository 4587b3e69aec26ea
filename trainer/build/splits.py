"""Stage `split`: who trains, who calibrates, who is sealed; and which real defects the scenario may learn from."""

from collections import Counter
from pathlib import Path
from typing import Any

from inspector.errors import DataError
from trainer.build.index import save_samples
from trainer.data import split
from trainer.data.samples import Sample
from trainer.recipe import Recipe


def inputs(indexed: str, recipe: Recipe) -> dict[str, Any]:
    """What the division depends on; `indexed` is the fingerprint of the stage `index`, which tells the given splits."""
    section = recipe.data.model_dump(exclude={"resplit"})
    return {"index": indexed, "data": section, "scenario": recipe.scenario, "seed": recipe.seed} | draw(recipe)


def draw(recipe: Recipe) -> dict[str, str]:
    """The rule by which a few-shot build draws its defects; empty for builds that draw none."""
    return {"few_shot": split.DRAW} if recipe.scenario == "few_shot" else {}


def divide(samples: list[Sample], recipe: Recipe) -> list[Sample]:
    """Give every sample its split; training defects beyond the scenario's are left out.

    Raises:
        DataError: too few defects for the scenario.
    """
    assigned = split.assign(samples, recipe.seed, recipe.data.val_fraction, recipe.data.test_fraction)
    return restrict(assigned, recipe)


def restrict(assigned: list[Sample], recipe: Recipe) -> list[Sample]:
    """Leave out the training defects that the scenario does not see; raises as `divide`."""
    if recipe.scenario == "zero_shot":
        assigned = split.zero_shot(assigned)
    elif recipe.scenario == "few_shot":
        assigned = split.few_shot(assigned, recipe.data.few_shot, recipe.seed)
    return assigned


def work(samples: list[Sample], recipe: Recipe, folder: Path) -> None:
    """Write `samples.json`: every sample with its split.

    Raises:
        DataError: no good image to train on, or too few defects for the scenario.
    """
    assigned = divide(samples, recipe)
    train = [sample for sample in assigned if sample.split == "train"]
    if not any(sample.label == 0 for sample in train):
        raise DataError("the training split holds no good image: add some; a build cannot learn from defects alone")
    if recipe.scenario == "full_shot" and not any(sample.label == 1 for sample in train):
        raise DataError(
            "the training split holds no defect, and full_shot learns from real ones: "
            "add some, or build with --scenario zero_shot"
        )
    save_samples(folder / "samples.json", assigned)


def table(samples: list[Sample], synthetic: dict[str, int]) -> list[dict[str, Any]]:
    """One row a split: `split, good, defect, synthetic, groups`."""
    counts = Counter((sample.split, sample.label) for sample in samples)
    return [
        {
            "split": name,
            "good": counts[name, 0],
            "defect": counts[name, 1],
            "synthetic": synthetic.get(name, 0),
            "groups": len({sample.group for sample in samples if sample.split == name and sample.group}),
        }
        for name in ("train", "val", "test")
    ]
