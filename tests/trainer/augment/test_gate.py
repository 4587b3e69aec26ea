import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from inspector.errors import DataError
from inspector.preprocess import InputSpec
from trainer.augment import Material, SyntheticImage
from trainer.augment.features import Features
from trainer.augment.gate import Gate
from trainer.augment.gate_copies import COPY, Copies, residual
from trainer.augment.gate_texture import Texture
from trainer.augment.gate_visibility import Visibility
from trainer.generator_sections import GateSection

HEIGHT, WIDTH = 96, 64
SPEC = InputSpec(width=WIDTH, height=HEIGHT)


def _surface(seed: int) -> np.ndarray:
    """Brushed metal: grain along one axis over a slow shading."""
    rng = np.random.default_rng(seed)
    shading = cv2.resize(rng.normal(0, 12, (4, 3)), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    grain = cv2.blur(rng.normal(0, 30, (HEIGHT, WIDTH)), (9, 1))
    return np.repeat((120 + shading + grain).clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


def _pitted(image: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A dark pit somewhere, and its mask."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.circle(mask, (int(rng.integers(16, WIDTH - 16)), int(rng.integers(16, HEIGHT - 16))), 9, 255, -1)
    made = image.copy()
    made[mask > 0] //= 4
    return made, mask


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("gate")
    for k in range(16):
        cv2.imwrite(str(folder / f"good{k:02}.png"), _surface(k))
    for k in range(8):
        cv2.imwrite(str(folder / f"bad{k}.png"), _pitted(_surface(100 + k), k)[0])
    return folder


@pytest.fixture(scope="module")
def features() -> Features:
    return Features("none")


@pytest.fixture(scope="module")
def material(folder) -> Material:
    return Material(sorted(folder.glob("good*")), sorted(folder.glob("bad*")), SPEC)


@pytest.fixture(scope="module")
def gate(material, features) -> Gate:
    return Gate.learn(material, features, GateSection(), [])


def _painted(material: Material, k: int) -> SyntheticImage:
    made, mask = _pitted(_surface(k), 50 + k)
    return SyntheticImage(made, mask, {"source": str(material.normals[k])})


def _noisy(image: SyntheticImage) -> SyntheticImage:
    """Uniform noise on the half of the picture that the defect is not in, far from it."""
    pixels, low = image.pixels.copy(), image.mask[: HEIGHT // 2].any()
    half = slice(HEIGHT // 2 + 24, None) if low else slice(None, HEIGHT // 2 - 24)
    pixels[half] = np.random.default_rng(0).integers(0, 256, (*pixels[half].shape[:2], 1), dtype=np.uint8)
    return SyntheticImage(pixels, image.mask, image.provenance)


def _own_place(material: Material) -> SyntheticImage:
    """A training defect laid pixel for pixel onto the image it was cut from."""
    made, mask = _pitted(_surface(100), 0)
    return SyntheticImage(made, mask, {"source": str(material.defects[0])})


def _grey(level: int) -> np.ndarray:
    return np.full((HEIGHT, WIDTH, 3), level, np.uint8)


MASK = _pitted(_surface(0), 3)[1]


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(lambda m: _painted(m, 0), "", id="pit painted on a good image"),
        pytest.param(lambda m: SyntheticImage(*_pitted(_surface(300), 7)), "", id="pit on an unseen surface"),
        pytest.param(lambda m: SyntheticImage(_pitted(_surface(301), 9)[0], None), "", id="pit, place not told"),
        pytest.param(lambda m: SyntheticImage(_surface(0), None), "near-duplicate", id="copy of a good image"),
        pytest.param(
            lambda m: SyntheticImage(_pitted(_surface(103), 3)[0], None), "near-duplicate", id="copy of a defect"
        ),
        pytest.param(
            lambda m: SyntheticImage((_pitted(_surface(103), 3)[0][:, ::-1] * 0.9).astype(np.uint8), None),
            "near-duplicate",
            id="mirrored, darker copy",
        ),
        pytest.param(_own_place, "near-duplicate", id="defect on its own image"),
        pytest.param(
            lambda m: SyntheticImage(_surface(2), MASK, {"source": str(m.normals[2])}), "not visible", id="unchanged"
        ),
        pytest.param(
            lambda m: SyntheticImage(_surface(2) + np.uint8(1), MASK, {"source": str(m.normals[2])}),
            "not visible",
            id="one level brighter",
        ),
        pytest.param(
            lambda m: SyntheticImage(_surface(2), None, {"source": str(m.normals[2])}),
            "not visible",
            id="unchanged, place not told",
        ),
        pytest.param(lambda m: SyntheticImage(_pitted(_surface(300), 7)[0], MASK * 0), "not visible", id="empty mask"),
        pytest.param(lambda m: _noisy(_painted(m, 4)), "off texture", id="noise beside the pit"),
        pytest.param(lambda m: SyntheticImage(_grey(128), None), "degenerate", id="flat"),
        pytest.param(lambda m: SyntheticImage(_grey(255), MASK), "degenerate", id="white"),
        pytest.param(
            lambda m: SyntheticImage(np.where(_surface(0) > 120, 255, 0).astype(np.uint8), None),
            "degenerate",
            id="saturated",
        ),
        pytest.param(lambda m: SyntheticImage(_surface(0)[:-8], None), "degenerate", id="wrong size"),
        pytest.param(lambda m: SyntheticImage(_surface(0), MASK[:-8]), "degenerate", id="mask of another size"),
        pytest.param(lambda m: SyntheticImage(_surface(0) * np.float32(np.nan), None), "degenerate", id="not finite"),
    ],
)
def test_one_reason_an_image(gate, material, make, reason):
    (judgement,) = gate.judge([make(material)])
    assert (judgement.reason, judgement.kept) == (reason, not reason), judgement.figures


def test_a_judgement_depends_on_its_image_alone(gate, material):
    images = [_painted(material, k) for k in range(4)] + [SyntheticImage(_grey(9), None)]
    together = gate.judge(images)
    alone = [gate.judge([image])[0] for image in reversed(images)][::-1]
    for one, other in zip(together, alone, strict=True):
        assert one.reason == other.reason
        assert one.figures == pytest.approx(other.figures, rel=2e-2, abs=2e-2)
    assert gate.judge([]) == []


def test_unseen_real_defects_pass(gate):
    unseen = [SyntheticImage(_pitted(_surface(500 + k), 70 + k)[0], None) for k in range(12)]
    assert sum(judgement.kept for judgement in gate.judge(unseen)) >= 10


def test_unseen_good_images_show_no_defect(material, features):
    gate = Gate.learn(material, features, GateSection(visible=0.9), [])
    judged = gate.judge([SyntheticImage(_surface(400 + k), None) for k in range(12)])
    assert sum(judgement.kept for judgement in judged) <= 4


def test_what_its_source_shows_too_is_no_defect(material, features):
    """At `visible: 0` the share keeps nearly everything, so it is the rise that rejects."""
    gate = Gate.learn(material, features, GateSection(visible=0), [])
    unchanged = [SyntheticImage(_surface(k), MASK, {"source": str(material.normals[k])}) for k in range(16)]
    judged = gate.judge(unchanged)
    assert {judgement.reason for judgement in judged} == {"not visible"}
    assert sum(judgement.figures["share"] > 0.5 for judgement in judged) >= 4
    assert gate.judge([_painted(material, 0)])[0].kept


def test_zero_shot_learns_from_the_imitation(material, features):
    normals_only = Material(material.normals, [], SPEC, "zero_shot")
    gate = Gate.learn(normals_only, features, GateSection(), [_painted(material, k) for k in range(8)])
    assert gate.figures()["imitated"] is True
    judged = gate.judge([_painted(material, k) for k in range(8, 16)])
    assert sum(judgement.kept for judgement in judged) >= 7
    unchanged = SyntheticImage(_surface(2), MASK, {"source": str(material.normals[2])})
    assert gate.judge([unchanged])[0].reason == "not visible"


def test_figures_are_json(gate, material):
    figures = json.loads(json.dumps(gate.figures(), allow_nan=False))
    assert (figures["normals"], figures["defects"], figures["imitated"]) == (16, 8, False)
    assert figures["texture_outside_mask"] > figures["texture_whole_image"] > 0
    judgement = gate.judge([_painted(material, 0)])[0]
    told = json.loads(json.dumps(judgement.figures, allow_nan=False))
    assert set(told) == {"contrast", "clipped", "copy", "share", "rise", "texture"}


def test_one_good_image_is_enough_to_begin(material, features):
    gate = Gate.learn(Material(material.normals[:1], material.defects[:1], SPEC), features, GateSection(), [])
    json.dumps(gate.figures(), allow_nan=False)
    assert gate.judge([SyntheticImage(_surface(0), None)])[0].reason == "near-duplicate"


@pytest.mark.parametrize(
    ("normals", "defects", "says"), [(0, 1, "good image"), (1, 0, "imitation")], ids=["no good", "nothing to see"]
)
def test_what_cannot_be_learnt_is_refused(material, features, normals, defects, says):
    less = Material(material.normals[:normals], material.defects[:defects], SPEC)
    with pytest.raises(DataError, match=says):
        Gate.learn(less, features, GateSection(), [])


@pytest.mark.parametrize(
    ("change", "copied"),
    [
        pytest.param(lambda image: image, True, id="itself"),
        pytest.param(lambda image: (image * 0.8 + 10).astype(np.uint8), True, id="darker"),
        pytest.param(lambda image: image[::-1], True, id="upside down"),
        pytest.param(
            lambda image: cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], 1),
            True,
            id="JPEG",
        ),
        pytest.param(lambda image: _pitted(image, 30)[0], False, id="a second pit"),
        pytest.param(lambda image: _pitted(_surface(900), 2)[0], False, id="the pit elsewhere"),
    ],
)
def test_copies(material, change, copied):
    copies = Copies(material.defects, material.normals, SPEC)
    apart, path = copies.nearest(change(_pitted(_surface(102), 2)[0]), defects_only=False)
    assert (apart <= COPY) is copied
    if copied:
        assert path == material.defects[2]


def test_normals_can_be_left_out_of_the_comparison(material):
    copies = Copies(material.defects, material.normals, SPEC)
    assert copies.nearest(_surface(5), defects_only=False) == (pytest.approx(0, abs=1e-3), material.normals[5])
    assert copies.nearest(_surface(5), defects_only=True)[0] > COPY
    assert Copies([], material.normals, SPEC).nearest(_surface(5), defects_only=True) == (math.inf, None)


def test_residual_by_hand():
    """One of 4 x 4 blocks is 40 levels off; the other picture is flat, so its detail is the one grey level added."""
    flat, spot = _grey(100), _grey(100)
    spot[8:12, 8:12] = 140
    mean = 40 * 16 / (HEIGHT * WIDTH)
    # the flat picture has no covariance with the spot, so the gain stops at its lower bound of a half
    assert residual(spot, flat) == pytest.approx((40 - mean) * 0.5, rel=1e-4)


def _patches(n: int, offset: float = 0.0, seed: int = 0, channels: int = 8) -> np.ndarray:
    return (np.random.default_rng(seed).normal(offset, 1, (n, 4, 3, channels))).astype(np.float16)


def test_texture_threshold_is_what_real_images_stay_under():
    good = _patches(30)
    for share in (0.5, 0.9):
        texture = Texture(good, share, seed=0)
        cells = good.reshape(30, 12, 8).astype(np.float64)
        worst, typical = [], []
        for left in range(30):
            others = np.delete(cells, left, 0).reshape(-1, 8)
            nearest = np.sort([np.linalg.norm(others - cell, axis=1).min() for cell in cells[left]])
            worst.append(nearest[-2:].mean())
            typical.append(np.quantile(nearest, 0.25))
        assert texture.worst == pytest.approx(np.quantile(worst, share), rel=1e-3)
        assert texture.typical == pytest.approx(np.quantile(typical, share), rel=1e-3)


def test_texture_looks_outside_the_mask_or_at_the_bulk():
    texture = Texture(_patches(30), 0.99, seed=0)
    defect = np.zeros((4, 3), np.bool_)
    defect[1, 1] = True
    image = _patches(1, seed=9)[0]
    image[1, 1] += 20
    assert texture.excess(image, defect) < 1
    assert texture.excess(image, ~defect) > 1
    assert texture.excess(image, None) < 1
    assert texture.excess(image, np.ones((4, 3), np.bool_)) == texture.excess(image, None)
    assert texture.excess(image + np.float16(5), None) > 1


def test_visibility_compares_in_the_same_region():
    good = _patches(20)
    good[:, 0, 0, 1] += 8  # every good image has something there
    defects = _patches(10, seed=1)
    defects[:, 2, 1, 0] += 8
    defects[:, 0, 0, 1] += 8
    visibility = Visibility(good, defects, seed=0)
    image = _patches(1, seed=2)
    image[:, 0, 0, 1] += 8
    seen = image.copy()
    seen[:, 3, 2, 0] += 8
    before, after = visibility.maps(image)[0], visibility.maps(seen)[0]
    there, elsewhere = np.zeros((4, 3), np.bool_), np.zeros((4, 3), np.bool_)
    there[3, 2], elsewhere[1, :] = True, True
    assert visibility.share(after, there) == 1
    assert visibility.rise(after, before, there) > 2
    assert visibility.rise(after, before, elsewhere) == pytest.approx(0, abs=1e-5)
    assert visibility.rise(before, before, there) == 0
