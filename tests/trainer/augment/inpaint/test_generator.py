import io
import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from accelerate import Accelerator
from rich.console import Console

from inspector import imagefile, preprocess
from inspector.errors import DataError, InandoutError
from inspector.preprocess import InputSpec
from trainer.augment import Commission, Learner, Material, Steerable
from trainer.augment.inpaint import create, painting
from trainer.augment.inpaint.generator import Inpaint
from trainer.generator_sections import InpaintSection
from trainer.recipe import Recipe

SPEC = InputSpec(width=36, height=52)
SQUARE = cv2.rectangle(np.zeros((52, 36), np.uint8), (8, 12), (24, 36), 255, -1)


@pytest.fixture(scope="module")
def bases(tiny_diffusion, tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("bases")
    return {
        "9 channels": str(tiny_diffusion.make_inpaint(folder / "nine")),
        "4 channels": str(tiny_diffusion.make(folder / "four")),
    }


@pytest.fixture(scope="module")
def material(tmp_path_factory) -> Material:
    folder, rng = tmp_path_factory.mktemp("normals"), np.random.default_rng(0)
    files = [folder / f"{number}.png" for number in range(4)]
    for path in files:
        cv2.imwrite(str(path), rng.normal((90, 120, 150), 9, (52, 36, 3)).clip(0, 255).astype(np.uint8))
    return Material(files, [], SPEC, "zero_shot")


def _section(base: str, **options) -> InpaintSection:
    return InpaintSection.model_validate(
        {"base": base, "sampler_steps": 2, "batch": 3, "smallest": 0.05, "largest": 0.3, "feather": 2, **options}
    )


def _painter(material: Material, base: str, looker=None, **options) -> Inpaint:
    painter = Inpaint(material, _section(base, **options), looker)
    painter.load(None, "cpu")
    return painter


@pytest.fixture(scope="module", params=["9 channels", "4 channels"])
def painter(request, bases, material) -> Inpaint:
    return _painter(material, bases[request.param])


def _part(material: Material, path) -> np.ndarray:
    return preprocess.fit(imagefile.read(path), material.spec)


class Corner:
    """Looks at the lower right corner."""

    def maps(self, images):
        cam = np.zeros((len(images), 13, 9), np.float32)
        cam[:, 9:, 6:] = 5
        return cam


def test_it_is_what_the_ports_say(bases, material):
    generator = create(material, Recipe(inpaint=_section(bases["4 channels"])))
    assert isinstance(generator, Learner)
    assert isinstance(generator, Steerable)
    assert generator.steered_by == {"prompt", "region"}


def test_real_images_stay_real_outside_the_painting(painter, material):
    for image in painter.generate(6, seed=1):
        part = _part(material, image.provenance["source"])
        changed = (image.pixels != part).any(2)
        assert image.pixels.shape == part.shape
        assert image.mask.any()
        assert changed[image.mask > 0].all()
        # no region is larger than 0.3 of the surface; two pixels of feather around it
        assert changed.mean() < 0.6
        assert not changed.all()


def test_provenance_names_everything(painter, material):
    (image,) = painter.generate(1, seed=4, first=3)
    told = dict(image.provenance)
    assert told.pop("source") in {str(path) for path in material.normals}
    assert 0 < told.pop("region_share") <= 0.31
    assert told == {
        "generator": "inpaint",
        "seed": 4,
        "index": 3,
        "attempt": 0,
        "prompt": "a scratched surface",
        "negative_prompt": "smooth, plain, perfect",
        "region": "perlin",
        "guidance": 7.5,
        "steps": 2,
        "strength": 1.0,
        "base": painter.section.base,
    }
    json.dumps(image.provenance)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_an_image_does_not_depend_on_its_batch(painter, bases, material, size):
    alone = [next(painter.generate(1, seed=9, first=k)) for k in range(5)]
    other = _painter(material, painter.section.base, batch=size)
    for one, two in zip(alone, other.generate(5, seed=9), strict=True):
        assert one.provenance == two.provenance
        assert abs(one.pixels.astype(int) - two.pixels).max() <= 1


def test_images_differ(painter):
    images = [image.pixels.tobytes() for image in painter.generate(6, seed=2)]
    assert len(set(images)) == 6


def test_regions_follow_the_map_of_a_first_classifier(bases, material):
    painter = _painter(material, bases["9 channels"], Corner(), regions="cam", largest=0.05)
    for image in painter.generate(4, seed=0):
        assert image.provenance["region"] == "cam"
        rows, columns = np.nonzero(image.mask)
        assert rows.mean() > 26
        assert columns.mean() > 18


@pytest.mark.slow
@pytest.mark.parametrize("defects", [0, 2], ids=["zero_shot", "few_shot"])
def test_without_a_classifier_one_is_trained(bases, material, defects):
    known = Material(material.normals, material.normals[:defects], SPEC, "few_shot" if defects else "zero_shot")
    painter = _painter(known, bases["9 channels"], regions="cam")
    assert next(painter.generate(1, seed=0)).mask.any()


def test_a_commission_is_painted_into_its_region(painter, material):
    part = _part(material, material.normals[0])
    image = painter.draw_for(Commission(seed=5, prompt="a cracked surface", part=part, region=SQUARE))
    near = cv2.dilate(SQUARE, np.ones((5, 5), np.uint8)) > 0
    assert np.array_equal(image.pixels[~near], part[~near])
    assert (image.pixels[SQUARE > 0] != part[SQUARE > 0]).any(1).mean() > 0.8
    assert not image.mask[~near].any()
    assert image.provenance["prompt"] == "a cracked surface"
    assert image.provenance["region"] == "drawn"
    again = painter.draw_for(Commission(seed=5, prompt="a cracked surface", part=part, region=SQUARE // 255))
    assert np.array_equal(again.pixels, image.pixels)
    other = painter.draw_for(Commission(seed=5, prompt="a scratched surface", part=part, region=SQUARE))
    assert not np.array_equal(other.pixels, image.pixels)


def test_a_bare_commission_gets_a_part_and_a_region(painter, material):
    image = painter.draw_for(Commission(seed=5))
    assert image.provenance["source"] in {str(path) for path in material.normals}
    assert image.mask.any()


@pytest.mark.parametrize(
    ("order", "says"),
    [
        pytest.param({"region": np.zeros((52, 36), np.uint8)}, "region is empty", id="empty region"),
        pytest.param({"region": np.ones((36, 52), np.uint8)}, "region has the shape", id="region turned"),
        pytest.param({"part": np.zeros((52, 30, 3), np.uint8)}, "part has the shape", id="part too narrow"),
        pytest.param({"part": np.zeros((52, 36), np.uint8)}, "part has the shape", id="part of one channel"),
        pytest.param({"prompt": "xyz " * 40}, "too long", id="prompt too long"),
    ],
)
def test_a_commission_that_cannot_be_painted_is_one_line(painter, order, says):
    with pytest.raises(DataError, match=says) as caught:
        painter.draw_for(Commission(seed=1, **order))
    assert "\n" not in str(caught.value)


def test_a_painting_without_effect_is_said(painter, monkeypatch):
    def nothing(pipeline, parts, *rest):
        return [np.zeros(part.shape, np.float32) for part in parts]

    monkeypatch.setattr("trainer.augment.inpaint.painting.paint", nothing)
    with pytest.raises(DataError, match="nothing is to be seen"):
        painter.draw_for(Commission(seed=1, region=SQUARE))
    with pytest.raises(DataError, match="image 7 of seed 3, painted 3 times"):
        list(painter.generate(2, seed=3, first=7))


def test_a_painting_without_effect_is_tried_again(painter, monkeypatch):
    calls = []

    def at_second_try(pipeline, parts, regions, prompts, sources, section):
        calls.append(len(parts))
        changes = [np.full(part.shape, 50, np.float32) for part in parts]
        return [np.zeros_like(changes[0]), *changes[1:]] if len(calls) == 1 else changes

    monkeypatch.setattr("trainer.augment.inpaint.painting.paint", at_second_try)
    images = list(painter.generate(3, seed=3))
    assert calls == [3, 1]
    assert [image.provenance["index"] for image in images] == [0, 1, 2]
    assert [image.provenance["attempt"] for image in images] == [1, 0, 0]


@pytest.mark.parametrize(
    ("normals", "options", "says"),
    [
        pytest.param(False, {}, "at least one good image", id="no good image"),
        pytest.param(True, {"strength": 0.4}, "leaves no step", id="strength too low for the steps"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_loaded(bases, material, normals, options, says):
    given = material if normals else Material([], [], SPEC, "zero_shot")
    with pytest.raises(DataError, match=says):
        Inpaint(given, _section(bases["4 channels"], **options))


def test_fitting_looks_at_prompts_and_model(bases, material, tmp_path):
    console = Console(file=io.StringIO())
    Inpaint(material, _section(bases["9 channels"])).fit(tmp_path, Accelerator(cpu=True), console)
    with pytest.raises(DataError, match="too long"):
        long = _section(bases["9 channels"], prompts=["xyz " * 40])
        Inpaint(material, long).fit(tmp_path, Accelerator(cpu=True), console)
    with pytest.raises(InandoutError, match="no folder"):
        Inpaint(material, _section("/nowhere/model")).fit(tmp_path, Accelerator(cpu=True), console)
    assert list(tmp_path.iterdir()) == []


def test_painting_before_loading_is_one_line(bases, material):
    with pytest.raises(InandoutError, match="before its model is loaded"):
        next(Inpaint(material, _section(bases["4 channels"])).generate(1, seed=0))


class Echo:
    """A model that paints an eighth of the range brighter in its region, and reproduces the rest as its codec does."""

    def __init__(self, real) -> None:
        self.vae, self.image_processor = real.vae, real.image_processor
        self.text_encoder, self.tokenizer = real.text_encoder, real.tokenizer

    def __call__(self, prompt, image, mask_image, generator, output_type):
        plain = painting._reproduced(self, [np.asarray(picture) for picture in image])
        added = np.stack([np.asarray(mask, np.float32) for mask in mask_image])[..., None] / 255 * 0.125
        return SimpleNamespace(images=plain + added)


def test_what_the_codec_loses_is_not_taken_for_painting(painter, material):
    part = _part(material, material.normals[0])
    (change,) = painting.paint(Echo(painter._pipeline), [part], [SQUARE], ["a"], [None], painter.section)
    cells = np.zeros((52, 36), bool)
    cells[8:40, 0:32] = True  # the region's 8..24 x 12..36 and two pixels of feather, in whole cells of 8
    assert change[cells] == pytest.approx(0.125 * 255, abs=1e-3)
    assert change[~cells] == pytest.approx(0, abs=1e-3)
