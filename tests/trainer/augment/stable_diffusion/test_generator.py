"""The generator: what it learns from, and what it draws once it has learned."""

import io
import json
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from accelerate import Accelerator
from rich.console import Console
from safetensors.torch import load_file

from inspector.errors import DataError, InandoutError
from inspector.preprocess import InputSpec
from trainer.augment import Commission, Learner, Material, Steerable
from trainer.augment.stable_diffusion import create
from trainer.augment.stable_diffusion.adapters import WEIGHTS
from trainer.augment.stable_diffusion.generator import StableDiffusion
from trainer.generator_sections import StableDiffusionSection
from trainer.interruption import Interrupted
from trainer.recipe import Recipe

SPEC = InputSpec(width=32, height=48)


@pytest.fixture(scope="module")
def base(tiny_diffusion, tmp_path_factory) -> str:
    return str(tiny_diffusion.make(tmp_path_factory.mktemp("base")))


@pytest.fixture(scope="module")
def material(tmp_path_factory) -> Material:
    """Six good coloured surfaces and two with a dark scratch."""
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    files = []
    for number in range(8):
        pixels = rng.normal((90, 120, 150), 12, (48, 32, 3)).clip(0, 255).astype(np.uint8)
        if number >= 6:
            cv2.line(pixels, (4, 10), (28, 30), (20, 20, 20), 2)
        files.append(folder / f"{number}.png")
        cv2.imwrite(str(files[-1]), pixels)
    return Material(files[:6], files[6:], SPEC, "few_shot", seed=3)


def _section(base: str, **options) -> StableDiffusionSection:
    defaults = {
        "regularisation_images": 3,
        "epochs": {"zero_shot": 1, "few_shot": 2, "full_shot": 1},
        "repeats": 2,
        "batch": 2,
        "linear_rank": 4,
        "learning_rate": 1e-3,
        "optimiser": "adamw",
        "bucket_base": 64,
        "bucket_min": 32,
        "bucket_max": 64,
        "bucket_step": 8,
        "precision": "no",
        "sampler_steps": 2,
        "generation_batch": 3,
        "gradient_checkpointing": False,
    }
    return StableDiffusionSection.model_validate({**defaults, "base": base, **options})


def _console() -> Console:
    return Console(file=io.StringIO())


def _other(material: Material, **changes) -> Material:
    return Material(**{name: getattr(material, name) for name in Material.__slots__} | changes)


@pytest.fixture(scope="module")
def fitted(base, material, tmp_path_factory) -> tuple[StableDiffusion, Path]:
    """A generator after a few training steps, loaded."""
    folder = tmp_path_factory.mktemp("fitted")
    generator = StableDiffusion(material, _section(base))
    generator.fit(folder, Accelerator(cpu=True), _console())
    generator.load(folder, "cpu")
    return generator, folder


def test_it_is_what_the_ports_say(base, material):
    generator = create(material, Recipe(stable_diffusion=_section(base)))
    assert isinstance(generator, Learner)
    assert isinstance(generator, Steerable)
    assert generator.steered_by == {"prompt"}


@pytest.mark.parametrize(
    ("scenario", "alpha"), [("zero_shot", 0.60), ("few_shot", 0.95), ("full_shot", 0.80)], ids=lambda value: str(value)
)
def test_the_merge_strength_follows_the_scenario(base, material, scenario, alpha):
    assert StableDiffusion(_other(material, scenario=scenario), _section(base)).merge_alpha == alpha


@pytest.mark.parametrize("scenario", ["few_shot", "full_shot"])
def test_real_defects_are_the_instances(base, material, scenario):
    assert StableDiffusion(_other(material, scenario=scenario), _section(base)).instances() == material.defects


def test_random_good_images_are_the_instances_in_zero_shot(base, material):
    def chosen(seed: int) -> list[Path]:
        zero = _other(material, scenario="zero_shot", defects=[], seed=seed)
        return StableDiffusion(zero, _section(base, zero_shot_normals=4)).instances()

    assert len(set(chosen(0))) == 4
    assert set(chosen(0)) <= set(material.normals)
    assert chosen(0) == chosen(0)
    assert any(chosen(seed) != chosen(0) for seed in range(1, 5))
    everything = StableDiffusion(_other(material, scenario="zero_shot"), _section(base, zero_shot_normals=99))
    assert everything.instances() == material.normals


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        pytest.param({"scenario": "few_shot", "defects": []}, "few_shot learns from real defects", id="few_shot"),
        pytest.param({"scenario": "full_shot", "defects": []}, "full_shot learns from real defects", id="full_shot"),
        pytest.param({"scenario": "zero_shot", "normals": []}, "learns from good images", id="zero_shot"),
    ],
)
def test_nothing_to_learn_from_is_one_line(base, material, tmp_path, changes, says):
    generator = StableDiffusion(_other(material, **changes), _section(base))
    with pytest.raises(DataError, match=says):
        generator.fit(tmp_path, Accelerator(cpu=True), _console())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["instance_prompt", "class_prompt", "negative_prompt", "defect_prompts"])
def test_a_prompt_too_long_is_said_before_anything_is_drawn(base, material, tmp_path, key):
    text = "xyz " * 40
    generator = StableDiffusion(material, _section(base, **{key: [text] if key == "defect_prompts" else text}))
    with pytest.raises(DataError, match="too long"):
        generator.fit(tmp_path, Accelerator(cpu=True), _console())
    assert list(tmp_path.iterdir()) == []


