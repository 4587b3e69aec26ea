import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.augment.in_domain.compositing import lay_over


@given(st.integers(0, 2**32 - 1), st.floats(0.0, 0.6))
def test_outside_the_region_nothing_changes(seed, share):
    rng = np.random.default_rng(seed)
    part = rng.integers(0, 256, (24, 16, 3), np.uint8)
    region = np.where(rng.random((24, 16)) < share, np.uint8(255), np.uint8(0))
    change = rng.normal(0, 80, part.shape).astype(np.float32)
    pixels, mask = lay_over(part, change, region)
    assert (pixels[region == 0] == part[region == 0]).all()
    assert not mask[region == 0].any()


def test_change_is_added_inside_and_marked():
    part = np.full((40, 40, 3), 100, np.uint8)
    region = np.zeros((40, 40), np.uint8)
    region[5:35, 5:35] = 255
    change = np.zeros((40, 40, 3), np.float32)
    change[18:22, 10:30] = -60
    pixels, mask = lay_over(part, change, region)
    assert (pixels[19, 15:25] == 40).all()
    assert (mask[19, 15:25] == 255).all()
    assert np.count_nonzero(mask) <= 6 * 22  # the line and one pixel around it


@pytest.mark.parametrize("colour", [False, True])
def test_a_grey_part_stays_grey(colour):
    part = np.full((40, 40, 3), 100, np.uint8)
    if colour:
        part[0, 0] = (1, 2, 3)
    change = np.zeros((40, 40, 3), np.float32)
    change[10:30, 10:30] = (30, 0, 0)
    pixels, _ = lay_over(part, change, np.full((40, 40), 255, np.uint8))
    assert (pixels[20, 20] == ((130, 100, 100) if colour else (110, 110, 110))).all()
