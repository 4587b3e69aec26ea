"""From logit to verdict: temperature, threshold and review band, as the bundle's calibration says."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inspector.frames import VerdictKind


def probability_of(logits: npt.ArrayLike, temperature: float, bias: float = 0.0) -> npt.NDArray[np.float64]:
    """Calibrated probability `sigmoid(logit / temperature + bias)` in float64.

    Args:
        logits: any shape.
        temperature: > 0.
        bias: shift of the scaled logit; 0 is pure temperature scaling.

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017 (Platt's bias added).
    """
    scaled = np.asarray(logits, dtype=np.float64) / temperature + bias
    # exp of a non-positive number on both branches: no overflow
    small = np.exp(-np.abs(scaled))
    return np.where(scaled >= 0, 1.0 / (1.0 + small), small / (1.0 + small))


@dataclass(frozen=True, slots=True)
class Decision:
    """The operating point: judge logits.

    Attributes:
        threshold: probability in [0, 1] at or above which a frame is a defect.
        temperature: > 0, from temperature scaling.
        bias: shift of the scaled logit.
        review_band: `(low, high)` probabilities; inside it (both ends included) the verdict is `review`.
    """

    threshold: float
    temperature: float = 1.0
    bias: float = 0.0
    review_band: tuple[float, float] | None = None

    def judge(self, logit: float) -> tuple[float, VerdictKind]:
        """Return `(probability, verdict)`; a logit that is not finite is `invalid`, with probability nan."""
        if not math.isfinite(logit):
            return math.nan, "invalid"
        probability = float(probability_of(logit, self.temperature, self.bias))
        if self.review_band is not None and self.review_band[0] <= probability <= self.review_band[1]:
            return probability, "review"
        return probability, "defect" if probability >= self.threshold else "ok"
