import logging

import numpy as np
import pytest
from accelerate import Accelerator
from rich.console import Console

from inspector.errors import DataError, InandoutError
from inspector.preprocess import InputSpec
from trainer.augment import Commission, Learner, Material, Steerable, registry, strokes
from trainer.augment.in_domain.codec import open_tiny
from trainer.data.newfolder import write_png
from trainer.recipe import resolve

SPEC = InputSpec(width=40, height=56)
SMALL = [
    "in_domain.codec=small",
    "in_domain.codec_steps=12",
    "in_domain.steps=12",
    "in_domain.channels=[16, 32]",
    "in_domain.sampler_steps=4",
    "in_domain.crop=8",
    "in_domain.batch_drawn=3",
]


def _surfaces(folder, count, defect):
    paths = []
    for number in range(count):
        rng = np.random.default_rng([number, defect])
        picture = rng.normal(150, 8, (56, 40)).clip(0, 255).astype(np.uint8)
        if defect:
            top, left = rng.integers(8, 30, 2)
            picture[top : top + 4, left : left + 10] = 30
        paths.append(folder / f"{'bad' if defect else 'good'}{number}.png")
        write_png(paths[-1], picture)
    return paths


def _make(folder, scenario, *more):
    (folder / "data").mkdir(parents=True, exist_ok=True)
    normals = _surfaces(folder / "data", 6, False)
    defects = [] if scenario == "zero_shot" else _surfaces(folder / "data", 3, True)
    recipe = resolve("default", {"scenario": scenario, "augment.kind": "diffusion"}, [*SMALL, *more])
    return registry.create("in_domain", Material(normals, defects, SPEC, scenario), recipe)


def _fitted(folder, scenario, *more):
    made = _make(folder, scenario, *more)
    (folder / "model").mkdir(exist_ok=True)
    made.fit(folder / "model", Accelerator(cpu=True), Console(quiet=True))
    made.load(folder / "model", "cpu")
    return made


@pytest.fixture(scope="module", params=["zero_shot", "few_shot"])
def fitted(request, tmp_path_factory):
    return request.param, _fitted(tmp_path_factory.mktemp(request.param), request.param)


def test_is_what_the_ports_ask_for(fitted):
    assert isinstance(fitted[1], Learner)
    assert isinstance(fitted[1], Steerable)


def test_draws_defects_on_real_images(fitted):
    scenario, generator = fitted
    images = list(generator.generate(5, seed=1))
    assert len(images) == 5
    painted = shown = 0
    for number, image in enumerate(images):
        assert image.pixels.shape == (56, 40, 3)
        assert image.pixels.dtype == np.uint8
        assert image.mask is not None and image.mask.shape == (56, 40)
        assert image.provenance["generator"] == "in_domain"
        assert image.provenance["index"] == number
        source = generator._read(image.provenance["source"])
        changed = (image.pixels != source).any(2)
        assert 0 <= changed.mean() < 0.9
        painted += image.provenance["mode"] != "noise"
        shown += image.provenance["mode"] != "noise" and image.mask.any()
        assert (image.pixels[..., 0] == image.pixels[..., 1]).all()  # grey stays grey
        expected = {"crack", "scratch", "pit", "stain", "shade", "rough"} | (
            set() if scenario == "zero_shot" else {"transplant", "noise"}
        )
        assert image.provenance["mode"] in expected
    assert shown == painted >= 3  # a codec of twelve steps hides nothing that was painted


def test_what_the_codec_invents_below_a_pixel_does_not_mark_the_place(fitted, monkeypatch):
    _, generator = fitted
    rng = np.random.default_rng(0)
    invented = lambda latents, window: rng.normal(128, 20, (len(latents), window.height, window.width, 3))  # noqa: E731
    monkeypatch.setattr(generator, "_decoded", invented)
    monkeypatch.setattr(strokes, "paint", lambda part, where, rng: (part, np.full_like(where, 255), "none"))
    monkeypatch.setattr(generator, "_regions", [])
    image = next(generator.generate(1, seed=1))
    change = (image.pixels.astype(float) - generator._read(image.provenance["source"]))[12:44, 12:28, 0]
    assert 2 < change.std() < 8  # unblurred, two layers of three averaged channels: 16


