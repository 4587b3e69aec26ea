"""Training-free defects: an inpainting model paints a prompt into a region of a real good image (DIAG, 2024)."""

from typing import TYPE_CHECKING

from trainer.augment import Material
from trainer.recipe import Recipe

if TYPE_CHECKING:
    from trainer.augment.inpaint.generator import Inpaint


def create(material: Material, recipe: Recipe) -> "Inpaint":
    """The generator as the recipe's section `inpaint` wants it; loads nothing yet.

    Raises:
        DataError: no good image to paint on, or sampler steps and strength that leave nothing to do.
    """
    from trainer.augment.inpaint.generator import Inpaint

    return Inpaint(material, recipe.inpaint)
