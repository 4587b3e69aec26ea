"""From the recipe to the heads of the network."""

from dataclasses import fields

from models.classifier import STAGES, ClassifierConfig
from models.head import DENSE, PLAIN, HeadConfig
from models.network import MEMORY
from trainer import fusion
from trainer.recipe import HeadSection, Recipe

_FIELDS = {field.name for field in fields(HeadConfig)}


def trained(recipe: Recipe) -> dict[str, HeadConfig]:
    """The heads that training teaches, by name; none for `memory`."""
    sections: dict[str, HeadSection] = {PLAIN: recipe.model, DENSE: recipe.dense}
    chosen = recipe.model.head
    names = {"plain": [PLAIN], "dense": [DENSE], "memory": []}.get(chosen, [PLAIN, DENSE])
    return {name: HeadConfig(**sections[name].model_dump(include=_FIELDS)) for name in names}


def config(recipe: Recipe, stride_on: str = "conv2") -> ClassifierConfig:
    """What the recipe's network is built from."""
    heads = trained(recipe)
    read = [level for head in heads.values() for level in head.levels] + list(memory_levels(recipe))
    return ClassifierConfig(
        heads=heads,
        last=max(read, key=STAGES.index),
        stride_on=stride_on,
        mean=recipe.input.mean,
        std=recipe.input.std,
    )


def pixel_weight(recipe: Recipe) -> float:
    """The weight of the loss on cells; 0 without the head that it teaches."""
    return recipe.dense.pixel_loss if DENSE in trained(recipe) else 0.0


def feature_noise(recipe: Recipe) -> float:
    """The strength of the noise shown to the head `dense`; 0 without that head."""
    return recipe.dense.noise if DENSE in trained(recipe) else 0.0


def ways_to_weigh(recipe: Recipe) -> list[fusion.Shares]:
    """The sums of evidence that are compared on validation images; none where a single kind is asked for."""
    names = [*trained(recipe), *([MEMORY] if memory_levels(recipe) else [])]
    if len(names) == 1:
        return []
    return fusion.whole_sums(names) if recipe.model.head == "fused" else fusion.sums(names)


def compared(recipe: Recipe) -> int:
    """How many networks the ways to weigh make, compared on the validation images before one is chosen."""
    return max(1, len(ways_to_weigh(recipe)))


def memory_levels(recipe: Recipe) -> tuple[str, ...]:
    """The stages whose patches the memory holds; none without it."""
    return recipe.memory.levels if recipe.model.head in ("memory", "fused", "auto") else ()
