"""The generators by the name that recipes and command lines use."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from inspector.errors import RecipeError
from inspector.preprocess import InputSpec
from trainer.augment import Augmenter

AUGMENTERS = {
    "memseg": "trainer.augment.memseg:MemSeg",
}
"""Name -> `module:class`; imported when asked for, since generators may need heavy packages.

A class takes `(normals, spec, **options)` and fulfils `trainer.augment.Augmenter`.
"""


def create(kind: str, normals: Sequence[Path], spec: InputSpec, **options: Any) -> Augmenter:
    """Make a generator.

    Args:
        kind: a name of `AUGMENTERS`.
        normals: files of defect-free images.
        spec: the model's input; generated images have its size.
        options: passed on; see the generator's class.

    Raises:
        RecipeError: unknown kind.
        DataError: the generator refuses its images or options.
    """
    if kind not in AUGMENTERS:
        raise RecipeError(f"unknown augmentation {kind!r}: use {', '.join(AUGMENTERS)}")
    module, _, name = AUGMENTERS[kind].partition(":")
    return cast(Augmenter, getattr(importlib.import_module(module), name)(normals, spec, **options))
