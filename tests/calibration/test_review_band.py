"""The review band: its text forms, and which images a share sends to a person."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.review_band import band, parse
from inspector.errors import DataError, RecipeError


@pytest.mark.parametrize(("text", "review"), [("0.05", 0.05), ("0.4,0.7", (0.4, 0.7)), ("0, 1", (0.0, 1.0))])
def test_parse(text, review):
    assert parse(text) == review


@pytest.mark.parametrize(
    "text", ["", "0", "1", "5%", "-0.1", "0.7,0.4", "0.4,0.4", "0.4,1.2", "0.1,0.2,0.3", "nan", "a,b"]
)
def test_bad_text_names_both_forms(text):
    with pytest.raises(RecipeError, match=r"0\.05, or two probabilities such as 0\.4,0\.7"):
        parse(text)


def test_a_share_takes_the_nearest_in_log_odds():
    # log-odds distances from 0.5: 0.05 -> 2.94, 0.3 -> 0.85, 0.6 -> 0.41, 0.9 -> 2.20
    low, high = band([0.05, 0.3, 0.6, 0.9], 0.5, 0.5)
    radius = (np.log(7 / 3) + np.log(9)) / 2
    assert (low, high) == pytest.approx((1 / (1 + np.exp(radius)), 1 / (1 + np.exp(-radius))))


def test_ties_beyond_the_share_stay_out():
    low, high = band([0.4, 0.6, 0.6, 0.9], 0.55, 0.5)
    assert [p for p in (0.4, 0.6, 0.9) if low <= p <= high] == [0.6]
    low, high = band([0.45, 0.6, 0.6, 0.9], 0.5, 0.5)
    assert [p for p in (0.45, 0.6, 0.9) if low <= p <= high] == [0.45]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0, 1), st.floats(0.01, 0.99))
def test_never_more_than_the_share_and_always_around_the_threshold(probabilities, threshold, share):
    try:
        low, high = band(probabilities, threshold, share)
    except DataError:
        return
    inside = sum(low <= p <= high for p in probabilities)
    assert inside <= share * len(probabilities) + 1e-9
    assert 0 <= low <= high <= 1
    assert threshold < 1e-12 or threshold > 1 - 1e-12 or low <= threshold <= high


def test_an_explicit_band_is_taken_as_it_is_if_it_holds_the_threshold():
    assert band([0.1], 0.5, (0.4, 0.7)) == (0.4, 0.7)
    with pytest.raises(DataError, match=r"0\.6,0\.7 does not contain the threshold 0\.5000"):
        band([0.1], 0.5, (0.6, 0.7))


def test_less_than_one_image_is_refused():
    with pytest.raises(DataError, match=r"share of 0\.05 is less than one of these 10 images"):
        band(np.linspace(0.1, 0.9, 10), 0.5, 0.05)
