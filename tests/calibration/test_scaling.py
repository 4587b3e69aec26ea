"""Temperature and bias: recovered where known, tame where the data say little; reliability by hand."""

import numpy as np
import pytest
from sklearn import metrics

from calibration.scaling import TEMPERATURES, Scaling, fit, reliability
from inspector.decision import probability_of


@pytest.mark.parametrize(
    ("temperature", "bias"),
    [
        pytest.param(1.0, 0.0, id="already calibrated"),
        pytest.param(3.0, 0.0, id="overconfident"),
        pytest.param(0.4, 0.0, id="underconfident"),
        pytest.param(2.0, -3.0, id="trained on balanced classes, rare on the line"),
        pytest.param(40.0, -12.0, id="logits that are large distances"),
    ],
)
def test_known_scaling_is_recovered(temperature, bias):
    rng = np.random.default_rng(0)
    logits = (rng.normal(0, 2.5, 40_000) - bias) * temperature
    labels = rng.uniform(size=40_000) < probability_of(logits, temperature, bias)
    found = fit(labels.astype(int), logits)
    assert found.temperature == pytest.approx(temperature, rel=0.05)
    assert found.bias == pytest.approx(bias, abs=0.15)


def test_fit_is_the_minimum_of_the_documented_loss():
    rng = np.random.default_rng(1)
    labels, logits = np.r_[np.zeros(40), np.ones(12)].astype(int), np.r_[rng.normal(-1, 2, 40), rng.normal(2, 2, 12)]
    target = np.where(labels == 1, 13 / 14, 1 / 42)

    def loss(temperature, bias):
        p = probability_of(logits, temperature, bias)
        nll = -np.sum(target * np.log(p) + (1 - target) * np.log(1 - p))
        return nll + 1 / temperature - 1 + np.log(temperature)

    found = fit(labels, logits)
    least = loss(found.temperature, found.bias)
    for temperature in found.temperature * np.array([0.99, 1, 1.01]):
        for bias in found.bias + np.array([-0.01, 0, 0.01]):
            assert loss(temperature, bias) >= least


def test_five_separable_defects_stay_tame():
    labels, logits = np.r_[np.zeros(200), np.ones(5)].astype(int), np.r_[np.linspace(-9, -4, 200), np.linspace(5, 7, 5)]
    found = fit(labels, logits)
    p = probability_of(logits, found.temperature, found.bias)
    assert p[labels == 1].mean() == pytest.approx(6 / 7, abs=0.07)
    assert p[labels == 0].max() < 0.2
    assert p[labels == 1].min() > p[labels == 0].max()


@pytest.mark.parametrize(
    "logits",
    [
        pytest.param([5.0] * 8, id="all equal"),
        pytest.param([4, 3, 2, 1, 0, -1, -2, -3], id="turned round"),
        pytest.param([1e6, 1e6 + 1, 1e6 + 2, 1e6 + 3, 1e6 + 4, 1e6 + 5, 1e6 + 6, 1e6 + 7], id="far from zero"),
        pytest.param([-1e4, -1e4, -1e4, -1e4, -1e4, -1e4, 1e4, 1e4], id="huge"),
        pytest.param([1e-9 * k for k in range(8)], id="tiny"),
    ],
)
def test_temperature_stays_within_its_limits_and_keeps_the_order(logits):
    found = fit([0, 0, 0, 0, 0, 1, 1, 1], logits)
    assert TEMPERATURES[0] * 0.999 <= found.temperature <= TEMPERATURES[1] * 1.001
    p = probability_of(logits, found.temperature, found.bias)
    assert np.isfinite(p).all()
    assert np.array_equal(np.diff(p) >= 0, np.diff(logits) >= 0)


def test_equal_logits_give_the_smoothed_share_of_defects():
    found = fit([0] * 9 + [1], [2.5] * 10)
    target = (9 * (1 / 11) + 2 / 3) / 10  # mean of Platt's targets
    assert probability_of(2.5, found.temperature, found.bias) == pytest.approx(target)
    assert found.temperature == pytest.approx(1)


def test_moving_all_logits_moves_only_the_bias():
    rng = np.random.default_rng(5)
    labels, logits = np.r_[np.zeros(60), np.ones(20)].astype(int), np.r_[rng.normal(-1, 1, 60), rng.normal(1, 1, 20)]
    here, there = fit(labels, logits), fit(labels, logits + 100)
    assert there.temperature == pytest.approx(here.temperature, rel=1e-4)
    assert there.bias == pytest.approx(here.bias - 100 / here.temperature, rel=1e-4)


def test_reliability_by_hand():
    # two bins of two: (0.2, 0.2 | seen 0) and (0.8, 0.6 | seen 1/2)
    odds = np.log(np.array([0.2, 0.8, 0.2, 0.6]) / np.array([0.8, 0.2, 0.8, 0.4]))
    found = reliability([0, 1, 0, 0], odds)
    assert found.predicted == pytest.approx([0.2, 0.7])
    assert found.observed == pytest.approx([0, 0.5])
    assert found.size.tolist() == [2, 2]
    assert found.ece == pytest.approx(0.2)
    assert found.brier == pytest.approx((0.04 + 0.04 + 0.04 + 0.36) / 4)
    assert found.nll == pytest.approx(-(3 * np.log(0.8) + np.log(0.4)) / 4)


def test_reliability_equals_scikit_learn_and_bins_hold_equal_numbers():
    rng = np.random.default_rng(6)
    labels, odds = rng.integers(0, 2, 1000), rng.normal(0, 2, 1000)
    found, p = reliability(labels, odds), probability_of(odds, 1.0)
    assert found.nll == pytest.approx(metrics.log_loss(labels, p))
    assert found.brier == pytest.approx(metrics.brier_score_loss(labels, p))
    assert found.size.tolist() == [100] * 10


def test_tied_probabilities_share_a_bin_whatever_their_order():
    odds = np.r_[np.full(95, -2.0), np.full(5, 2.0)]
    labels = np.r_[np.ones(10), np.zeros(85), np.ones(5)].astype(int)
    found = reliability(labels, odds)
    turned = reliability(labels[::-1], odds[::-1])
    assert found.size.sum() == 100
    assert found.ece == turned.ece


def test_saturated_log_odds_have_a_finite_loss():
    found = reliability([0, 1], Scaling(0.02, 0.0).scaled([20.0, -20.0]))
    assert found.nll == pytest.approx(1000)
