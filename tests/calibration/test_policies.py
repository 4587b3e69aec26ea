"""Policies: hand-worked examples, then every choice against a search over all thresholds."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from calibration.curve import operating_point
from calibration.cuts import cuts
from calibration.policies import Cost, FprAtMost, MaxF1, PrecisionAtLeast, RecallAtLeast, parse
from inspector.errors import DataError, RecipeError

#        good  good  defect good  defect defect
LABELS = [0, 0, 1, 0, 1, 1]
SCORES = [0.1, 0.2, 0.3, 0.5, 0.6, 0.9]


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("max-f1", MaxF1()),
        ("Max-F1 ", MaxF1()),
        ("recall>=0.99", RecallAtLeast(0.99)),
        (" recall >= .9", RecallAtLeast(0.9)),
        ("recall>=1", RecallAtLeast(1.0)),
        ("precision>=0.5", PrecisionAtLeast(0.5)),
        ("fpr<=1e-3", FprAtMost(0.001)),
        ("fpr<=0", FprAtMost(0.0)),
        ("cost(fn=100,fp=1)", Cost(fn=100, fp=1)),
        ("cost( fp=0.5, fn=2 )", Cost(fn=2, fp=0.5)),
        ("cost(fn=1,fp=0)", Cost(fn=1, fp=0)),
    ],
)
def test_parse(text, policy):
    assert parse(text) == policy
    assert parse(str(policy)) == policy


def test_a_policy_keeps_its_digits_as_text():
    assert str(parse("recall>=0.9999999")) == "recall>=0.9999999"


@pytest.mark.parametrize(
    "text",
    [
        *("", "f1", "recall", "recall>0.9", "recall<=0.9", "fpr>=0.1", "precision<=0.9", "accuracy>=0.9"),
        *(
            "recall>=0",
            "recall>=1.01",
            "recall>=99%",
            "recall>=nan",
            "recall>=1e",
            "recall>=1.2.3",
            "fpr<=1",
            "fpr<=-1",
        ),
        *("cost(fn=1)", "cost(fn=1,fn=2)", "cost(fn=0,fp=0)", "cost(fn=-1,fp=1)", "cost(fn=1e999,fp=1)", "cost(1,2)"),
    ],
)
def test_a_bad_policy_names_all_forms_in_one_line(text):
    with pytest.raises(RecipeError) as caught:
        parse(text)
    message = str(caught.value)
    assert "\n" not in message
    assert all(form in message for form in ("max-f1", "recall>=", "precision>=", "fpr<=", "cost(fn="))


@pytest.mark.parametrize(
    ("policy", "threshold"),
    [
        # F1 of the cuts 0.05 .. 0.95: 6/9, 6/8, 6/7, 4/6, 4/5, 2/4, 0
        pytest.param("max-f1", 0.25, id="max-f1"),
        pytest.param("recall>=1", 0.25, id="recall: all"),
        pytest.param("recall>=0.99", 0.25, id="recall: rounds up to all"),
        pytest.param("recall>=0.6", 0.55, id="recall: two of three, highest"),
        pytest.param("recall>=0.3", 0.75, id="recall: one of three"),
        pytest.param("precision>=0.75", 0.25, id="precision: 3 of 4, kept by the lowest cut"),
        pytest.param("precision>=0.8", 0.55, id="precision: 2 of 2, more recall than 1 of 1"),
        pytest.param("fpr<=0", 0.55, id="fpr: none, lowest"),
        pytest.param("fpr<=0.34", 0.25, id="fpr: one of three"),
        pytest.param("fpr<=0.99", 0.15, id="fpr: two of three"),
        # costs of the cuts: fn=1,fp=1: 3 2 1 2 1 2 3 -> the lower of the two best
        pytest.param("cost(fn=1,fp=1)", 0.25, id="cost: tie goes to fewer misses"),
        pytest.param("cost(fn=1,fp=10)", 0.55, id="cost: alarms dear"),
        pytest.param("cost(fn=100,fp=1)", 0.25, id="cost: misses dear"),
        pytest.param("cost(fn=0,fp=1)", 0.55, id="cost: only alarms count, still the lowest"),
    ],
)
def test_choice_by_hand(policy, threshold):
    assert parse(policy).choose(LABELS, SCORES) == pytest.approx(threshold)


@pytest.mark.parametrize(
    ("policy", "labels", "scores", "threshold"),
    [
        pytest.param("max-f1", [0, 1], [0.4, 0.4], 0.2, id="all equal: call everything"),
        pytest.param("recall>=0.5", [0, 1], [0.4, 0.4], 0.2, id="all equal: recall calls everything"),
        pytest.param("fpr<=0.5", [0, 1], [0.4, 0.4], 0.7, id="all equal: fpr calls nothing"),
        pytest.param("precision>=0.5", [0, 1], [0.4, 0.4], 0.2, id="all equal: half are right"),
        pytest.param("cost(fn=1,fp=3)", [0, 1], [0.4, 0.4], 0.7, id="all equal: cheaper to call nothing"),
        pytest.param("max-f1", [0, 1], [0.0, 1.0], 0.5, id="both ends of the range"),
        pytest.param("recall>=1", [1, 0], [0.0, 1.0], 0.0, id="a defect at 0 can only be caught by threshold 0"),
        pytest.param("recall>=0.5", [0, 1, 1, 0], [0.2, 0.4, 0.4, 0.6], 0.3, id="tied defects are caught together"),
    ],
)
def test_edges(policy, labels, scores, threshold):
    assert parse(policy).choose(labels, scores) == pytest.approx(threshold)


def test_precision_out_of_reach_names_the_best():
    with pytest.raises(DataError, match=r"precision>=0.9 cannot be met: the best precision on these images is 0.666"):
        parse("precision>=0.9").choose([1, 0, 1, 0], [0.9, 0.9, 0.9, 0.1])


def test_false_alarms_at_probability_one_cannot_be_cut_off():
    with pytest.raises(DataError, match="1 of them score as high as a probability can be"):
        parse("fpr<=0").choose([0, 0, 1], [0.1, 1.0, 1.0])


def test_decimal_levels_meet_whole_counts():
    # in binary (1 - 0.9) * 10 is 0.9999999999999998 and 0.29 * 100 is 28.999999999999996
    labels, scores = [1] * 10 + [0] * 10, np.arange(1, 21) / 21
    assert operating_point(labels, scores, parse("recall>=0.9").choose(labels, scores)).fn == 1
    labels, scores = [0] * 100 + [1] * 100, np.arange(1, 201) / 201
    assert operating_point(labels, scores, parse("fpr<=0.29").choose(labels, scores)).fp == 29


def test_no_cut_where_no_number_lies_between():
    low, high = 0.5, np.nextafter(0.5, 1)
    assert cuts([0, 1], [low, high]).thresholds.tolist() == [0.25, 0.75 + (high - 0.5) / 2]


@st.composite
def cases(draw):
    labels = [0, 1, *draw(st.lists(st.integers(0, 1), max_size=20))]
    score = st.one_of(st.integers(0, 6).map(lambda k: k / 6), st.floats(0, 1))
    return np.array(labels), np.array(draw(st.lists(score, min_size=len(labels), max_size=len(labels))))


@given(cases())
def test_cuts_lie_between_scores_and_their_counts_are_right(case):
    labels, scores = case
    found = cuts(labels, scores)
    assert np.all(np.diff(found.thresholds) > 0)
    for threshold, tp, fp in zip(found.thresholds, found.tp, found.fp, strict=True):
        point = operating_point(labels, scores, threshold)
        assert (point.tp, point.fp) == (tp, fp)
        assert threshold not in scores or (threshold == 0 and scores.min() == 0)


@given(cases(), st.floats(0.01, 1))
def test_choices_beat_every_other_threshold(case, level):
    labels, scores = case
    everywhere = [operating_point(labels, scores, t) for t in [0, *np.unique(scores), np.nextafter(scores.max(), 2)]]

    def at(policy):
        return operating_point(labels, scores, policy.choose(labels, scores))

    # a float within one unit of a score admits no cut: leave such neighbours to the test above
    assume(np.all(np.diff(np.unique(scores)) > 1e-9) and scores.max() < 1 - 1e-9)
    assert at(MaxF1()).f1 == max(point.f1 for point in everywhere)
    enough = [point for point in everywhere if point.recall >= level]
    assert at(RecallAtLeast(level)).recall >= level - 1e-9
    assert at(RecallAtLeast(level)).fp == min(point.fp for point in enough)
    quiet = [point for point in everywhere if point.fpr <= level * 0.99]
    assert at(FprAtMost(level * 0.99)).fpr <= level * 0.99 + 1e-9
    assert at(FprAtMost(level * 0.99)).tp == max(point.tp for point in quiet)
    least = min(3 * point.fn + level * point.fp for point in everywhere)
    assert 3 * at(Cost(3, level)).fn + level * at(Cost(3, level)).fp == pytest.approx(least)
    right = [point for point in everywhere if point.tp and point.precision >= level]
    if right:
        chosen = at(PrecisionAtLeast(level))
        assert chosen.precision >= level - 1e-9
        assert chosen.tp == max(point.tp for point in right)
        assert chosen.precision == max(point.precision for point in right if point.tp == chosen.tp)


@pytest.mark.parametrize(
    ("n_defect", "n_ok", "share"),
    [(5, 5, 0.5), (5, 35, 6 / 42), (35, 5, 36 / 42), (1, 500, 0.1), (500, 1, 0.9)],
    ids=["as many", "few defects: low", "few good: high", "lower end", "upper end"],
)
def test_the_class_with_fewer_images_gets_more_of_the_gap(n_defect, n_ok, share):
    labels = np.repeat([0, 1], [n_ok, n_defect])
    threshold = parse("max-f1").choose(labels, np.where(labels, 0.8, 0.2))
    assert threshold == pytest.approx(0.2 + 0.6 * share)
