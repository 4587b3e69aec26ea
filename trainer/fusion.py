"""Weigh kinds of evidence against each other on validation images."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.model_selection import StratifiedKFold

from calibration.curve import average_precision
from models.network import Fusion, Part

Logits = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

_PULL = 0.1
_FOLDS = 5
_ROUNDS = 4


def fit(evidence: Mapping[str, Logits], labels: Labels) -> Fusion:
    """Fit a logistic regression with weights that are not negative, both classes weighing alike.

    A weight is pulled towards equal shares: a handful of validation defects shall correct them, not invent them.

    Args:
        evidence: each kind's logits `(N,)`, any scale, higher is more like a defect.
        labels: `(N,)` of 0 and 1, both there.

    Returns:
        The fusion whose logit is the regression's.
    """
    names = list(evidence)
    shifts, scales = zip(*(_standard(evidence[name], labels) for name in names), strict=True)
    z = np.stack([(evidence[n] - a) / s for n, a, s in zip(names, shifts, scales, strict=True)], axis=1)
    prior = np.full(len(names), 1.0 / len(names))
    importance = np.where(labels == 1, 0.5 / labels.sum(), 0.5 / (len(labels) - labels.sum()))
    signs = np.where(labels == 1, 1.0, -1.0)

    def cost(parameters: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        margin = signs * (z @ parameters[:-1] + parameters[-1])
        pull = parameters[:-1] - prior
        slope = -importance * signs * expit(-margin)
        value = importance @ np.logaddexp(0.0, -margin) + 0.5 * _PULL * pull @ pull
        return float(value), np.append(z.T @ slope + _PULL * pull, slope.sum())

    found = minimize(
        cost,
        np.append(prior, 0.0),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, None)] * len(names) + [(None, None)],
    ).x
    parts = {
        name: Part(float(weight / scale), float(shift))
        for name, weight, shift, scale in zip(names, found, shifts, scales, strict=False)
        if weight > 0
    }
    return Fusion(parts or {names[0]: Part(1.0)}, float(found[-1]) if parts else 0.0)


def fused(fusion: Fusion, evidence: Mapping[str, Logits]) -> Logits:
    """The fusion's logits `(N,)`, as `models.network.Network` computes them."""
    total = np.full(len(next(iter(evidence.values()))), fusion.bias)
    for name, part in fusion.parts.items():
        total = total + part.weight * (evidence[name] - part.shift)
    return total


def shares(fusion: Fusion, evidence: Mapping[str, Logits], labels: Labels) -> dict[str, float]:
    """Each part's share in the sum: its weight times the spread of the good images' logits; all together 1."""
    sizes = {name: part.weight * _standard(evidence[name], labels)[1] for name, part in fusion.parts.items()}
    return {name: size / sum(sizes.values()) for name, size in sizes.items()}


def held_out_ap(evidence: Mapping[str, Logits], labels: Labels, seed: int) -> float:
    """Average precision of a fusion of this evidence, on images that its weights were not fitted on.

    Folds are drawn several times, and the average precisions of the rounds are averaged. A single kind needs no fit.
    """
    if len(evidence) == 1:
        return average_precision(labels, next(iter(evidence.values())))
    folds = min(_FOLDS, int(labels.sum()), int((labels == 0).sum()))
    if folds < 2:
        return average_precision(labels, fused(fit(evidence, labels), evidence))
    rounds = []
    for turn in range(_ROUNDS):
        held_out = np.zeros(len(labels))
        split = StratifiedKFold(folds, shuffle=True, random_state=seed + turn).split(labels, labels)
        for inside, outside in split:
            fusion = fit({name: logits[inside] for name, logits in evidence.items()}, labels[inside])
            held_out[outside] = fused(fusion, {name: logits[outside] for name, logits in evidence.items()})
        rounds.append(average_precision(labels, held_out))
    return float(np.mean(rounds))


def choose(evidence: Mapping[str, Logits], labels: Labels, seed: int) -> tuple[list[str], dict[str, float]]:
    """Which evidence to use: each kind alone or all together, by `held_out_ap`; together where it makes no difference.

    Returns:
        The chosen names, and the average precision of each candidate by its names joined with `+`.
    """
    candidates: list[Sequence[str]] = [list(evidence), *([name] for name in evidence)]
    found = {
        "+".join(names): held_out_ap({name: evidence[name] for name in names}, labels, seed) for names in candidates
    }
    best = max(candidates, key=lambda names: found["+".join(names)])
    return list(best), found


def _standard(logits: Logits, labels: Labels) -> tuple[float, float]:
    """Median and spread of the good images' logits."""
    good = logits[labels == 0]
    low, middle, high = np.quantile(good, [0.16, 0.5, 0.84])
    return float(middle), max(float(high - low) / 2, 1e-6)
