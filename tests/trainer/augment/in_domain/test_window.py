import numpy as np
import pytest

from trainer.augment.in_domain.window import around


@pytest.mark.parametrize(
    ("box", "crop", "expected"),
    [
        ((30, 34, 50, 58), 3, (16, 40, 24, 24)),
        ((0, 2, 0, 2), 3, (0, 0, 24, 24)),
        ((62, 64, 98, 100), 3, (40, 72, 24, 24)),
        ((0, 64, 0, 100), 3, (16, 32, 24, 24)),
        ((10, 12, 10, 12), 20, (0, 0, 64, 100)),
    ],
    ids=["middle", "corner", "far corner", "region larger than the window", "window larger than the image"],
)
def test_window_lies_on_the_grid_and_in_the_image(box, crop, expected):
    region = np.zeros((64, 100), np.uint8)
    region[box[0] : box[1], box[2] : box[3]] = 255
    window = around(region, crop)
    assert (window.top, window.left, window.height, window.width) == expected


def test_view_is_written_through():
    image = np.zeros((64, 100, 3))
    region = np.zeros((64, 100), np.uint8)
    region[32, 50] = 255
    window = around(region, 2)
    window.of(image)[:] = 1
    assert image.sum() == 16 * 16 * 3
