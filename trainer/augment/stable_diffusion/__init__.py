"""In-distribution defects by DreamBooth with LoRA-C3Lier on Stable Diffusion (In&Out, VISAPP 2024)."""

from typing import TYPE_CHECKING

from trainer.augment import Material
from trainer.recipe import Recipe

if TYPE_CHECKING:
    from trainer.augment.stable_diffusion.generator import StableDiffusion


def create(material: Material, recipe: Recipe) -> "StableDiffusion":
    """The generator as the recipe's section `stable_diffusion` wants it; loads nothing yet."""
    from trainer.augment.stable_diffusion.generator import StableDiffusion

    return StableDiffusion(material, recipe.stable_diffusion)