def test_the_kth_image_depends_on_seed_and_k_alone(fitted):
    _, generator = fitted
    together = list(generator.generate(5, seed=4))
    alone = next(generator.generate(1, seed=4, first=3))
    assert np.abs(alone.pixels.astype(int) - together[3].pixels).max() <= 1  # the batch's size moves last digits
    assert alone.provenance == together[3].provenance
    other = next(generator.generate(1, seed=5, first=3))
    assert (other.pixels != alone.pixels).any()


def test_a_commission_is_painted_where_it_was_drawn(fitted):
    _, generator = fitted
    part = generator._read(generator._material.normals[0])
    region = np.zeros((56, 40), np.uint8)
    region[20:44, 8:32] = 1
    made = generator.draw_for(Commission(seed=3, part=part, region=region))
    assert (made.pixels[region == 0] == part[region == 0]).all()
    assert (made.pixels != part).any()
    assert generator.draw_for(Commission(seed=3)).pixels.shape == part.shape


@pytest.mark.parametrize(
    ("commission", "words"),
    [
        (Commission(1, None, np.zeros((10, 10, 3), np.uint8)), "10 x 10"),
        (Commission(1, None, np.zeros((56, 40, 3), np.uint8), np.zeros((56, 40), np.uint8)), "region is empty"),
        (Commission(1, None, np.zeros((56, 40, 3), np.uint8), np.ones((4, 4), np.uint8)), "region is 4 x 4"),
    ],
    ids=["size", "empty", "region's size"],
)
def test_a_commission_that_cannot_be_drawn_is_one_line(fitted, commission, words):
    with pytest.raises(DataError, match=words):
        fitted[1].draw_for(commission)


def test_whole_images(tmp_path):
    generator = _fitted(
        tmp_path,
        "few_shot",
        "in_domain.whole=1.0",
        "in_domain.painted=0.0",
        "in_domain.codec_steps=3",
        "in_domain.steps=3",
    )
    images = list(generator.generate(2, seed=0))
    assert {image.provenance["mode"] for image in images} == {"whole"}
    source = generator._read(images[0].provenance["source"])
    assert (images[0].pixels != source).any(2).mean() > 0.5


def test_a_finished_codec_and_an_earlier_fit_are_used_again(tmp_path, caplog):
    _fitted(tmp_path, "zero_shot", "in_domain.codec_steps=2", "in_domain.steps=2")
    before = (tmp_path / "model" / "codec" / "codec.safetensors").read_bytes()
    later = _make(tmp_path, "few_shot", f"in_domain.start={tmp_path / 'model'}", "in_domain.steps=2")
    (tmp_path / "later").mkdir()
    later.fit(tmp_path / "later", Accelerator(cpu=True), Console(quiet=True))
    assert (tmp_path / "later" / "codec" / "codec.safetensors").read_bytes() == before


def test_no_good_image_is_one_line():
    with pytest.raises(DataError, match="needs good images"):
        registry.create("in_domain", Material([], [], SPEC), resolve("default", {}))


@pytest.mark.parametrize("how", ["missing", "damaged", "other shape"])
def test_a_named_codec_that_cannot_be_used_is_one_line(how, tmp_path):
    from diffusers import AutoencoderTiny

    folder = tmp_path / "codec"
    if how != "missing":
        latents = 16 if how == "other shape" else 4
        AutoencoderTiny(
            encoder_block_out_channels=(8,) * 4,
            decoder_block_out_channels=(8,) * 4,
            num_encoder_blocks=(1,) * 4,
            num_decoder_blocks=(1,) * 4,
            latent_channels=latents,
        ).save_pretrained(folder)
    if how == "damaged":
        weights = folder / "diffusion_pytorch_model.safetensors"
        weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(InandoutError) as caught:
        open_tiny(str(folder), "cpu")
    assert "codec" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_the_hub_the_small_codec_is_announced(monkeypatch, caplog):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with caplog.at_level(logging.WARNING):
        assert open_tiny("auto", "cpu") is None
    assert "small autoencoder" in caplog.text
