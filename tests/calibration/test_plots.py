"""Pictures: real PNGs at the promised size, that show the data given, on extreme data too."""

import cv2
import numpy as np
import pytest

from calibration import plots
from calibration.calibrate import calibrate

RNG = np.random.default_rng(0)
LABELS = np.r_[np.zeros(60, int), np.ones(20, int)]
LOGITS = np.r_[RNG.normal(-2, 1, 60), RNG.normal(2, 1, 20)]
# BGR of the classes' colours
BLUE, ORANGE = (0xB2, 0x72, 0x00), (0x00, 0x5E, 0xD5)


def decode(png):
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)


def has(picture, colour):
    return bool((np.abs(picture.astype(int) - colour).sum(axis=2) < 12).any())


@pytest.mark.parametrize("draw", [plots.precision_recall_png, plots.histogram_png, plots.reliability_png])
def test_single_pictures(draw):
    picture = decode(draw(LABELS, LOGITS, calibrate(LABELS, LOGITS, review=0.1).calibration))
    assert picture.shape == (506, 594, 3)
    assert has(picture, BLUE)
    assert has(picture, ORANGE)


def test_overview_holds_three_and_a_heading():
    found = calibrate(LABELS, LOGITS, "recall>=0.8", defects="synthetic").calibration
    assert decode(plots.overview_png(LABELS, LOGITS, found)).shape == (572, 1782, 3)


def test_the_threshold_is_drawn_where_it_is():
    found = calibrate(LABELS, LOGITS).calibration
    low, high = (
        decode(plots.histogram_png(LABELS, LOGITS, found.model_copy(update={"threshold": t}))) for t in (0.1, 0.9)
    )

    def column(picture):
        ink = np.abs(picture.astype(int) - 0x22).max(axis=2) < 20
        return int(np.argmax(ink[130:440].sum(axis=0)))

    assert column(high) - column(low) > 100


@pytest.mark.parametrize(
    ("labels", "logits"),
    [
        pytest.param([0, 1], [-1, 1], id="two images"),
        pytest.param([0, 1, 0], [3, 3, 3], id="all scores equal"),
        pytest.param([0, 0, 1], [-1e6, 1e6, 1e6], id="huge logits"),
    ],
)
def test_extremes_are_drawn(labels, logits):
    assert decode(plots.overview_png(labels, logits, calibrate(labels, logits).calibration)) is not None
