import cv2
import numpy as np
import pytest

from inspector.errors import DataError, RecipeError
from inspector.preprocess import InputSpec
from trainer.augment import registry
from trainer.augment.memseg import MemSeg


def test_every_entry_can_be_made_and_draws(tmp_path):
    cv2.imwrite(str(tmp_path / "part.png"), np.full((32, 32), 90, np.uint8))
    for kind in registry.AUGMENTERS:
        augmenter = registry.create(kind, [tmp_path / "part.png"], InputSpec(width=32, height=32))
        assert len(list(augmenter.generate(2, 0))) == 2


def test_options_are_passed_on(tmp_path):
    made = registry.create("memseg", [tmp_path / "part.png"], InputSpec(), structural_share=0.25)
    assert isinstance(made, MemSeg)
    assert made.structural_share == 0.25
    with pytest.raises(DataError, match="texture folder"):
        registry.create("memseg", [tmp_path / "part.png"], InputSpec(), textures=tmp_path / "none")


def test_unknown_kind_names_the_known():
    with pytest.raises(RecipeError, match="'cutpaste': use memseg"):
        registry.create("cutpaste", [], InputSpec())
