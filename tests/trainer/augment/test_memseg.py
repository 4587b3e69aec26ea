import hashlib
import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from inspector import imagefile, preprocess
from inspector.errors import DataError
from inspector.preprocess import InputSpec
from trainer.augment.memseg import MemSeg

DISC = np.hypot(*(np.mgrid[:120, :80] - np.array([60, 40])[:, None, None])) < 30


@pytest.fixture(scope="module")
def normals(tmp_path_factory) -> list[Path]:
    """A mono, a 16-bit and a colour surface, a flat one, and a disc on a plain background."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("normals")
    pictures = {
        "mono": rng.normal(120, 20, (120, 80)).clip(0, 255).astype(np.uint8),
        "deep": rng.normal(30000, 4000, (120, 80)).clip(0, 65535).astype(np.uint16),
        "colour": rng.normal((60, 120, 180), 10, (120, 80, 3)).clip(0, 255).astype(np.uint8),
        "flat": np.full((120, 80), 128, np.uint8),
        "disc": np.where(DISC, 180, 30).astype(np.uint8),
    }
    for name, pixels in pictures.items():
        cv2.imwrite(str(folder / f"{name}.png"), pixels)
    return [folder / f"{name}.png" for name in pictures]


def _spec(width=64, height=96, **options) -> InputSpec:
    return InputSpec(width=width, height=height, **options)


def _digest(made) -> str:
    return hashlib.sha256(made.pixels.tobytes() + made.mask.tobytes() + repr(made.provenance).encode()).hexdigest()


def _draw(memseg: MemSeg, k: int) -> str:
    return _digest(memseg.draw(k, 7))


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(_spec(), id="shrunk"),
        pytest.param(_spec(200, 600), id="enlarged"),
        pytest.param(_spec(32, 32), id="32 x 32"),
        pytest.param(_spec(16, 16), id="smallest"),
        pytest.param(_spec(90, 33, crop="center", resize="linear"), id="wide, cropped"),
    ],
)
@pytest.mark.parametrize("line_share", [0.0, 1.0], ids=["spots", "lines"])
def test_only_the_mask_changes_and_it_does_visibly(normals, spec, line_share):
    for made in MemSeg(normals, spec, line_share=line_share).generate(25, seed=1):
        part = preprocess.fit(imagefile.read(Path(made.provenance["source"])), spec)
        assert made.pixels.shape == (spec.height, spec.width, 3)
        assert made.pixels.dtype == made.mask.dtype == np.uint8
        assert set(np.unique(made.mask)) <= {0, 255}
        inside = made.mask > 0
        np.testing.assert_array_equal(made.pixels[~inside], part[~inside])
        assert 4 <= np.count_nonzero(inside) <= 0.2 * inside.size + 1
        assert np.abs(made.pixels[inside].astype(int) - part[inside]).mean(axis=0).max() >= 8
        assert made.provenance["mask_share"] == np.count_nonzero(inside) / inside.size


def test_an_image_depends_on_seed_and_number_alone(normals):
    memseg = MemSeg(normals, _spec(), line_share=0.3)
    in_order = [_digest(made) for made in memseg.generate(8, seed=7)]
    assert len(set(in_order)) == 8
    assert [_draw(memseg, k) for k in reversed(range(8))][::-1] == in_order
    assert [_digest(made) for made in MemSeg(normals, _spec(), line_share=0.3).generate(3, seed=7)] == in_order[:3]
    assert _digest(memseg.draw(0, 8)) != in_order[0]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert list(pool.map(_draw, [memseg] * 8, range(8))) == in_order


def test_opacity_is_drawn_from_its_range(tmp_path):
    cv2.imwrite(str(tmp_path / "black.png"), np.zeros((60, 40), np.uint8))
    (tmp_path / "textures").mkdir()
    cv2.imwrite(str(tmp_path / "textures" / "white.png"), np.full((60, 40), 255, np.uint8))
    memseg = MemSeg(
        [tmp_path / "black.png"], _spec(32, 48), tmp_path / "textures", opacity=(0.3, 0.8), structural_share=0
    )
    blended = []
    for made in memseg.generate(150, seed=0):
        inside = made.pixels[made.mask > 0]
        assert (inside == inside[0, 0]).all()
        assert inside[0, 0] == round(255 * made.provenance["opacity"])
        assert made.provenance["texture"] == str(tmp_path / "textures" / "white.png")
        blended.append(inside[0, 0] / 255)
    assert 0.3 - 0.002 <= min(blended) < 0.35
    assert 0.75 < max(blended) <= 0.8 + 0.002


def test_a_source_like_the_part_is_not_used(tmp_path):
    for name in ("part.png", "textures/same.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), np.full((60, 40), 100, np.uint8))
    made = MemSeg([tmp_path / "part.png"], _spec(), tmp_path / "textures", structural_share=0).draw(0, 0)
    assert made.provenance["kind"] == "opposite"
    assert (made.pixels[made.mask > 0] == 228).all()


def test_defects_stay_on_the_part(normals):
    spec = _spec(80, 120)
    reach = cv2.dilate(DISC.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    for made in MemSeg(normals[-1:], spec).generate(30, seed=2):
        assert not (made.mask > 0)[~reach].any()


@pytest.mark.parametrize(
    ("share", "kinds"), [(1.0, {"structural"}), (0.0, {"procedural"}), (0.5, {"structural", "procedural"})]
)
def test_structural_share(normals, share, kinds):
    assert {
        made.provenance["kind"] for made in MemSeg(normals[:1], _spec(), structural_share=share).generate(30, 0)
    } == kinds


def test_grey_parts_get_grey_defects_and_coloured_ones_any(normals):
    grey = [made.pixels for made in MemSeg(normals[:1], _spec(), structural_share=0).generate(10, 0)]
    assert all((pixels == pixels[..., :1]).all() for pixels in grey)
    coloured = next(MemSeg(normals[2:3], _spec(), structural_share=0).generate(1, 0))
    assert np.ptp(coloured.pixels[coloured.mask > 0].astype(int), axis=1).max() > 20


def test_masks_differ_in_size_and_number_of_spots(normals):
    masks = [made.mask for made in MemSeg(normals[:1], _spec(200, 600)).generate(80, 3)]
    shares = [np.count_nonzero(mask) / mask.size for mask in masks]
    spots = [cv2.connectedComponents(mask)[0] - 1 for mask in masks]
    assert min(shares) < 0.004 and max(shares) > 0.08
    assert sum(count <= 3 for count in spots) > 30 and max(spots) > 20


def test_provenance_is_json_and_names_its_source(normals):
    made = MemSeg(normals, _spec()).draw(5, 9)
    record = json.loads(json.dumps(made.provenance))
    assert (record["generator"], record["seed"], record["index"]) == ("memseg", 9, 5)
    assert Path(record["source"]) in normals


def test_an_unreadable_texture_is_named(normals, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(DataError, match=r"broken\.png"):
        MemSeg(normals, _spec(), tmp_path, structural_share=0).draw(0, 0)


def test_an_unreadable_normal_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.png"):
        MemSeg([tmp_path / "gone.png"], _spec()).draw(0, 0)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        pytest.param({"opacity": (0.0, 1.0)}, "opacity", id="opacity from nothing"),
        pytest.param({"opacity": (0.8, 0.4)}, "opacity", id="opacity falls"),
        pytest.param({"opacity": (0.5, 1.2)}, "opacity", id="opacity above 1"),
        pytest.param({"structural_share": 1.1}, "structural_share", id="structural share"),
        pytest.param({"line_share": -0.1}, "line_share", id="line share"),
        pytest.param({"textures": Path("no-such-folder")}, "no-such-folder", id="texture folder"),
    ],
)
def test_wrong_options_are_refused_at_once(normals, options, says):
    with pytest.raises(DataError, match=says):
        MemSeg(normals, _spec(), **options)


def test_no_normal_image_is_refused():
    with pytest.raises(DataError, match="at least one good image"):
        MemSeg([], _spec())