def test_every_image_has_the_models_size_and_says_where_it_comes_from(fitted, base):
    generator, _ = fitted
    images = list(generator.generate(3, seed=5, first=2))
    assert [image.pixels.shape for image in images] == [(48, 32, 3)] * 3
    assert {image.pixels.dtype for image in images} == {np.dtype(np.uint8)}
    assert [image.mask for image in images] == [None] * 3
    assert [image.provenance["prompt"] for image in images] == [
        "skt background cracked",
        "skt background scratched",
        "skt background cracked",
    ]
    assert images[0].provenance == {
        "generator": "stable_diffusion",
        "seed": 5,
        "index": 2,
        "source": None,
        "prompt": "skt background cracked",
        "negative_prompt": "",
        "guidance": 7.5,
        "steps": 2,
        "merge_alpha": 0.95,
        "base": base,
    }
    json.dumps(images[0].provenance)
    assert not np.array_equal(images[0].pixels, images[2].pixels)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_an_image_does_not_depend_on_its_batch(fitted, base, size):
    generator, folder = fitted
    alone = [next(generator.generate(1, seed=9, first=k)).pixels.astype(int) for k in range(5)]
    other = StableDiffusion(generator.material, _section(base, generation_batch=size))
    other.load(folder, "cpu")
    together = [image.pixels.astype(int) for image in other.generate(5, seed=9)]
    # The last bit of the arithmetic may differ with the batch, and with it a rounded level.
    assert max(abs(one - two).max() for one, two in zip(alone, together, strict=True)) <= 1
    assert min(abs(alone[k] - alone[k + 2]).max() for k in range(3)) > 8


def test_sides_that_are_no_multiple_of_eight_keep_the_centre_of_the_next_ones(fitted, base, material):
    generator, folder = fitted
    odd = StableDiffusion(_other(material, spec=InputSpec(width=27, height=43)), _section(base))
    odd.load(folder, "cpu")
    drawn = next(odd.generate(1, seed=4)).pixels
    even = next(generator.generate(1, seed=4)).pixels
    assert np.array_equal(drawn, even[2:45, 2:29])


def test_a_grey_surface_gets_grey_images(fitted, base, material, tmp_path):
    _, folder = fitted
    path = tmp_path / "grey.png"
    cv2.imwrite(str(path), np.full((48, 32), 100, np.uint8))
    generator = StableDiffusion(_other(material, normals=[path]), _section(base))
    generator.load(folder, "cpu")
    pixels = next(generator.generate(1, seed=0)).pixels
    assert np.array_equal(pixels[..., 0], pixels[..., 1])
    assert np.array_equal(pixels[..., 0], pixels[..., 2])


def test_a_commission_is_drawn_to_its_prompt_and_seed(fitted):
    generator, _ = fitted
    plain = generator.draw_for(Commission(seed=7))
    assert plain.provenance["prompt"] == "skt background cracked"
    ordered = generator.draw_for(Commission(seed=7, prompt="a scratched surface"))
    again = generator.draw_for(Commission(seed=7, prompt="a scratched surface"))
    assert np.array_equal(ordered.pixels, again.pixels)
    assert not np.array_equal(ordered.pixels, plain.pixels)
    with pytest.raises(DataError, match="too long"):
        generator.draw_for(Commission(seed=7, prompt="xyz " * 40))


def test_drawing_before_loading_is_one_line(base, material):
    with pytest.raises(InandoutError, match="fine-tune first"):
        next(StableDiffusion(material, _section(base)).generate(1, seed=0))


def test_a_second_fit_changes_nothing(fitted, base, material):
    _, folder = fitted
    before = {path: path.read_bytes() for path in (folder / "adapters").iterdir()}
    StableDiffusion(material, _section(base)).fit(folder, Accelerator(cpu=True), _console())
    assert {path: path.read_bytes() for path in (folder / "adapters").iterdir()} == before


def test_a_stopped_training_goes_on_to_the_same_adapters(fitted, base, material, tmp_path, monkeypatch):
    _, folder = fitted

    generator = StableDiffusion(material, _section(base, checkpoint_seconds=1e-6))
    console = _console()
    monkeypatch.setattr("trainer.augment.stable_diffusion.generator.bar", _stop_after(3))
    with pytest.raises(Interrupted):
        generator.fit(tmp_path, Accelerator(cpu=True), console)
    assert not (tmp_path / "adapters").exists()
    monkeypatch.undo()
    generator.fit(tmp_path, Accelerator(cpu=True), console)
    # Tensors, not bytes: the order of a safetensors file's metadata is left to chance.
    whole, resumed = (load_file(place / "adapters" / WEIGHTS) for place in (folder, tmp_path))
    assert whole.keys() == resumed.keys()
    assert [name for name in whole if not torch.equal(whole[name], resumed[name])] == []


def _stop_after(steps: int):
    """Progress that interrupts fine-tuning as a signal would."""

    @contextmanager
    def bar(console, name, shown=True):
        def on_step(done, total):
            if name == "fine-tuning" and done == steps:
                raise Interrupted(f"interrupted at step {done}")

        yield on_step

    return bar


def test_adapters_that_change_nothing_are_refused(fitted, base, material):
    _, folder = fitted
    nothing = {"zero_shot": 0, "few_shot": 0, "full_shot": 0}
    with pytest.raises(InandoutError, match="change nothing"):
        StableDiffusion(material, _section(base, merge_alpha=nothing)).load(folder, "cpu")


def test_the_merge_strength_matters(fitted, base, material):
    generator, folder = fitted
    half = {"zero_shot": 0.5, "few_shot": 0.5, "full_shot": 0.5}
    weaker = StableDiffusion(material, _section(base, merge_alpha=half))
    weaker.load(folder, "cpu")
    strong, weak = (next(drawer.generate(1, seed=1)).pixels for drawer in (generator, weaker))
    assert not np.array_equal(strong, weak)
