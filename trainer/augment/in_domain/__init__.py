"""In-domain latent diffusion: trained from scratch on the user's own images, so that no download is needed."""

from trainer.augment import Augmenter, Material
from trainer.recipe import Recipe


def create(material: Material, recipe: Recipe) -> Augmenter:
    """The generator as the recipe's section `in_domain` wants it."""
    from trainer.augment.in_domain.generator import InDomain

    return InDomain(material, recipe.in_domain)
