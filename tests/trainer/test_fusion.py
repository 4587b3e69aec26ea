"""Ways to weigh evidence: what is compared, how it adds up, and which one is taken."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from trainer import fusion


def _evidence(seed=0, n=400, share=0.3, **strength):
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < share).astype(np.int64)
    return {name: rng.normal(0, 1, n) + value * labels for name, value in strength.items()}, labels


def test_every_kind_and_every_sum_is_compared():
    found = [fusion.title(shares) for shares in fusion.sums(["plain", "dense", "memory"])]
    assert found == [
        "plain+dense+memory",
        "plain+dense",
        "plain+memory",
        "dense+memory",
        "plain",
        "dense",
        "memory",
    ]


def test_whole_sums_use_every_kind():
    found = fusion.whole_sums(["plain", "dense", "memory"])
    assert [fusion.title(shares) for shares in found] == [
        "plain+dense+memory",
        "2xplain+dense+memory",
        "plain+2xdense+memory",
        "plain+dense+2xmemory",
    ]
    assert all(sum(shares.values()) == pytest.approx(1) for shares in found)


def test_scale_and_offset_of_the_evidence_make_no_difference():
    evidence, labels = _evidence(plain=1.0, memory=2.0)
    other = {"plain": evidence["plain"] * 1000 - 5, "memory": evidence["memory"] * 0.01 + 7}
    shares = {"plain": 0.5, "memory": 0.5}
    np.testing.assert_allclose(
        fusion.fused(fusion.combine(shares, evidence, labels), evidence),
        fusion.fused(fusion.combine(shares, other, labels), other),
    )


def test_the_sum_does_not_see_the_defects():
    """A guarantee on recall holds as long as the defects' scores have no part in the fusion that scores them."""
    evidence, labels = _evidence(plain=1.0, memory=2.0)
    moved = {name: np.where(labels == 1, z + 50, z) for name, z in evidence.items()}
    for shares in fusion.sums(["plain", "memory"]):
        assert fusion.combine(shares, evidence, labels) == fusion.combine(shares, moved, labels)


@pytest.mark.parametrize(
    ("strength", "expected"),
    [
        ({"plain": 2.0, "dense": 2.0, "memory": 2.0}, "plain+dense+memory"),
        ({"plain": 3.0, "dense": 0.0, "memory": 3.0}, "plain+memory"),
        ({"plain": 4.0, "dense": 0.0, "memory": -1.0}, "plain"),
    ],
    ids=["all know something", "one knows nothing", "one points the wrong way"],
)
def test_the_best_sum_is_taken(strength, expected):
    evidence, labels = _evidence(**strength)
    found = fusion.choose(evidence, labels, fusion.sums(list(evidence)))
    assert fusion.title(found.shares) == expected
    assert set(found.table) == {fusion.title(shares) for shares in fusion.sums(list(evidence))}
    assert fusion.fused(found.fusion, evidence).shape == labels.shape


def test_the_cost_is_that_of_a_balanced_logistic_regression(monkeypatch):
    monkeypatch.setattr(fusion, "_SLOPE_PENALTY", 0.0)
    evidence, labels = _evidence(plain=1.5)
    z = evidence["plain"][:, None]
    reference = LogisticRegression(C=np.inf, class_weight="balanced", tol=1e-8).fit(z, labels)
    weights = np.where(labels == 1, 0.5 / labels.mean(), 0.5 / (1 - labels.mean()))
    expected = log_loss(labels, reference.predict_proba(z)[:, 1], sample_weight=weights)
    assert fusion.cost(evidence["plain"], labels) == pytest.approx(expected, abs=1e-4)


def test_wider_gaps_win_where_average_precision_is_blind():
    labels = np.array([0] * 30 + [1] * 3)
    good = np.random.default_rng(0).normal(0, 1, 30)
    evidence = {"narrow": np.append(good, [3.1, 3.2, 3.3]), "wide": np.append(good, [9.0, 9.5, 10.0])}
    found = fusion.choose(evidence, labels, [{"narrow": 1.0}, {"wide": 1.0}])
    assert found.table == {"narrow": 1.0, "wide": 1.0}
    assert found.shares == {"wide": 1.0}
