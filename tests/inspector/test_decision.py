"""Probabilities and verdicts, expected values by hand."""

import math

import numpy as np
import pytest

from inspector.decision import Decision, probability_of

SIGMOID_1 = 1 / (1 + math.exp(-1))


@pytest.mark.parametrize(
    ("logit", "temperature", "bias", "expected"),
    [
        (0, 1, 0, 0.5),
        (1, 1, 0, SIGMOID_1),
        (-1, 1, 0, 1 - SIGMOID_1),
        (2, 2, 0, SIGMOID_1),
        (2, 2, -1, 0.5),
        (1e6, 1, 0, 1.0),
        (-1e6, 1, 0, 0.0),
    ],
)
def test_probability(logit: float, temperature: float, bias: float, expected: float) -> None:
    with np.errstate(all="raise", under="ignore"):
        assert probability_of(logit, temperature, bias) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(
    ("logit", "band", "kind"),
    [
        (0.0, None, "defect"),  # at the threshold
        (-1e-9, None, "ok"),
        (1.0, None, "defect"),
        (0.0, (0.4, 0.6), "review"),
        (0.0, (0.5, 0.5), "review"),  # both ends belong to the band
        (5.0, (0.4, 0.6), "defect"),
        (-5.0, (0.4, 0.6), "ok"),
        (math.nan, None, "invalid"),
        (math.inf, None, "invalid"),
        (-math.inf, (0.0, 1.0), "invalid"),
    ],
)
def test_judge(logit: float, band: tuple[float, float] | None, kind: str) -> None:
    probability, verdict = Decision(0.5, review_band=band).judge(logit)
    assert verdict == kind
    assert math.isnan(probability) == (kind == "invalid")
