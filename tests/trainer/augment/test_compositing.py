import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trainer.augment.compositing import feathered, lay_over

SIDE = st.integers(3, 24)


def _dot(feather: int, within=None):
    region = np.zeros((1, 9), np.uint8)
    region[0, 4] = 255
    return feathered(region, feather, within)[0]


@pytest.mark.parametrize(
    ("feather", "expected"),
    [
        (0, [0, 0, 0, 0, 1, 0, 0, 0, 0]),
        (1, [0, 0, 0, 1 / 2, 1, 1 / 2, 0, 0, 0]),
        (3, [0, 1 / 4, 2 / 4, 3 / 4, 1, 3 / 4, 2 / 4, 1 / 4, 0]),
    ],
)
def test_the_weight_falls_off_over_the_feather(feather, expected):
    assert _dot(feather) == pytest.approx(expected)


def test_the_weight_ends_at_the_parts_edge():
    within = np.full((1, 9), 255, np.uint8)
    within[0, 5:] = 0
    assert _dot(3, within) == pytest.approx([0, 1 / 4, 2 / 4, 3 / 4, 1, 0, 0, 0, 0])


def test_everything_in_the_region_is_weight_one():
    assert (feathered(np.full((5, 5), 255, np.uint8), 4) == 1).all()


@given(st.data())
def test_outside_the_feathered_region_no_bit_changes(data):
    height, width = data.draw(SIDE), data.draw(SIDE)
    part = data.draw(arrays(np.uint8, (height, width, 3)))
    region = data.draw(arrays(np.uint8, (height, width), elements=st.sampled_from([0, 255])))
    feather = data.draw(st.integers(0, 6))
    change = data.draw(arrays(np.float32, (height, width, 3), elements=st.floats(-255, 255, width=32)))
    pixels, mask = lay_over(part, change, feathered(region, feather))
    rows, columns = np.nonzero(region)
    y, x = np.mgrid[:height, :width]
    distance = np.full((height, width), np.inf)
    for row, column in zip(rows, columns, strict=True):
        distance = np.minimum(distance, np.hypot(y - row, x - column))
    outside = distance > feather + 1
    assert np.array_equal(pixels[outside], part[outside])
    assert not mask[outside].any()
    assert not mask[(pixels == part).all(2)].any()
    assert pixels.dtype == mask.dtype == np.uint8
    if not region.any():
        assert np.array_equal(pixels, part)


@pytest.mark.parametrize(
    ("change", "size"),
    [
        pytest.param(0.0, 0, id="none"),
        pytest.param(7.4, 0, id="too small to see"),
        pytest.param(8.0, 25, id="just visible"),
        pytest.param(-60.0, 25, id="darker"),
    ],
)
def test_the_mask_is_where_the_change_shows(change, size):
    part = np.full((15, 15, 3), 128, np.uint8)
    weight = np.zeros((15, 15), np.float32)
    weight[4:11, 4:11] = 1
    _, mask = lay_over(part, np.full((15, 15, 3), change, np.float32), weight)
    # 8 levels are reached where all 3 x 3 pixels changed; a strong change counts from a quarter on.
    assert np.count_nonzero(mask) == (49 if change == -60 else size)


def test_a_faint_halo_of_a_strong_change_is_no_defect():
    part, change = np.full((20, 20, 3), 100, np.uint8), np.full((20, 20, 3), 12, np.float32)
    change[5:11, 5:11] = 120
    _, mask = lay_over(part, change, np.ones((20, 20), np.float32))
    assert not mask[14:, 14:].any()
    assert (mask[5:11, 5:11] == 255).all()


def test_a_grey_part_stays_grey_and_a_coloured_one_takes_colour():
    change = np.zeros((9, 9, 3), np.float32) + np.float32([90, 0, 0])
    weight = np.ones((9, 9), np.float32)
    grey, _ = lay_over(np.full((9, 9, 3), 100, np.uint8), change, weight)
    assert (grey == 130).all()
    coloured, _ = lay_over(np.full((9, 9, 3), (100, 101, 102), np.uint8), change, weight)
    assert (coloured == (190, 101, 102)).all()


@pytest.mark.parametrize(
    ("level", "change", "expected"), [(250, 20, 255), (3, -20, 0), (100, 0.4, 100), (100, 0.6, 101)]
)
def test_levels_are_rounded_and_kept_in_range(level, change, expected):
    part = np.full((4, 4, 3), level, np.uint8)
    pixels, _ = lay_over(part, np.full((4, 4, 3), change, np.float32), np.ones((4, 4), np.float32))
    assert (pixels == expected).all()
