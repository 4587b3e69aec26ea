"""Temperature and bias: turn logits into probabilities that mean what they say."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calibration.binary import Labels, Scores, checked

TEMPERATURES = (0.02, 100.0)


@dataclass(frozen=True, slots=True)
class Scaling:
    """`probability = sigmoid(logit / temperature + bias)`."""

    temperature: float
    bias: float

    def scaled(self, logits: npt.ArrayLike) -> Scores:
        """The calibrated log-odds of `logits`, same shape."""
        return np.asarray(logits, dtype=np.float64) / self.temperature + self.bias


IDENTITY = Scaling(1.0, 0.0)


def fit(labels: npt.ArrayLike, logits: npt.ArrayLike) -> Scaling:
    """Fit temperature and bias to `(N,)` labels (0/1) and logits.

    The bias is needed because training draws as many defects as good images: without it every probability is that
    of a line where half the parts are bad. It is right for a line with the calibration images' share of defects.

    Minimised is the summed negative log-likelihood, made safe for few and for separable images by

    - Platt's targets: `(n1 + 1) / (n1 + 2)` for the n1 defects, `1 / (n0 + 2)` for the n0 good ones, so that the
      optimum is finite even where the classes do not overlap, and five defects never yield 0.999;
    - a penalty `s - 1 - log(s)` on the slope `s = 1 / temperature`, one image's worth: 0 at temperature 1, unbounded
      towards slope 0, so that a ranking is never turned round;
    - `TEMPERATURES` as hard limits.

    The sum is convex in slope and offset: one optimum, no seed.

    Sources: Platt, Probabilistic outputs for support vector machines, 1999; Guo et al., ICML 2017.

    Raises:
        DataError: see `calibration.binary.checked`.
    """
    from scipy.optimize import minimize

    y, x = checked(labels, logits)
    n_defect = int(y.sum())
    n_ok = len(y) - n_defect
    target = np.where(y == 1, (n_defect + 1) / (n_defect + 2), 1 / (n_ok + 2))
    # Centred and of unit spread, so that heads whose logits are distances of any size fit as well.
    centre, spread = float(x.mean()), float(x.std()) or 1.0
    unit = (x - centre) / spread

    def loss(parameters: Scores) -> tuple[float, Scores]:
        steepness, offset = parameters
        slope = steepness / spread
        z = steepness * unit + offset
        error = _sigmoid(z) - target
        value = float(np.sum(np.logaddexp(0, z) - target * z) + slope - 1 - np.log(slope))
        return value, np.array([error @ unit + (1 - 1 / slope) / spread, error.sum()])

    limits = [(spread / TEMPERATURES[1], spread / TEMPERATURES[0]), (None, None)]
    start = [np.clip(1.0, *limits[0]), np.log((n_defect + 1) / (n_ok + 1))]
    best = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=limits, options={"ftol": 1e-14, "gtol": 1e-9})
    steepness, offset = best.x
    return Scaling(float(spread / steepness), float(offset - steepness * centre / spread))


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """How well probabilities match what was seen.

    Attributes:
        nll: mean negative log-likelihood, nats an image.
        brier: mean squared difference between probability and label.
        ece: expected calibration error, the mean over images of |mean probability - share of defects| in their bin.
        predicted, observed, size: of each bin: mean probability, share of defects, images. Bins hold as nearly
            equal numbers of images as ties allow.
    """

    nll: float
    brier: float
    ece: float
    predicted: Scores
    observed: Scores
    size: Labels


def reliability(labels: npt.ArrayLike, log_odds: npt.ArrayLike) -> Reliability:
    """Measure `(N,)` log-odds against labels (0/1); raises `DataError` as `calibration.binary.checked` does.

    Ten bins, fewer (at least two) where they would hold less than ten images each.
    """
    y, z = checked(labels, log_odds)
    bins = min(10, max(2, len(z) // 10))
    order = np.argsort(z, kind="stable")
    y, z = y[order], z[order]
    p = _sigmoid(z)
    edges = np.searchsorted(z, z[np.arange(bins) * len(z) // bins], side="left")
    starts = np.unique(edges)
    size = np.diff(np.append(starts, len(z)))
    predicted, observed = np.add.reduceat(p, starts) / size, np.add.reduceat(y, starts) / size
    return Reliability(
        nll=float(np.mean(np.logaddexp(0, np.where(y == 1, -z, z)))),
        brier=float(np.mean((p - y) ** 2)),
        ece=float(np.sum(size * np.abs(predicted - observed)) / len(z)),
        predicted=predicted,
        observed=observed,
        size=size,
    )


def _sigmoid(z: Scores) -> Scores:
    from inspector.decision import probability_of

    return probability_of(z, 1.0)
