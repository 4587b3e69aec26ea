"""Pictures and overlays of the report."""

import base64

import cv2
import numpy as np
import pytest

from trainer.report import Picture, pictures
from trainer.report.pictures import data_uri, overlay, tiles

GREY = np.full((60, 40, 3), 128, np.uint8)


def decoded(uri: str) -> np.ndarray:
    head, _, body = uri.partition(",")
    assert head == "data:image/jpeg;base64"
    return cv2.imdecode(np.frombuffer(base64.b64decode(body), np.uint8), cv2.IMREAD_COLOR)


def test_data_uri_keeps_colours_and_shrinks_the_longest_side() -> None:
    red = np.zeros((1200, 400, 3), np.uint8)
    red[:, :, 0] = 200
    shown = decoded(data_uri(red))
    assert shown.shape == (420, 140, 3)
    blue, green, channel_red = shown.reshape(-1, 3).mean(axis=0)
    assert channel_red == pytest.approx(200, abs=4) and blue < 5 and green < 5


def test_overlay_is_strongest_at_the_peak_and_clear_elsewhere() -> None:
    cam = np.full((6, 4), -3.0, np.float32)
    cam[5, 3] = 2.0
    shown = overlay(GREY, cam)
    assert shown.shape == GREY.shape and shown.dtype == np.uint8
    assert np.array_equal(shown[:30, :20], GREY[:30, :20])
    red, _, blue = shown[57, 37].astype(int)
    assert red > blue + 40  # turbo's hot end


def test_overlay_fades_where_the_map_is_flatter_than_the_others() -> None:
    cam = np.zeros((6, 4), np.float32)
    cam[0, 0] = 0.1
    alone, among_peaks = overlay(GREY, cam), overlay(GREY, cam, smallest_spread=4.0)
    change = [np.abs(shown.astype(int) - GREY).max() for shown in (alone, among_peaks)]
    assert change[0] > 60 and change[1] < 10


@pytest.mark.parametrize(
    "cam",
    [
        pytest.param(np.full((3, 2), np.nan, np.float32), id="all NaN"),
        pytest.param(np.array([[np.inf, 1.0], [np.nan, 0.0]], np.float32), id="some not finite"),
        pytest.param(np.zeros((1, 1), np.float32), id="one cell"),
    ],
)
def test_overlay_of_a_broken_map_is_a_picture(cam: np.ndarray) -> None:
    assert overlay(GREY, cam).shape == GREY.shape


def test_tiles_are_limited_and_overlaid_only_with_a_map() -> None:
    cam = np.eye(3, dtype=np.float32)
    shown = tiles([Picture(GREY, "a"), Picture(GREY, "b", cam), Picture(GREY, "c")], limit=2)
    assert [tile.caption for tile in shown] == ["a", "b"]
    assert [bool(tile.overlay) for tile in shown] == [False, True]
    assert shown[0].aspect == pytest.approx(40 / 60)


def test_no_pictures_no_tiles() -> None:
    assert pictures.tiles([], limit=5) == []
