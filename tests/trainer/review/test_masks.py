"""Regions read from pictures, and outlines around defects."""

import re

import cv2
import numpy as np
import pytest

from inspector.errors import DataError
from trainer.data.newfolder import write_png
from trainer.review.masks import bright, outline_svg, region_of


@pytest.mark.parametrize(
    "pixels",
    [
        pytest.param(np.array([[0, 127, 128, 255]], np.uint8), id="mono"),
        pytest.param(np.array([[[0, 0, 0], [127, 9, 0], [0, 128, 0], [9, 9, 255]]], np.uint8), id="colour"),
        pytest.param(np.array([[0, 127 * 257, 128 * 257, 65535]], np.uint16), id="16 bit"),
    ],
)
def test_bright_is_above_half(pixels):
    assert bright(pixels).tolist() == [[0, 0, 255, 255]]


def test_region_of_a_png():
    pixels = np.zeros((4, 6, 4), np.uint8)
    pixels[..., 3] = 255
    pixels[1, 2:5, :3] = 255
    region = region_of(cv2.imencode(".png", pixels)[1].tobytes())
    assert region.shape == (4, 6) and np.argwhere(region).tolist() == [[1, 2], [1, 3], [1, 4]]


def test_what_is_no_picture_is_refused():
    with pytest.raises(DataError, match="the region is not an image"):
        region_of(b"hello")


def test_an_outline_runs_around_the_defect(tmp_path):
    mask = np.zeros((200, 100), np.uint8)
    mask[100:110, 0:20] = 255  # at the picture's edge
    write_png(tmp_path / "m.png", mask)
    svg = outline_svg(tmp_path / "m.png")
    assert 'viewBox="0 0 100 200"' in svg
    path = re.search(r' d="([^"]*)"', svg).group(1)
    xs, ys = np.array(re.findall(r"(-?[\d.]+) (-?[\d.]+)[LZ]", path), float).T
    # pixel centres lie at .5; the gap is two pixels
    assert (xs.min(), xs.max()) == (-1.5, 21.5) and (ys.min(), ys.max()) == (98.5, 111.5)


def test_an_empty_mask_has_an_empty_outline(tmp_path):
    write_png(tmp_path / "m.png", np.zeros((20, 20), np.uint8))
    assert 'd=""' in outline_svg(tmp_path / "m.png")
