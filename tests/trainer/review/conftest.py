"""A run folder as a build leaves it, and generators that draw to order."""

import importlib.util
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from trainer import stages
from trainer.augment import registry
from trainer.build.index import save_samples
from trainer.data.newfolder import write_png
from trainer.data.samples import Sample
from trainer.recipe import Recipe, resolve
from trainer.review.studio import Progress, Studio

WIDTH, HEIGHT = 32, 48


def _painter_module():
    name = "review_painter"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("painter.py"))
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture
def painters(monkeypatch):
    """The module `painter.py`, its generators registered as `painter` and `trained`."""
    module = _painter_module()
    monkeypatch.setitem(registry.AUGMENTERS, "painter", "review_painter:create")
    monkeypatch.setitem(registry.AUGMENTERS, "trained", "review_painter:create_trained")
    module.GO_ON.set()
    yield module
    module.GO_ON.set()


def recipe(*assignments: str) -> Recipe:
    size = [f"input.width={WIDTH}", f"input.height={HEIGHT}", "augment.kind=memseg", "augment.n=5"]
    return resolve("default", {}, [*size, *assignments])


@dataclass
class Run:
    """A run folder; `generated` writes what its build drew."""

    path: Path
    normals: list[Path]

    def generated(self, *greys: int, split: str = "train") -> None:
        """Replace the stage `generate`: one picture of each grey, named by its position."""
        (self.path / "generate" / split).mkdir(parents=True, exist_ok=True)
        records = []
        for number, grey in enumerate(greys):
            name = f"{split}/{number:05d}"
            write_png(self.path / "generate" / f"{name}.png", np.full((HEIGHT, WIDTH, 3), grey, np.uint8))
            write_png(self.path / "generate" / f"{name}_mask.png", np.full((HEIGHT, WIDTH), 255, np.uint8))
            provenance = {"generator": "memseg", "seed": 3, "index": number, "source": str(self.normals[0])}
            records.append({"path": f"{name}.png", "split": split, "provenance": provenance})
        stages.write_json(self.path / "generate" / "records.json", records)


@pytest.fixture
def make_run(tmp_path):
    """Factory `make(recipe=..., name="run") -> Run`: six good and two defect images in training, one good in val."""

    def make(chosen: Recipe | None = None, name: str = "run") -> Run:
        data, run = tmp_path / f"{name}-data", tmp_path / name
        data.mkdir()
        rng = np.random.default_rng(0)
        samples = []
        for number in range(9):
            path = data / f"{number:02d}.png"
            cv2.imwrite(str(path), rng.normal(150, 6, (HEIGHT, WIDTH)).clip(0, 255).astype(np.uint8))
            samples.append(Sample(path, int(number in (6, 7)), "val" if number == 8 else "train"))
        for stage in ("split", "index"):
            (run / stage).mkdir(parents=True)
        save_samples(run / "split" / "samples.json", samples)
        stages.write_json(run / "index" / "inputs.json", {"root": str(data)})
        stages.write_json(run / "recipe.json", (chosen or recipe()).model_dump(mode="json"))
        return Run(run, [sample.path for sample in samples[:6]])

    return make


@pytest.fixture
def settle():
    """`settle(studio) -> Progress`: wait until it is neither loading nor drawing."""

    def wait(studio: Studio) -> Progress:
        end = time.monotonic() + 30
        while studio.progress.state not in ("idle", "broken"):
            assert time.monotonic() < end, studio.progress
            time.sleep(0.01)
        return studio.progress

    return wait


@pytest.fixture
def run(make_run) -> Run:
    return make_run()
