"""Which synthetic images training sees where there is nothing to search on."""

import logging

import cv2
import numpy as np

from trainer.augment import registry
from trainer.build import fine_tune, mix, pools
from trainer.data.samples import Sample
from trainer.recipe import resolve


def test_without_real_defects_in_validation_a_hundred_are_taken(tmp_path, caplog):
    rng = np.random.default_rng(0)
    for number in range(6):
        cv2.imwrite(str(tmp_path / f"{number}.png"), rng.integers(90, 130, (48, 32), dtype=np.uint8))
    samples = [
        Sample(tmp_path / f"{number}.png", int(number == 0), "train" if number < 4 else "val") for number in range(6)
    ]
    recipe = resolve(
        "default",
        {"scenario": "few_shot", "augment.generator": "strokes", "input.width": 32, "input.height": 48},
    )
    assert recipe.augment.n == "auto"
    material = fine_tune.material(samples, recipe, "none")
    for name in ("memseg", "strokes"):
        pools.fill(registry.create(name, material, recipe), 60, 0, tmp_path / "generate" / name, None, 3)
    (tmp_path / "mix").mkdir()
    with caplog.at_level(logging.WARNING):
        mix.work(samples, recipe, "none", "cpu", tmp_path / "generate", [], set(), tmp_path / "mix")
    chosen = mix.load(tmp_path / "mix")["train"]
    assert [path.parent.name for path in chosen] == ["memseg"] * 50 + ["strokes"] * 50
    assert len(mix.masks(tmp_path / "mix")) == 100
    assert mix.compared(tmp_path / "mix") == 1
    assert "100 synthetic defects are taken" in caplog.text
