"""What a curve says."""

import math

import pytest

from inspector.manifest import Interval
from trainer.curve import sentences
from trainer.curve.summary import Change, Curve, Point


def point(defects, mean=0.8, count=None):
    return Point(count or defects, defects, mean, None, interval(mean - 0.05, mean + 0.05), {})


def interval(low, high):
    return Interval(low=low, high=high, confidence=0.95, method="")


def change(before, after, mean, low, high, ap=0.8):
    return Change(point(before), point(after, ap), mean, interval(low, high), 3)


def curve(last=None, gains=None, line="synthetic"):
    return Curve({line: {}}, {}, {} if last is None else {line: last}, gains or {})


@pytest.mark.parametrize(
    ("last", "says"),
    [
        pytest.param(
            change(10, 20, 0.031, 0.004, 0.061),
            "Doubling the real defects from 10 to 20 raised average precision by 0.031 with synthetic defects "
            "(95 % interval +0.004 to +0.061).",
            id="a doubling",
        ),
        pytest.param(
            change(20, 80, 0.06, 0.02, 0.1),
            "Going from 20 to 80 real defects raised average precision by 0.060 with synthetic defects "
            "(95 % interval +0.020 to +0.100), 0.030 for each doubling.",
            id="two doublings",
        ),
        pytest.param(
            change(10, 19.5, -0.031, -0.061, -0.004),
            "Doubling the real defects from 10 to 19.5 lowered average precision by 0.031 with synthetic defects "
            "(95 % interval −0.061 to −0.004).",
            id="worse",
        ),
        pytest.param(
            change(10, 20, 0.012, -0.02, 0.045),
            "Doubling the real defects from 10 to 20 changed average precision by +0.012 with synthetic defects "
            "(95 % interval −0.020 to +0.045): not distinguishable from no change.",
            id="noise",
        ),
        pytest.param(
            None,
            "Two finished points above 0 real defects are needed to say what more of them bought "
            "with synthetic defects.",
            id="nothing to compare",
        ),
    ],
)
def test_the_last_doubling_in_words(last, says):
    assert sentences.last_doubling("synthetic", curve(last)) == says


def test_ten_more_is_the_pace_carried_on():
    pace = sentences.pace(change(20, 80, 0.06, 0.02, 0.1))
    assert (pace.mean, pace.low, pace.high) == pytest.approx((0.03, 0.01, 0.05))
    assert pace.more_mean == pytest.approx(0.03 * math.log2(90 / 80))
    assert sentences.ten_more("synthetic", curve(change(20, 80, 0.06, 0.02, 0.1))) == (
        "At that pace, ten more real defects (80 to 90) would change it by about +0.005 with synthetic defects "
        "(+0.002 to +0.008); this is an extrapolation."
    )


def test_nothing_grows_past_one():
    pace = sentences.pace(change(1, 2, 0.3, 0.1, 0.5, ap=0.99))
    assert (pace.more_mean, pace.more_high) == pytest.approx((0.01, 0.01))


def test_noise_is_not_carried_on():
    told = sentences.ten_more("real", curve(change(10, 20, 0.012, -0.02, 0.045), line="real"))
    assert (
        told == "Whether ten more real defects would help without synthetic defects cannot be told from these images."
    )


def test_where_synthetic_defects_helped_and_hurt():
    gains = {
        1: change(1, 1, 0.2, 0.1, 0.3),
        5: change(5, 5, 0.1, 0.05, 0.2),
        10: change(10, 10, 0.01, -0.05, 0.06),
        "all": change(19, 19, -0.1, -0.2, -0.05),
    }
    assert sentences.synthetic(curve(gains=gains)) == (
        "Synthetic defects raised average precision at 1 and 5; they lowered it at 19; "
        "they did not distinguishably change it at 10 real defects."
    )
    assert sentences.synthetic(curve()) == ""


def test_the_line_that_is_ahead_at_its_most_defects_leads():
    def two(real, synthetic):
        return Curve({"real": {5: point(5, real)}, "synthetic": {5: point(5, synthetic)}}, {}, {}, {})

    assert sentences.leading(two(0.8, 0.9)) == "synthetic"
    assert sentences.leading(two(0.9, 0.8)) == "real"
    assert sentences.leading(Curve({}, {}, {}, {})) is None
