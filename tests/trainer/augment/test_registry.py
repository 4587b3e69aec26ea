import cv2
import numpy as np
import pytest

from inspector.errors import DataError, RecipeError
from inspector.preprocess import InputSpec
from trainer.augment import Augmenter, Learner, Material, registry
from trainer.augment.memseg import MemSeg
from trainer.recipe import resolve


@pytest.fixture
def material(tmp_path) -> Material:
    cv2.imwrite(str(tmp_path / "part.png"), np.full((32, 32), 90, np.uint8))
    return Material([tmp_path / "part.png"], [tmp_path / "part.png"], InputSpec(width=32, height=32))


@pytest.mark.parametrize("name", registry.AUGMENTERS)
def test_every_entry_can_be_made(name, material):
    augmenter: Augmenter = registry.create(name, material, resolve("default", {}))
    if not isinstance(augmenter, Learner):
        assert len(list(augmenter.generate(2, 0))) == 2


def test_the_recipe_is_heeded(material, tmp_path):
    made = registry.create("memseg", material, resolve("default", {"augment.line_share": 0.25}))
    assert isinstance(made, MemSeg)
    assert made.line_share == 0.25
    with pytest.raises(DataError, match="texture folder"):
        registry.create("memseg", material, resolve("default", {"augment.textures": str(tmp_path / "none")}))


def test_unknown_name_tells_the_known(material):
    with pytest.raises(RecipeError, match="'cutpaste': use memseg"):
        registry.create("cutpaste", material, resolve("default", {}))
