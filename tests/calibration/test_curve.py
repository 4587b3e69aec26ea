"""Curve and counts: by hand, and against scikit-learn on scores full of ties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from calibration.curve import auroc, average_precision, operating_point, pr_curve
from inspector.errors import DataError

# descending: 0.9 defect, 0.8 good, 0.7 defect, 0.1 good -> AP = 1/2 * 1 + 1/2 * 2/3
LABELS, SCORES = [0, 1, 0, 1], [0.1, 0.7, 0.8, 0.9]


@st.composite
def labelled_scores(draw):
    """Labels of both classes, scores on a coarse grid so that ties are common."""
    labels = [0, 1, *draw(st.lists(st.integers(0, 1), max_size=40))]
    scores = draw(st.lists(st.integers(0, 8).map(lambda k: k / 8), min_size=len(labels), max_size=len(labels)))
    return np.array(labels), np.array(scores)


def test_average_precision_and_auroc_by_hand():
    assert average_precision(LABELS, SCORES) == pytest.approx(5 / 6)
    assert pr_curve(LABELS, SCORES).average_precision == pytest.approx(5 / 6)
    assert auroc(LABELS, SCORES) == pytest.approx(3 / 4)


@pytest.mark.parametrize(
    ("threshold", "counts", "rates"),
    [
        pytest.param(0.75, (1, 1, 1, 1), (1 / 2, 1 / 2, 1 / 2, 1 / 2), id="middle"),
        pytest.param(0.7, (2, 1, 0, 1), (2 / 3, 1, 4 / 5, 1 / 2), id="on a score: that image is a defect"),
        pytest.param(0.0, (2, 2, 0, 0), (1 / 2, 1, 2 / 3, 1), id="everything called"),
        pytest.param(1.0, (0, 0, 2, 2), (0, 0, 0, 0), id="nothing called"),
    ],
)
def test_counts_at_a_threshold(threshold, counts, rates):
    point = operating_point(LABELS, SCORES, threshold)
    assert (point.tp, point.fp, point.fn, point.tn) == counts
    assert (point.precision, point.recall, point.f1, point.fpr) == pytest.approx(rates)


@given(labelled_scores())
def test_curve_equals_scikit_learn(case):
    labels, scores = case
    curve = pr_curve(labels, scores)
    precision, recall, thresholds = metrics.precision_recall_curve(labels, scores)
    assert np.array_equal(curve.precision, precision)
    assert np.array_equal(curve.recall, recall)
    assert np.array_equal(curve.thresholds, thresholds)
    assert curve.average_precision == metrics.average_precision_score(labels, scores)
    assert auroc(labels, scores) == metrics.roc_auc_score(labels, scores)


@given(labelled_scores(), st.floats(0, 1))
def test_counts_equal_scikit_learn(case, threshold):
    labels, scores = case
    point, called = operating_point(labels, scores, threshold), scores >= threshold
    assert [[point.tn, point.fp], [point.fn, point.tp]] == metrics.confusion_matrix(labels, called).tolist()
    assert point.f1 == pytest.approx(metrics.f1_score(labels, called, zero_division=0))
    assert point.precision == pytest.approx(metrics.precision_score(labels, called, zero_division=0))


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        pytest.param([0, 0], [0.1, 0.2], "0 defects and 2 good images: at least one defect", id="no defect"),
        pytest.param([1], [0.1], "1 defects and 0 good images: at least one good image", id="no good image"),
        pytest.param([], [], "0 defects and 0 good images", id="empty"),
        pytest.param([0, 1], [0.1, float("nan")], "1 of 2 scores are NaN or infinite .first at position 1", id="nan"),
        pytest.param([0, 1], [float("-inf"), 0.1], "first at position 0", id="infinite"),
        pytest.param([0, 2], [0.1, 0.2], r"labels must be 0 .good. or 1 .defect., found \[2\]", id="third class"),
        pytest.param([0, 1], [0.1], "do not belong together", id="lengths differ"),
    ],
)
def test_unusable_input_is_refused(labels, scores, message):
    with pytest.raises(DataError, match=message):
        average_precision(labels, scores)
