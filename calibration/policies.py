"""Threshold policies: `max-f1`, `recall>=r`, `precision>=p`, `fpr<=f`, `cost(fn=..,fp=..)`."""

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calibration.cuts import cuts
from inspector.errors import DataError, RecipeError

FORMS = "max-f1, recall>=0.99, precision>=0.9, fpr<=0.01, cost(fn=100,fp=1)"
_BOUND = re.compile(r"(recall|precision|fpr)(>=|<=)([0-9.e+-]+)")
_COST = re.compile(r"cost\((fn|fp)=([0-9.e+-]+),(fn|fp)=([0-9.e+-]+)\)")
# Levels are decimal fractions, counts whole: 0.29 of 100 images is 29, not 28.999999999999996.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class MaxF1:
    """The threshold of highest F1; of several, the lowest (fewest misses)."""

    def __str__(self) -> str:
        return "max-f1"

    def choose(self, labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> float:
        """Threshold for `(N,)` labels (0/1) and probabilities."""
        all_cuts = cuts(labels, probabilities)
        f1 = 2 * all_cuts.tp / (all_cuts.tp + all_cuts.fp + all_cuts.n_defect)
        return float(all_cuts.thresholds[np.argmax(f1)])


@dataclass(frozen=True, slots=True)
class RecallAtLeast:
    """The highest threshold (fewest false alarms) that still catches the share `level` of the defects."""

    level: float

    def __str__(self) -> str:
        return f"recall>={self.level:.12g}"

    def choose(self, labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> float:
        """Threshold for `(N,)` labels (0/1) and probabilities; no guarantee beyond these images."""
        n_defect = int(np.sum(labels))
        return self.with_misses(int(n_defect * (1 - self.level) + _ROUNDING), labels, probabilities)

    @staticmethod
    def with_misses(allowed: int, labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> float:
        """The highest threshold that misses at most `allowed` defects."""
        all_cuts = cuts(labels, probabilities)
        return float(all_cuts.thresholds[all_cuts.n_defect - all_cuts.tp <= allowed][-1])


@dataclass(frozen=True, slots=True)
class PrecisionAtLeast:
    """The threshold of highest recall whose alarms are right with the share `level`; of several, the highest."""

    level: float

    def __str__(self) -> str:
        return f"precision>={self.level:.12g}"

    def choose(self, labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> float:
        """Threshold for `(N,)` labels (0/1) and probabilities.

        Raises:
            DataError: no threshold that calls a defect at all reaches the level.
        """
        all_cuts = cuts(labels, probabilities)
        called = all_cuts.tp + all_cuts.fp
        precision = all_cuts.tp / np.maximum(called, 1)
        met = (all_cuts.tp > 0) & (all_cuts.tp >= self.level * called - _ROUNDING)
        if not met.any():
            raise DataError(f"{self} cannot be met: the best precision on these images is {_down(precision.max())}")
        most = all_cuts.tp[met].max()
        return float(all_cuts.thresholds[met & (all_cuts.tp == most)][-1])


@dataclass(frozen=True, slots=True)
class FprAtMost:
    """The lowest threshold (fewest misses) that alarms on at most the share `level` of the good images."""

    level: float

    def __str__(self) -> str:
        return f"fpr<={self.level:.12g}"

    def choose(self, labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> float:
        """Threshold for `(N,)` labels (0/1) and probabilities; no guarantee beyond these images.

        Raises:
            DataError: more good images than allowed have the highest possible probability.
        """
        n_ok = len(np.asarray(labels)) - int(np.sum(labels))
        return self.with_alarms(int(n_ok * self.level + _ROUNDING), labels, probabilities)

    @staticmethod
    def with_alarms(allowed: int, labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> float:
        """The lowest threshold that alarms on at most `allowed` good images; raises `DataError` as `choose`."""
        all_cuts = cuts(labels, probabilities)
        met = all_cuts.fp <= allowed
        if not met.any():
            raise DataError(
                f"no threshold alarms on {allowed} or fewer of these {all_cuts.n_ok} good images: "
                f"{all_cuts.fp[-1]} of them score as high as a probability can be; check their labels"
            )
        return float(all_cuts.thresholds[met][0])


@dataclass(frozen=True, slots=True)
class Cost:
    """The threshold of least total cost, `fn` a missed defect and `fp` a false alarm; of several, the lowest.

    The total is over the calibration images, so their share of defects should be the line's; where it is not,
    multiply `fn` by (line's share of defects / share here) over (the same of good images).
    """

    fn: float
    fp: float

    def __str__(self) -> str:
        return f"cost(fn={self.fn:.12g},fp={self.fp:.12g})"

    def choose(self, labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> float:
        """Threshold for `(N,)` labels (0/1) and probabilities."""
        all_cuts = cuts(labels, probabilities)
        total = self.fn * (all_cuts.n_defect - all_cuts.tp) + self.fp * all_cuts.fp
        return float(all_cuts.thresholds[np.argmin(total)])


Policy = MaxF1 | RecallAtLeast | PrecisionAtLeast | FprAtMost | Cost


def parse(text: str) -> Policy:
    """Read a policy; case and blanks do not matter.

    Raises:
        RecipeError: the text is none of the forms, or a number is out of its range.

    Example:
        >>> parse("recall >= 0.99")
        RecallAtLeast(level=0.99)
    """
    compact = re.sub(r"\s", "", text).lower()
    if compact == "max-f1":
        return MaxF1()
    if match := _BOUND.fullmatch(compact):
        name, sign, level = match[1], match[2], _number(match[3], text)
        if (name, sign) == ("fpr", "<=") and 0 <= level < 1:
            return FprAtMost(level)
        if (name, sign) == ("recall", ">=") and 0 < level <= 1:
            return RecallAtLeast(level)
        if (name, sign) == ("precision", ">=") and 0 < level <= 1:
            return PrecisionAtLeast(level)
    if (match := _COST.fullmatch(compact)) and match[1] != match[3]:
        costs = {match[1]: _number(match[2], text), match[3]: _number(match[4], text)}
        if min(costs.values()) >= 0 and 0 < max(costs.values()) < np.inf:
            return Cost(costs["fn"], costs["fp"])
    raise _bad(text)


def _number(digits: str, text: str) -> float:
    try:
        return float(digits)
    except ValueError:
        raise _bad(text) from None


def _bad(text: str) -> RecipeError:
    return RecipeError(f"{text!r} is not a threshold policy: give one of {FORMS} (levels are shares between 0 and 1)")


def _down(value: float) -> str:
    """Three decimals, rounded down: a level that is said to be reachable must be."""
    return f"{np.floor(value * 1000) / 1000:.3f}"
