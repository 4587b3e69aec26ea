import numpy as np
import pytest

from trainer.augment import SyntheticImage
from trainer.augment.sheet import contact_sheet


def _image(level, mask=True):
    pixels = np.full((40, 20, 3), level, np.uint8)
    outline = np.zeros((40, 20), np.uint8)
    outline[10:20, 5:15] = 255
    return SyntheticImage(pixels, outline if mask else None)


@pytest.mark.parametrize("count", [1, 2, 5, 24])
def test_every_image_is_on_the_sheet(count):
    sheet = contact_sheet([_image(10 + number) for number in range(count)])
    for number in range(count):
        # 800 pixels in the picture, and those of its copy that the outline (36 pixels) leaves
        assert (sheet == 10 + number).all(axis=2).sum() == 800 + 800 - 36
    assert ((sheet == (255, 0, 0)).all(axis=2)).sum() == 36 * count


def test_without_a_mask_only_the_picture_is_shown():
    sheet = contact_sheet([_image(50, mask=False)])
    assert sheet.shape == (52, 32, 3)


def test_a_large_sheet_is_shrunk():
    assert contact_sheet([_image(50)] * 24, widest=100).shape[1] == 100
