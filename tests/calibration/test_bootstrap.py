"""Bootstrap: each resample against scikit-learn on the very images drawn, intervals against explicit resampling."""

import numpy as np
import pytest
from sklearn import metrics

from calibration import bootstrap
from inspector.errors import DataError

RNG = np.random.default_rng(3)
LABELS = np.r_[np.zeros(50, int), np.ones(14, int)]
SCORES = np.round(np.r_[RNG.normal(0.4, 0.15, 50), RNG.normal(0.6, 0.15, 14)], 1)  # many ties


def test_each_resample_s_average_precision_equals_scikit_learn():
    order = np.argsort(-SCORES, kind="stable")
    y, s = LABELS[order], SCORES[order]
    (weights,) = bootstrap._resamples(y, 200, seed=5)
    found = bootstrap._average_precision(y, bootstrap._run_ends(s), weights)
    expected = [metrics.average_precision_score(np.repeat(y, row), np.repeat(s, row)) for row in weights]
    assert found == pytest.approx(expected, abs=1e-12)


def test_resamples_are_stratified_and_every_image_is_as_likely():
    weights = np.concatenate(list(bootstrap._resamples(LABELS, 4000, seed=1)))
    assert (weights[:, LABELS == 1].sum(axis=1) == 14).all()
    assert (weights[:, LABELS == 0].sum(axis=1) == 50).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(64), abs=6 / np.sqrt(4000))


def test_resampling_in_pieces_gives_the_full_number(monkeypatch):
    monkeypatch.setattr(bootstrap, "_CELLS", 64 * 7)
    pieces = [len(piece) for piece in bootstrap._resamples(LABELS, 30, seed=1)]
    assert pieces == [7, 7, 7, 7, 2]


def test_interval_brackets_the_estimate_and_depends_on_the_seed_alone():
    first, again = (bootstrap.average_precision(LABELS, SCORES, seed=4) for _ in range(2))
    assert first == again
    assert first != bootstrap.average_precision(LABELS, SCORES, seed=5)
    assert first.low < metrics.average_precision_score(LABELS, SCORES) < first.high
    assert (first.confidence, first.method) == (0.95, "stratified percentile bootstrap, 2000 resamples")
    wider = bootstrap.average_precision(LABELS, SCORES, confidence=0.99, seed=4)
    assert wider.low <= first.low < first.high <= wider.high


def test_order_of_images_does_not_matter_to_a_separable_set():
    for labels in ([0, 0, 1, 1], [1, 0, 1, 0]):
        found = bootstrap.average_precision(labels, labels, n=50)
        assert (found.low, found.high) == (1, 1)


def test_intervals_at_a_threshold_equal_explicit_resampling():
    rng, rows = np.random.default_rng(9), []
    bad, good = SCORES[LABELS == 1], SCORES[LABELS == 0]
    for _ in range(20_000):
        tp, fp = (rng.choice(bad, 14) >= 0.55).sum(), (rng.choice(good, 50) >= 0.55).sum()
        rows.append((tp / max(tp + fp, 1), tp / 14, 2 * tp / (tp + fp + 14), fp / 50))
    expected = np.quantile(rows, [0.025, 0.975], axis=0).T
    found = bootstrap.at_threshold(LABELS, SCORES, 0.55, n=20_000)
    for name, (low, high) in zip(("precision", "recall", "f1", "fpr"), expected, strict=True):
        assert (found[name].low, found[name].high) == pytest.approx((low, high), abs=0.011), name


def test_precision_band_holds_the_curve_of_each_resample():
    recalls = np.array([0.25, 0.5, 1.0])
    low, high = bootstrap.precision_band(LABELS, SCORES, recalls, n=300)
    order = np.argsort(-SCORES, kind="stable")
    y, s = LABELS[order], SCORES[order]
    expected = []
    for row in np.concatenate(list(bootstrap._resamples(y, 300, seed=0))):
        precision, recall, _ = metrics.precision_recall_curve(np.repeat(y, row), np.repeat(s, row))
        # points come in rising threshold: the last that reaches the recall is the highest threshold's
        expected.append([precision[np.flatnonzero(recall >= r - 1e-12)[-1]] for r in recalls])
    assert low == pytest.approx(np.quantile(expected, 0.025, axis=0))
    assert high == pytest.approx(np.quantile(expected, 0.975, axis=0))


def test_one_class_is_refused():
    with pytest.raises(DataError, match="0 defects"):
        bootstrap.average_precision([0, 0], [0.1, 0.2])
