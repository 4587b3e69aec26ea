"""The guarantee: against scipy's binomial and Beta laws, and by simulation with distributions known exactly."""

import math

import numpy as np
import pytest
from scipy import stats

from calibration import clopper_pearson
from calibration.curve import operating_point
from calibration.guarantee import allowed_errors, errors_allowed, guaranteed, needed, sentence, supported
from calibration.policies import FprAtMost, RecallAtLeast
from inspector.errors import DataError
from inspector.manifest import Guarantee


@pytest.mark.parametrize(
    ("n", "rate", "confidence", "allowed"),
    [
        pytest.param(298, 0.01, 0.95, None, id="0.99^298 = 0.0500: just too few"),
        pytest.param(299, 0.01, 0.95, 0, id="0.99^299 = 0.0495: the textbook 299"),
        pytest.param(472, 0.01, 0.95, 0, id="one below the textbook 473"),
        pytest.param(473, 0.01, 0.95, 1, id="473 for one miss"),
        pytest.param(59, 0.05, 0.95, 0, id="the textbook 59"),
        pytest.param(0, 0.05, 0.95, None, id="no image at all"),
        pytest.param(1, 0.95, 0.95, 0, id="one image supports 0.95"),
    ],
)
def test_allowed_errors_by_hand(n, rate, confidence, allowed):
    assert allowed_errors(n, rate, confidence) == allowed


def test_allowed_errors_follows_binomial_and_beta_tails():
    rng = np.random.default_rng(0)
    for _ in range(300):
        n, rate, confidence = int(rng.integers(1, 600)), rng.uniform(0.002, 0.5), rng.uniform(0.5, 0.995)
        k = allowed_errors(n, rate, confidence)
        allowed = -1 if k is None else k
        if allowed >= 0:
            assert stats.binom.cdf(allowed, n, rate) <= 1 - confidence
            assert stats.beta.cdf(rate, allowed + 1, n - allowed) >= confidence - 1e-12
            assert clopper_pearson.upper(allowed, n, confidence) <= rate + 1e-12
        if allowed + 1 < n:
            assert stats.binom.cdf(allowed + 1, n, rate) > 1 - confidence
            assert clopper_pearson.upper(allowed + 1, n, confidence) > rate


def test_clopper_pearson_equals_scipy():
    for hits, n in [(0, 10), (3, 10), (10, 10), (1, 1), (57, 400)]:
        expected = stats.binomtest(hits, n).proportion_ci(0.9, method="exact")
        found = clopper_pearson.interval(hits, n, 0.9)
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert (clopper_pearson.interval(0, 0, 0.9).low, clopper_pearson.interval(0, 0, 0.9).high) == (0, 1)


@pytest.mark.parametrize(("rate", "confidence"), [(0.01, 0.95), (0.05, 0.95), (0.001, 0.99), (0.5, 0.5), (0.3, 0.9)])
def test_needed_is_the_fewest(rate, confidence):
    n = needed(rate, confidence)
    assert n == max(1, math.ceil(math.log(1 - confidence) / math.log(1 - rate) - 1e-9))
    assert allowed_errors(n, rate, confidence) == 0
    assert n == 1 or allowed_errors(n - 1, rate, confidence) is None


def test_supported_is_the_limit_of_no_error():
    assert supported(70, 0.95) == pytest.approx(stats.binomtest(0, 70).proportion_ci(0.9, method="exact").high)


DRAWS, CONFIDENCE = 2000, 0.9


@pytest.mark.parametrize(
    ("n", "level", "ties"),
    [
        pytest.param(60, 0.9, 0, id="60 images"),
        pytest.param(150, 0.95, 0, id="150 images"),
        pytest.param(60, 0.9, 50, id="60 images, scores rounded: many ties"),
    ],
)
@pytest.mark.parametrize("metric", ["recall", "fpr"])
def test_guarantee_holds_over_draws_of_the_calibration_set(metric, n, level, ties):
    """Scores are uniform, so the true rate of every threshold is known; how often it misses the level is binomial."""
    rng, failures = np.random.default_rng(1), 0
    policy = RecallAtLeast(level) if metric == "recall" else FprAtMost(1 - level)
    for _ in range(DRAWS):
        scores = rng.uniform(size=n + 40)
        labels = np.arange(n + 40) < n if metric == "recall" else np.arange(n + 40) >= n
        if ties:
            scores = np.ceil(scores * ties) / (ties + 1)
        threshold, promise = guaranteed(policy, labels.astype(int), scores, CONFIDENCE)
        assert (promise.metric, promise.bound) == (metric, policy.level)
        # share of the class below the threshold, exactly
        below = math.ceil(threshold * (ties + 1) - 1) / ties if ties else threshold
        failures += (below > 1 - level) if metric == "recall" else (1 - below > 1 - level)
    # the Beta law gives the failure rate of a threshold on the order statistic itself; ours is no worse
    at_most = stats.binom.cdf(allowed_errors(n, 1 - level, CONFIDENCE), n, 1 - level)
    assert at_most <= 1 - CONFIDENCE
    assert failures <= stats.binom.ppf(0.9999, DRAWS, at_most)


