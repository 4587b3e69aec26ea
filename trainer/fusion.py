"""How much each kind of evidence counts: a few ways to weigh it, compared on validation images."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from calibration.curve import average_precision
from models.network import Fusion, Part

Logits = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
Shares = Mapping[str, float]
"""Each used kind's share in the sum; all together 1."""

_SLOPE_PENALTY = 0.01


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, and what it was compared with.

    Attributes:
        fusion: the chosen way to weigh, as the network needs it.
        shares: of the chosen way.
        table: average precision on the images of each way that was compared and of each kind alone, by its `title`.
    """

    fusion: Fusion
    shares: Shares
    table: dict[str, float]


def sums(names: Sequence[str]) -> list[Shares]:
    """Every kind alone and every sum of kinds at equal shares, sums of many kinds first."""
    sizes = range(len(names), 0, -1)
    return [dict.fromkeys(kinds, 1 / size) for size in sizes for kinds in itertools.combinations(names, size)]


def whole_sums(names: Sequence[str]) -> list[Shares]:
    """All kinds at equal shares, or with one that counts double."""
    doubled = [{name: (1 + (name == heavy)) / (len(names) + 1) for name in names} for heavy in names]
    return [dict.fromkeys(names, 1 / len(names)), *doubled]


def choose(evidence: Mapping[str, Logits], labels: Labels, tried: Sequence[Shares]) -> Choice:
    """Take the way to weigh whose sum tells defects from good images best.

    That is the one of the lowest `cost`, which heeds how far the classes lie apart, where average precision cannot tell
    one sum from another on a few defects. Few ways are compared, and none is fitted to the labels, so that a guarantee
    can allow for the comparison (`calibration.guarantee.errors_allowed`).

    Args:
        evidence: each kind's logits `(N,)`, any scale, higher is more like a defect.
        labels: `(N,)` of 0 and 1, both there.
        tried: ways to weigh; of equally good ones the first is taken.
    """
    fusions = [combine(shares, evidence, labels) for shares in tried]
    logits = [fused(one, evidence) for one in fusions]
    best = min(range(len(tried)), key=lambda number: cost(logits[number], labels))
    table = {title(shares): average_precision(labels, z) for shares, z in zip(tried, logits, strict=True)}
    alone = {name: average_precision(labels, z) for name, z in evidence.items()}
    return Choice(fusions[best], tried[best], alone | table)


def combine(shares: Shares, evidence: Mapping[str, Logits], labels: Labels) -> Fusion:
    """The fusion that adds standardised evidence: median and spread of the good images become 0 and 1."""
    parts = {}
    for name, share in shares.items():
        low, middle, high = np.quantile(evidence[name][labels == 0], [0.16, 0.5, 0.84])
        parts[name] = Part(share / max(float(high - low) / 2, 1e-6), float(middle))
    return Fusion(parts)


def fused(fusion: Fusion, evidence: Mapping[str, Logits]) -> Logits:
    """The fusion's logits `(N,)`, as `models.network.Network` computes them."""
    total = np.full(len(next(iter(evidence.values()))), fusion.bias)
    for name, part in fusion.parts.items():
        total = total + part.weight * (evidence[name] - part.shift)
    return total


def title(shares: Shares) -> str:
    """The kinds' names joined with `+`; one that counts more than the first has its factor before it."""
    least = min(shares.values())
    return "+".join(
        f"{round(share / least)}x{name}" if share > 1.01 * least else name for name, share in shares.items()
    )


def cost(logits: Logits, labels: Labels) -> float:
    """Cross-entropy of logits `(N,)` after the best line through them, both classes weighing alike; lower is better."""
    importance = np.where(labels == 1, 0.5 / labels.sum(), 0.5 / (len(labels) - labels.sum()))
    signs = np.where(labels == 1, 1.0, -1.0)

    def of(line: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        margin = signs * (logits * line[0] + line[1])
        slope = -importance * signs / (1 + np.exp(np.minimum(margin, 700)))
        penalty = 0.5 * _SLOPE_PENALTY * line[0] ** 2
        value = importance @ np.logaddexp(0.0, -margin) + penalty
        return float(value), np.array([slope @ logits + _SLOPE_PENALTY * line[0], slope.sum()])

    bounds = [(0.0, None), (None, None)]
    return float(minimize(of, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=bounds).fun)
