"""`calibrate`: what it records agrees with the runtime's own judging and with scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics

from calibration.calibrate import calibrate
from inspector.errors import DataError, RecipeError
from inspector.manifest import Calibration

RNG = np.random.default_rng(8)
LABELS = np.r_[np.zeros(300, int), np.ones(80, int)]
LOGITS = np.r_[RNG.normal(-2, 1.5, 300), RNG.normal(2.5, 1.5, 80)]


@pytest.mark.parametrize("policy", ["max-f1", "recall>=0.95", "precision>=0.95", "fpr<=0.02", "cost(fn=50,fp=1)"])
def test_metrics_are_those_of_the_runtime_s_verdicts(policy):
    found = calibrate(LABELS, LOGITS, policy).calibration
    verdicts = [found.decision().judge(float(logit)) for logit in LOGITS]
    called = np.array([kind == "defect" for _, kind in verdicts])
    tn, fp, fn, tp = metrics.confusion_matrix(LABELS, called).ravel()
    assert [found.metrics[name] for name in ("tn", "fp", "fn", "tp")] == [tn, fp, fn, tp]
    assert found.metrics["precision"] == pytest.approx(metrics.precision_score(LABELS, called))
    assert found.metrics["recall"] == pytest.approx(metrics.recall_score(LABELS, called))
    assert found.metrics["f1"] == pytest.approx(metrics.f1_score(LABELS, called))
    assert found.metrics["ap"] == metrics.average_precision_score(LABELS, LOGITS)
    assert found.metrics["auroc"] == metrics.roc_auc_score(LABELS, LOGITS)
    assert found.metrics["brier"] == pytest.approx(metrics.brier_score_loss(LABELS, [p for p, _ in verdicts]))
    assert found.metrics["nll_before"] == pytest.approx(metrics.log_loss(LABELS, 1 / (1 + np.exp(-LOGITS))))
    assert found.metrics["nll"] < found.metrics["nll_before"]
    assert (found.n_defect, found.n_ok, found.policy) == (80, 300, policy)
    assert set(found.intervals) == {"ap", "f1", "precision", "recall", "fpr"}
    for name, interval in found.intervals.items():
        assert interval.low <= found.metrics[name] <= interval.high, name
    assert Calibration.model_validate_json(found.model_dump_json()) == found


def test_guarantee_is_recorded_only_where_one_holds():
    promised = calibrate(LABELS, LOGITS, "recall>=0.9").calibration
    assert promised.guarantee is not None
    assert (promised.guarantee.metric, promised.guarantee.bound, promised.guarantee.confidence) == ("recall", 0.9, 0.95)
    waived = calibrate(LABELS, LOGITS, "recall>=0.9", guarantee=False).calibration
    assert waived.guarantee is None
    assert waived.metrics["recall"] == 0.9
    assert waived.threshold > promised.threshold
    assert calibrate(LABELS, LOGITS, "max-f1").calibration.guarantee is None


def test_verdicts_of_a_guaranteed_threshold_do_not_depend_on_the_scale_of_the_logits():
    here, there = calibrate(LABELS, LOGITS, "fpr<=0.05"), calibrate(LABELS, LOGITS * 7 + 30, "fpr<=0.05")
    assert here.point.tp == there.point.tp
    assert here.point.fp == there.point.fp


def test_review_band_and_provenance_are_recorded():
    result = calibrate(LABELS, LOGITS, review=0.05, defects="synthetic", source="val")
    found = result.calibration
    kinds = [found.decision().judge(float(logit))[1] for logit in LOGITS]
    assert kinds.count("review") / 380 == found.metrics["review_share"] == 19 / 380
    assert (found.defects, found.source) == ("synthetic", "val")
    assert found.created.endswith("+00:00")


@pytest.mark.parametrize(
    ("labels", "logits", "options", "error", "message"),
    [
        pytest.param([0, 0, 0], [1, 2, 3], {}, DataError, "0 defects and 3 good images", id="no defect"),
        pytest.param([1, 1], [1, 2], {}, DataError, "2 defects and 0 good images", id="no good image"),
        pytest.param([0, 1], [1, np.inf], {}, DataError, "1 of 2 scores are NaN or infinite", id="infinite logit"),
        pytest.param([0, 1], [1, 2], {"policy": "best"}, RecipeError, "'best' is not a threshold policy", id="policy"),
        pytest.param([0, 1], [1, 2], {"policy": "recall>=0.99"}, DataError, "299 defects are needed", id="too few"),
        pytest.param([0, 1], [1, 2], {"confidence": 1.0}, DataError, "confidence 1 is not between", id="confidence"),
    ],
)
def test_refusals(labels, logits, options, error, message):
    with pytest.raises(error, match=message):
        calibrate(labels, logits, **options)


def test_the_smallest_possible_set_calibrates():
    result = calibrate([0, 1], [-1.0, 1.0])
    assert (result.point.tp, result.point.tn) == (1, 1)
    assert result.probabilities[0] < result.calibration.threshold < result.probabilities[1]


@pytest.mark.parametrize(
    ("policy", "defects", "promised"),
    [
        ("recall>=0.9", "real", True),
        ("recall>=0.9", "synthetic", False),
        ("fpr<=0.1", "synthetic", True),
        ("max-f1", "real", False),
    ],
)
def test_synthetic_defects_prove_nothing_about_recall(policy, defects, promised):
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 100)
    logits = rng.normal(labels * 3.0, 1.0)
    calibration = calibrate(labels, logits, policy, defects=defects).calibration
    assert (calibration.guarantee is not None) == promised