def test_the_plain_empirical_choice_breaks_the_promise():
    """Why the bound is needed: the threshold that meets the level on its own images fails about half the time."""
    rng = np.random.default_rng(2)
    labels = np.arange(100) < 60
    failures = sum(RecallAtLeast(0.9).choose(labels, rng.uniform(size=100)) > 0.1 for _ in range(500))
    assert failures > 150


def test_recall_takes_the_highest_threshold_that_is_proved():
    # 473 defects allow one miss: the threshold sits between the second lowest defect and the image below it
    labels = np.r_[np.ones(473, int), [0, 0]]
    scores = np.r_[np.linspace(0.2, 0.9, 473), [0.1, 0.2001]]
    threshold, promise = guaranteed(RecallAtLeast(0.99), labels, scores, 0.95)
    assert operating_point(labels, scores, threshold).fn == 1
    assert 0.2001 < threshold < scores[1]
    assert promise == Guarantee(
        metric="recall",
        bound=0.99,
        confidence=0.95,
        method="Clopper-Pearson on order statistics: 1 of the 473 defects may be missed",
    )
    assert "at least 0.99 of new defects will be caught" in sentence(promise)


def test_fpr_takes_the_lowest_threshold_that_is_proved():
    labels = np.r_[np.zeros(59, int), [1]]
    scores = np.r_[np.linspace(0.1, 0.5, 59), [0.9]]
    threshold, promise = guaranteed(FprAtMost(0.05), labels, scores, 0.95)
    assert threshold == pytest.approx(0.9 * 0.5 + 0.1 * 0.9)  # one defect only: low in the gap
    assert "at most 0.05 of new good images will raise an alarm" in sentence(promise)


@pytest.mark.parametrize(
    ("policy", "labels", "parts"),
    [
        pytest.param(
            RecallAtLeast(0.99),
            [1] * 70 + [0] * 500,
            ["299 defects are needed", "there are 70", "recall>=0.9581"],
            id="recall",
        ),
        pytest.param(
            FprAtMost(0.001), [1] * 70 + [0] * 500, ["2995 good images", "there are 500", "fpr<=0.006"], id="fpr"
        ),
        pytest.param(RecallAtLeast(1.0), [1] * 70 + [0], ["no number of defects is enough"], id="recall of 1"),
        pytest.param(FprAtMost(0.0), [1] + [0] * 70, ["no number of good images is enough"], id="fpr of 0"),
    ],
)
def test_too_few_images_are_refused_with_what_would_do(policy, labels, parts):
    with pytest.raises(DataError) as caught:
        errors_allowed(policy, labels, 0.95)
    assert all(part in str(caught.value) for part in [*parts, "--no-guarantee"])


@pytest.mark.parametrize("n", [1, 2, 7, 25, 70, 298, 1000])
def test_the_level_a_refusal_offers_is_accepted(n):
    for policy, labels in ((RecallAtLeast(0.99999), [1] * n + [0]), (FprAtMost(0.00001), [0] * n + [1])):
        with pytest.raises(DataError) as caught:
            errors_allowed(policy, labels, 0.95)
        level = float(str(caught.value).partition("which support ")[2].split()[0].partition("=")[2])
        assert errors_allowed(type(policy)(level), labels, 0.95) == 0


def test_the_promise_holds_for_the_best_of_several_networks():
    """Taking the network with the highest threshold breaks the promise of a single one; the union bound keeps it."""
    rng = np.random.default_rng(3)
    policy, kept = RecallAtLeast(0.9), {1: 0, 5: 0}
    labels = np.array([0] * 5 + [1] * 120)
    for _ in range(400):
        networks = rng.random((5, 120))  # a uniform score's recall at a threshold is 1 - threshold
        for compared in kept:
            thresholds = [
                guaranteed(policy, labels, np.append(np.zeros(5), scores), 0.95, compared)[0] for scores in networks
            ]
            kept[compared] += 1 - max(thresholds) >= policy.level
    assert kept[1] / 400 < 0.92
    assert kept[5] / 400 >= 0.93


def test_comparing_networks_costs_defects_and_is_said():
    labels, probabilities = np.array([0] * 5 + [1] * 80), np.linspace(0.1, 1, 85)
    policy = RecallAtLeast(0.95)
    _, alone = guaranteed(policy, labels, probabilities, 0.95)
    assert "compared" not in alone.method
    with pytest.raises(DataError, match=f"{needed(0.05, 1 - 0.05 / 7)} defects are needed"):
        guaranteed(policy, labels, probabilities, 0.95, compared=7)
    _, chosen = guaranteed(RecallAtLeast(0.9), labels, probabilities, 0.95, compared=7)
    assert chosen.confidence == 0.95
    assert "for each of the 7 networks compared" in sentence(chosen)
