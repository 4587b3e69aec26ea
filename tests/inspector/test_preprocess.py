"""Crop and resize against OpenCV's own averaging, and the way back to the frame's pixels."""

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from inspector.errors import DataError
from inspector.preprocess import InputSpec, crop_box, fit, to_eight_bit, to_frame

RNG = np.random.default_rng(0)


def texture(width: int, height: int, channels: int = 1) -> np.ndarray:
    shape = (height, width) if channels == 1 else (height, width, channels)
    return cv2.GaussianBlur(RNG.integers(0, 256, shape, np.uint8), (0, 0), 1.5)


CASES = {
    "mono": (texture(100, 160), 50, 80),
    "mono with channel axis": (texture(100, 160)[:, :, None], 50, 80),
    "colour": (texture(100, 160, 3), 50, 80),
    "alpha": (texture(100, 160, 4), 50, 80),
    "not contiguous": (texture(200, 160, 3)[:, ::2], 50, 80),
}


@pytest.mark.parametrize(("pixels", "width", "height"), CASES.values(), ids=CASES)
def test_halving_is_the_mean_of_four_pixels(pixels: np.ndarray, width: int, height: int) -> None:
    bgr = np.repeat(pixels.reshape(160, 100, 1), 3, 2) if pixels.size == 16_000 else pixels[:, :, :3]
    mean = bgr.reshape(height, 2, width, 2, 3).mean(axis=(1, 3))[:, :, ::-1]
    image = fit(pixels, InputSpec(width=width, height=height))
    assert (image.shape, image.dtype, image.flags.c_contiguous) == ((height, width, 3), np.uint8, True)
    assert np.abs(image - mean).max() <= 1


def test_same_size_is_only_reordered() -> None:
    pixels = texture(32, 48, 3)
    assert np.array_equal(fit(pixels, InputSpec(width=32, height=48)), pixels[:, :, ::-1])


@pytest.mark.parametrize("shrink", [1.1, 1.25, 1.33, 1.5, 2.5])
def test_fine_line_survives_shrinking(shrink: float) -> None:
    """A dark line one pixel wide keeps its darkness, spread over at most three pixels, wherever it lies."""
    width = round(64 * shrink)
    kept = []
    for column in range(8, width - 8):
        pixels = np.full((48, width), 255, np.uint8)
        pixels[:, column] = 0
        row = fit(pixels, InputSpec(width=64, height=48))[24, :, 0].astype(float)
        kept.append((255 - row).sum() / 255 * shrink)
    # Averaging keeps all of it; interpolation, used below a shrink of 4/3, keeps 8/9 to 4/3.
    assert min(kept) >= 0.87 and np.mean(kept) == pytest.approx(1, abs=0.03)


def test_one_axis_shrinks_while_the_other_grows() -> None:
    """A pattern finer than the model's pixels must average out, not alias, although the height grows."""
    pixels = np.zeros((32, 256), np.uint8)
    pixels[:, ::2] = 200
    image = fit(pixels, InputSpec(width=64, height=48))
    assert np.abs(image.astype(int) - 100).max() <= 1


@pytest.mark.parametrize(
    ("depth", "value", "expected"),
    [
        ("full_range", 0, 0),
        ("full_range", 257 * 7, 7),
        ("full_range", 65535, 255),
        ("low_bits:12", 4095, 255),
        ("low_bits:12", 2048, 128),
        ("low_bits:12", 65535, 255),
        ("low_bits:10", 512, 128),
        ("low_bits:16", 65535, 255),
    ],
)
def test_sixteen_bit(depth: str, value: int, expected: int) -> None:
    assert to_eight_bit(np.full((2, 2), value, np.uint16), depth).tolist() == [[expected] * 2] * 2


def test_sixteen_bit_equals_eight_bit() -> None:
    pixels = texture(100, 160, 3)
    spec = InputSpec(width=50, height=80)
    assert np.array_equal(fit(pixels.astype(np.uint16) * 257, spec), fit(pixels, spec))


@pytest.mark.parametrize(
    "pixels",
    [
        pytest.param(np.zeros((0, 0), np.uint8), id="empty"),
        pytest.param(np.zeros((0, 5, 3), np.uint8), id="no rows"),
        pytest.param(np.zeros((1, 1), np.uint8), id="one pixel"),
        pytest.param(np.zeros((7, 100, 3), np.uint8), id="seven rows"),
        pytest.param(np.zeros((9, 9, 2), np.uint8), id="two channels"),
        pytest.param(np.zeros(9, np.uint8), id="one axis"),
        pytest.param(np.zeros((9, 9), np.float32), id="float"),
        pytest.param(np.zeros((9, 9), np.int16), id="signed"),
    ],
)
def test_refuses(pixels: np.ndarray) -> None:
    with pytest.raises(DataError):
        fit(pixels, InputSpec(width=32, height=48))


@pytest.mark.parametrize(
    ("width", "height", "crop", "box"),
    [
        (250, 620, "none", (0, 0, 250, 620)),
        (400, 600, "center", (100, 0, 200, 600)),  # too wide: cut left and right
        (200, 800, "center", (0, 100, 200, 600)),  # too tall: cut above and below
        (100, 300, "center", (0, 0, 100, 300)),
        (1, 1, "center", (0, 0, 1, 1)),
    ],
)
def test_crop_box(width: int, height: int, crop: str, box: tuple[int, ...]) -> None:
    assert crop_box(width, height, InputSpec(crop=crop)) == box


@pytest.mark.parametrize("crop", ["none", "center"])
@pytest.mark.parametrize("size", [(250, 620), (640, 480), (73, 1201)], ids=str)
def test_way_back_finds_the_spot(size: tuple[int, int], crop: str) -> None:
    """A bright spot in the frame, found in the model's input, maps back onto the spot."""
    spec = InputSpec(width=64, height=96, crop=crop)
    left, top, width, height = crop_box(*size, spec)
    x, y = left + width // 3, top + height // 4
    pixels = np.zeros(size[::-1], np.uint8)
    cv2.circle(pixels, (x, y), 12, 255, -1)
    image = cv2.GaussianBlur(fit(pixels, spec)[:, :, 0].astype(np.float32), (0, 0), 2)
    row, column = divmod(int(image.argmax()), 64)
    found = to_frame(column, row, *size, spec)
    step = max(width / 64, height / 96)
    assert np.hypot(found[0] - x, found[1] - y) <= 2 * step + 1


@pytest.mark.parametrize(("point", "expected"), [((-5, -5), (0, 0)), ((1e6, 1e6), (99, 49))])
def test_way_back_stays_inside(point: tuple[float, float], expected: tuple[int, int]) -> None:
    assert to_frame(*point, 100, 50, InputSpec(width=32, height=48)) == expected


@pytest.mark.parametrize(
    "wrong",
    [{"width": 8}, {"depth": "low_bits:8"}, {"std": (0, 1, 1)}, {"mean": (float("nan"), 0, 0)}, {"colour": "BGR"}],
    ids=str,
)
def test_spec_refuses(wrong: dict) -> None:
    with pytest.raises(ValidationError):
        InputSpec(**wrong)
