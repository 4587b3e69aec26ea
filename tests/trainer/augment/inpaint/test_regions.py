import cv2
import numpy as np
import pytest

from trainer.augment.inpaint.regions import cam_region, perlin_region, whole_cells

EVERYTHING = np.full((96, 64), 255, np.uint8)
DISC = np.where(np.hypot(*(np.mgrid[:96, :64] - np.array([48, 32])[:, None, None])) < 25, 255, 0).astype(np.uint8)
PIXEL = cv2.rectangle(np.zeros((96, 64), np.uint8), (30, 40), (30, 40), 255, -1)
LEFT_HALF_LOOKED_AT = np.pad(np.ones((12, 4), np.float32), ((0, 0), (0, 4)))


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("where", [EVERYTHING, DISC, PIXEL], ids=["surface", "part", "a single pixel"])
@pytest.mark.parametrize("looked", [False, True], ids=["perlin", "cam"])
def test_regions_lie_in_the_foreground_and_are_never_empty(where, looked):
    share = (0.01, 0.2)
    for seed in range(40):
        if looked:
            region = cam_region(LEFT_HALF_LOOKED_AT, where, share, _rng(seed))
        else:
            region = perlin_region(where, share, _rng(seed))
        assert region.shape == (96, 64)
        assert region.dtype == np.uint8
        assert set(np.unique(region)) <= {0, 255}
        assert not region[where == 0].any()
        size = cv2.countNonZero(region)
        assert 1 <= size <= max(1, 0.2 * cv2.countNonZero(where) + 1)
        assert cv2.connectedComponents(region, connectivity=8)[0] - 1 <= 3


def test_a_region_follows_from_its_seed():
    drawn = [perlin_region(EVERYTHING, (0.01, 0.2), _rng(seed)) for seed in (1, 1, 2)]
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


def test_regions_lie_where_the_map_is_high():
    left = sum(
        cv2.countNonZero(cam_region(LEFT_HALF_LOOKED_AT, EVERYTHING, (0.02, 0.1), _rng(seed))[:, :32])
        for seed in range(30)
    )
    everything = sum(
        cv2.countNonZero(cam_region(LEFT_HALF_LOOKED_AT, EVERYTHING, (0.02, 0.1), _rng(seed))) for seed in range(30)
    )
    assert left > 0.95 * everything


def test_one_map_gives_many_regions():
    drawn = {cam_region(LEFT_HALF_LOOKED_AT, EVERYTHING, (0.02, 0.1), _rng(seed)).tobytes() for seed in range(10)}
    assert len(drawn) == 10


@pytest.mark.parametrize("flat", [0.0, -3.0])
def test_a_flat_map_leaves_the_choice_to_chance(flat):
    region = cam_region(np.full((12, 8), flat, np.float32), EVERYTHING, (0.05, 0.05), _rng(0))
    assert region.any()


@pytest.mark.parametrize(
    ("pixel", "margin", "expected"),
    [
        pytest.param((3, 3), 0, [(0, 0)], id="inside one cell"),
        pytest.param((0, 0), 0, [(0, 0)], id="corner"),
        pytest.param((7, 3), 0, [(0, 0)], id="last column of a cell"),
        pytest.param((7, 3), 1, [(0, 0), (0, 1)], id="margin reaches the next column of cells"),
        pytest.param((3, 8), 1, [(0, 0), (1, 0)], id="margin reaches back to the row above"),
    ],
)
def test_whole_cells_of_the_latent_grid(pixel, margin, expected):
    region = np.zeros((16, 24), np.uint8)
    region[pixel[1], pixel[0]] = 255
    wanted = np.zeros((16, 24), np.uint8)
    for row, column in expected:
        wanted[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8] = 255
    assert np.array_equal(whole_cells(region, margin, 8), wanted)
