"""A tiny Stable Diffusion, small pictures, and the recipe section that fits them."""

import copy
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from diffusers import StableDiffusionPipeline

from trainer.generator_sections import StableDiffusionSection


@pytest.fixture(scope="session")
def _whole(tiny_diffusion, tmp_path_factory) -> StableDiffusionPipeline:
    folder = tiny_diffusion.make(tmp_path_factory.mktemp("tiny"))
    return StableDiffusionPipeline.from_pretrained(folder, safety_checker=None, requires_safety_checker=False)


@pytest.fixture
def pipelines(_whole) -> Callable[[], StableDiffusionPipeline]:
    """Makes pipelines of the same weights, each its own."""
    return lambda: StableDiffusionPipeline(
        **{name: copy.deepcopy(part) for name, part in _whole.components.items()}, requires_safety_checker=False
    )


@pytest.fixture
def pipeline(pipelines) -> StableDiffusionPipeline:
    return pipelines()


@pytest.fixture
def section() -> Callable[..., StableDiffusionSection]:
    """The section's defaults, at a hundredth of the size."""

    def make(**options) -> StableDiffusionSection:
        small = {
            "base": "tiny",
            "batch": 2,
            "repeats": 2,
            "bucket_base": 64,
            "bucket_min": 32,
            "bucket_max": 128,
            "bucket_step": 32,
            "learning_rate": 1e-3,
            "linear_rank": 4,
            "linear_alpha": 2.0,
            "conv_rank": 2,
            "optimiser": "adamw",
            "precision": "no",
        }
        return StableDiffusionSection(**small | options)

    return make


@pytest.fixture
def pictures(tmp_path) -> Callable[..., list[Path]]:
    """Draws noise pictures `name0.png`, `name1.png`, ...; the same ones for the same name."""

    def draw(name: str, count: int, width: int = 32, height: int = 96) -> list[Path]:
        rng = np.random.default_rng([count, *name.encode()])
        paths = [tmp_path / f"{name}{number}.png" for number in range(count)]
        for path in paths:
            cv2.imwrite(str(path), rng.integers(0, 255, (height, width, 3), dtype=np.uint8))
        return paths

    return draw
