"""Weights of evidence: against scikit-learn's regression, and what they must never do."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from trainer import fusion


def _evidence(seed=0, n=400, share=0.3, **strength):
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < share).astype(np.int64)
    return {name: rng.normal(0, 1, n) + value * labels for name, value in strength.items()}, labels


def test_without_the_pull_it_is_a_balanced_logistic_regression(monkeypatch):
    monkeypatch.setattr(fusion, "_PULL", 0.0)
    evidence, labels = _evidence(plain=1.0, dense=2.0, memory=0.5)
    found = fusion.fit(evidence, labels)
    x = np.stack(list(evidence.values()), axis=1)
    reference = LogisticRegression(C=np.inf, class_weight="balanced", tol=1e-8).fit(x, labels)
    np.testing.assert_allclose(fusion.fused(found, evidence), reference.decision_function(x), atol=0.01)


def test_scale_and_offset_of_the_evidence_make_no_difference():
    evidence, labels = _evidence(plain=1.0, memory=2.0)
    other = {"plain": evidence["plain"] * 1000 - 5, "memory": evidence["memory"] * 0.01 + 7}
    np.testing.assert_allclose(
        fusion.fused(fusion.fit(evidence, labels), evidence),
        fusion.fused(fusion.fit(other, labels), other),
        atol=1e-3,
    )


def test_evidence_that_points_the_wrong_way_gets_no_part():
    evidence, labels = _evidence(plain=3.0, memory=-3.0)
    assert set(fusion.fit(evidence, labels).parts) == {"plain"}


def test_shares_do_not_depend_on_the_scale():
    evidence, labels = _evidence(plain=1.0, memory=1.0)
    other = {"plain": evidence["plain"] * 1000, "memory": evidence["memory"]}
    found = fusion.shares(fusion.fit(other, labels), other, labels)
    assert sum(found.values()) == pytest.approx(1)
    assert found == pytest.approx(fusion.shares(fusion.fit(evidence, labels), evidence, labels), abs=1e-3)
    assert 0.3 < found["plain"] < 0.7


def test_a_single_defect_moves_equal_shares_but_little():
    evidence, labels = _evidence(n=41, share=0.0, plain=0.0, memory=0.0)
    labels[0] = 1
    evidence["plain"][0] = evidence["memory"][0] = 4.0
    found = fusion.fit(evidence, labels)
    assert found.parts["plain"].weight == pytest.approx(found.parts["memory"].weight, rel=0.5)


@pytest.mark.parametrize(
    ("strength", "expected"),
    [({"plain": 2.0, "memory": 2.0}, {"plain", "memory"}), ({"plain": 4.0, "memory": 0.0}, None)],
    ids=["both know something", "one knows nothing"],
)
def test_the_choice_follows_what_is_held_out(strength, expected):
    evidence, labels = _evidence(**strength)
    names, table = fusion.choose(evidence, labels, seed=0)
    assert table["+".join(names)] == max(table.values())
    assert set(table) == {"plain+memory", "plain", "memory"}
    if expected is not None:
        assert set(names) == expected
        assert table["plain+memory"] > table["plain"] + 0.01


def test_held_out_precision_is_not_that_of_the_fit():
    rng = np.random.default_rng(0)
    labels = (np.arange(24) < 8).astype(np.int64)
    noise = {f"kind{number}": rng.normal(0, 1, 24) for number in range(12)}
    fitted = fusion.average_precision(labels, fusion.fused(fusion.fit(noise, labels), noise))
    assert fusion.held_out_ap(noise, labels, seed=0) < fitted - 0.2
