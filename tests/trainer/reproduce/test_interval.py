"""Bootstrap over seeds and images, against scikit-learn on images repeated as drawn."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_score, recall_score

from calibration import bootstrap
from trainer.reproduce import interval
from trainer.reproduce.interval import Judged, over_seeds


def build(seed, good=40, defects=12, gap=1.0, prefix="p"):
    """Scores on a grid of tenths, so that there are ties."""
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1], [good, defects])
    logits = np.round(rng.normal(labels * gap, 1.0), 1)
    return Judged(tuple(f"{prefix}{k:03d}" for k in range(len(labels))), labels, logits, logits >= 0.8)


def test_weighted_figures_are_scikit_learns_on_repeated_images():
    judged = build(0)
    weights = interval._resampled(judged.labels, 20, np.random.default_rng(1))
    assert (weights[:, judged.labels == 0].sum(axis=1) == 40).all()
    assert (weights[:, judged.labels == 1].sum(axis=1) == 12).all()
    found = interval._figures(judged, weights)
    for row, figures in zip(weights, found.T, strict=True):
        index = np.repeat(np.arange(len(row)), row)
        labels, called = judged.labels[index], judged.called[index]
        expected = [
            average_precision_score(labels, judged.logits[index]),
            precision_score(labels, called, zero_division=0),
            recall_score(labels, called),
        ]
        np.testing.assert_allclose(figures, expected, atol=1e-12)


def test_one_seed_gives_the_interval_over_images():
    judged = build(3, good=200, defects=60)
    reference = bootstrap.average_precision(judged.labels, judged.logits, n=4000, seed=5)
    found = over_seeds([judged], n=4000)["ap"]
    assert (found.low, found.high) == pytest.approx((reference.low, reference.high), abs=0.015)
    assert found.method == "stratified percentile bootstrap over test images, 4000 resamples"


def test_seeds_that_disagree_widen_it_and_equal_ones_do_not():
    one = build(3, good=200, defects=60)
    alone, repeated = over_seeds([one])["ap"], over_seeds([one] * 4)["ap"]
    # the same images are drawn for every seed, so four equal seeds know no more than one
    assert (repeated.low, repeated.high) == pytest.approx((alone.low, alone.high), abs=1e-12)
    apart = over_seeds([build(seed, 200, 60, gap) for seed, gap in enumerate((0.2, 1.0, 2.0, 3.0))])["ap"]
    assert apart.high - apart.low > 2 * (alone.high - alone.low)


def test_different_test_images_are_drawn_apart_and_narrow_it():
    one = build(3, good=200, defects=60)
    others = [Judged(tuple(f"{k}{path}" for path in one.paths), one.labels, one.logits, one.called) for k in range(4)]
    alone, apart = over_seeds([one])["ap"], over_seeds(others)["ap"]
    assert apart.high - apart.low < 0.8 * (alone.high - alone.low)


def test_blocks_do_not_change_what_is_drawn_and_the_seed_does(monkeypatch):
    builds = [build(seed) for seed in range(3)]
    whole = over_seeds(builds, n=300)
    assert over_seeds(builds, n=300) == whole
    assert over_seeds(builds, n=300, seed=1) != whole
    monkeypatch.setattr(interval, "_ENTRIES", 1000)
    pieces = over_seeds(builds, n=300)
    assert pieces["ap"].low == pytest.approx(whole["ap"].low, abs=0.05)


def test_a_paired_difference_is_scikit_learns_on_the_same_draws():
    before, after = build(0), build(1, gap=2.0)
    found = interval.of_difference([before], [after], n=50)["ap"]
    rows = interval._resampled(before.labels, 50, np.random.default_rng([0, 0]))
    drawn = [np.repeat(np.arange(len(row)), row) for row in rows]
    differences = [
        average_precision_score(after.labels[index], after.logits[index])
        - average_precision_score(before.labels[index], before.logits[index])
        for index in drawn
    ]
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(differences, [0.025, 0.975])))


def test_pairing_is_narrower_than_the_parts_and_nothing_differs_from_itself():
    before = [build(seed, 200, 60) for seed in range(2)]
    after = [Judged(b.paths, b.labels, b.logits + 0.3 * b.labels, b.called) for b in before]
    paired, alone = interval.of_difference(before, after)["ap"], over_seeds(after)["ap"]
    assert 0 < paired.low < paired.high
    assert paired.high - paired.low < 0.5 * (alone.high - alone.low)
    same = interval.of_difference(before, before, images="validation images")["ap"]
    assert (same.low, same.high) == (0, 0)
    assert same.method == "stratified percentile bootstrap over seeds and validation images, 2000 resamples"


def test_different_images_cannot_be_paired():
    with pytest.raises(ValueError, match="different images"):
        interval.of_difference([build(0)], [build(0, prefix="q")])
