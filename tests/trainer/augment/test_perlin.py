import numpy as np
import pytest

from trainer.augment import perlin


def _by_definition(height, width, cells, rng):
    """Perlin noise pixel by pixel, in float64."""
    turn = rng.random((int(np.ceil(cells[0])) + 1, int(np.ceil(cells[1])) + 1), np.float32) * np.float32(2 * np.pi)
    out = np.zeros((height, width))
    for row in range(height):
        for column in range(width):
            y, x = (row + 0.5) * cells[0] / height, (column + 0.5) * cells[1] / width
            for corner_y in (int(y), int(y) + 1):
                for corner_x in (int(x), int(x) + 1):
                    far_y, far_x = abs(y - corner_y), abs(x - corner_x)
                    fade = [1 - (6 * far**5 - 15 * far**4 + 10 * far**3) for far in (far_y, far_x)]
                    angle = turn[corner_y, corner_x]
                    gradient = np.cos(angle) * (x - corner_x) + np.sin(angle) * (y - corner_y)
                    out[row, column] += fade[0] * fade[1] * gradient
    return out


@pytest.mark.parametrize(
    ("height", "width", "cells"),
    [
        pytest.param(24, 30, (1.0, 1.0), id="one cell"),
        pytest.param(40, 32, (4.0, 8.0), id="another scale along each axis"),
        pytest.param(33, 17, (2.5, 3.2), id="fractions of a cell"),
    ],
)
def test_noise_is_perlin_noise(height, width, cells):
    drawn = perlin.perlin(height, width, cells, np.random.default_rng(3))
    np.testing.assert_allclose(drawn, _by_definition(height, width, cells, np.random.default_rng(3)), atol=2e-6)
    assert drawn.dtype == np.float32


def test_noise_stays_in_its_bounds_and_varies():
    drawn = perlin.perlin(600, 200, (30.0, 10.0), np.random.default_rng(0))
    assert np.abs(drawn).max() <= 0.7072
    assert 0.15 < drawn.std() < 0.35
    assert abs(drawn.mean()) < 0.05


def test_turning_turns_the_streaks():
    def unevenness(degrees):
        noise = perlin.turned(200, 200, (2.0, 32.0), degrees, np.random.default_rng(1))
        return np.abs(np.diff(noise, axis=0)).mean(), np.abs(np.diff(noise, axis=1)).mean()

    along, across = unevenness(0)
    assert across > 5 * along
    along, across = unevenness(90)
    assert along > 5 * across


@pytest.mark.parametrize(
    ("share", "pixels"), [(0.2, 200), (0.001, 1), (1e-9, 1), (1.0, 1000)], ids=["fifth", "thousandth", "tiny", "all"]
)
def test_cut_covers_its_share_of_the_foreground(share, pixels):
    noise = np.random.default_rng(0).random((40, 50), np.float32)
    where = np.zeros((40, 50), np.uint8)
    where[:20] = 255
    mask = perlin.cut(noise, where, share)
    assert np.count_nonzero(mask) == pixels
    assert not mask[20:].any()
    assert noise[mask > 0].min() >= np.sort(noise[:20].ravel())[-pixels]
