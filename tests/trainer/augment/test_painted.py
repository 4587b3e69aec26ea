"""Painted defects as a generator: on good pictures, where the mask says, by seed."""

import cv2
import numpy as np
import pytest

from inspector import preprocess
from inspector.errors import DataError
from inspector.preprocess import InputSpec
from trainer.augment.painted import Painted

SPEC = InputSpec(width=64, height=96)


@pytest.fixture
def normals(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(3):
        pixels = cv2.GaussianBlur(rng.integers(90, 160, (96, 64), dtype=np.uint8), (0, 0), 1)
        cv2.imwrite(str(tmp_path / f"{number}.png"), pixels)
    return sorted(tmp_path.glob("*.png"))


def test_paint_lies_inside_its_mask_on_a_good_picture(normals):
    kinds = set()
    for image in Painted(normals, SPEC).generate(24, seed=1):
        part = preprocess.fit(cv2.imread(image.provenance["source"], cv2.IMREAD_UNCHANGED), SPEC)
        change = np.abs(image.pixels.astype(int) - part).mean(2)
        assert image.mask is not None and image.mask.any()
        assert change[image.mask > 0].mean() > 4 * change[image.mask == 0].mean()
        kinds.add(image.provenance["mode"])
    assert len(kinds) >= 4


def test_an_image_depends_on_seed_and_number_alone(normals):
    painted = Painted(normals, SPEC)
    whole = list(painted.generate(4, seed=5))
    tail = list(painted.generate(2, seed=5, first=2))
    for one, other in zip(whole[2:], tail, strict=True):
        assert np.array_equal(one.pixels, other.pixels) and one.provenance == other.provenance
    assert not np.array_equal(whole[0].pixels, next(painted.generate(1, seed=6)).pixels)


def test_needs_a_good_picture():
    with pytest.raises(DataError, match="at least one good image"):
        Painted([], SPEC)
