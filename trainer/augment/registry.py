"""The generators by the name that recipes and command lines use."""

import importlib
from collections.abc import Callable

from inspector.errors import RecipeError
from trainer.augment import Augmenter, Material
from trainer.recipe import Recipe

AUGMENTERS = {
    "memseg": "trainer.augment.memseg:create",
    "in_domain": "trainer.augment.in_domain:create",
    "strokes": "trainer.augment.painted:create",
    "inpaint": "trainer.augment.inpaint:create",
    "stable_diffusion": "trainer.augment.stable_diffusion:create",
}
"""Name -> `module:function`, a `(Material, Recipe) -> Augmenter`; imported when asked for, since generators may need
heavy packages."""


def create(name: str, material: Material, recipe: Recipe) -> Augmenter:
    """Make a generator; one that is also a `trainer.augment.Learner` has to be fitted and loaded before it draws.

    Raises:
        RecipeError: unknown name.
        DataError: the generator refuses its images or options.
    """
    if name not in AUGMENTERS:
        raise RecipeError(f"unknown generator {name!r}: use {', '.join(AUGMENTERS)}")
    module, _, function = AUGMENTERS[name].partition(":")
    make: Callable[[Material, Recipe], Augmenter] = getattr(importlib.import_module(module), function)
    return make(material, recipe)
