"""Pick how many synthetic defects training gets, and how many of them by diffusion, on real validation images."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.curve import average_precision
from inspector.errors import DataError
from trainer.augment.features import FeatureMaps
from trainer.augment.first_classifier import apply, pooled, train_head
from trainer.training_set import real_share

logger = logging.getLogger(__name__)
CANDIDATES = (0, 40, 80, 100, 120, 200)
SHARES = (0.0, 0.5, 1.0)
_STEPS = 100  # as good as 400 on magnetic tiles and commutators: AP .78 and .77, .97 and .96


@dataclass(frozen=True, slots=True, eq=False)
class RealFeatures:
    """`(N, h, w, C)` features of the training split's real images; `defects` is empty in zero_shot."""

    good: FeatureMaps
    defects: FeatureMaps


@dataclass(frozen=True, slots=True)
class Choice:
    """What the search picked.

    Attributes:
        n: synthetic defects in all.
        share: of them by diffusion.
        table: a row a candidate, JSON-serialisable: `n, share, ap` (mean), `error` (of the mean), `chosen`.
    """

    n: int
    share: float
    table: list[dict[str, Any]]


def choose(
    train: RealFeatures,
    pools: Mapping[str, FeatureMaps],
    validation: tuple[FeatureMaps, npt.NDArray[np.integer]],
    candidates: Sequence[int] = CANDIDATES,
    shares: Sequence[float] = SHARES,
    seed: int = 0,
    repeats: int = 3,
    synthetic_worth: float | None = None,
) -> Choice:
    """Train a first classifier for each candidate and take the smallest number that is as good as the best.

    A candidate's average precision on the validation images is the mean over `repeats` trainings of different seeds.
    Candidates within one standard error of the best count as equal (Breiman's rule); of these the fewest synthetic
    defects win, and of equally many the share with the higher mean. Real defects have the share of the draws that
    training gives them (`trainer.training_set.real_share`).

    Args:
        train: real training images.
        pools: features of gated images, in the order they were drawn, by kind: `memseg`, `diffusion`. A candidate takes
            each pool's first images; one that a pool has too few for is left out.
        validation: features and 0/1 labels of real images, both classes.
        candidates: numbers of synthetic defects; 0 needs real defects.
        shares: of diffusion among them; with one kind there is only one.
        seed: of the trainings.
        repeats: trainings a candidate.
        synthetic_worth: as in `train`.

    Raises:
        DataError: validation images of one class, or no candidate that could be trained.
    """
    features, labels = validation
    if len(set(labels.tolist())) < 2:
        raise DataError(
            "the mix is picked on real validation images of both classes, and there is only one: give a number"
        )
    tried = _feasible(train, pools, candidates, shares)
    if not tried:
        raise DataError(
            f"no candidate of the mix can be trained: {len(train.defects)} real defects, "
            f"{', '.join(f'{len(maps)} by {kind}' for kind, maps in pools.items()) or 'none generated'}; "
            "generate more, or give a number"
        )
    table: list[dict[str, Any]] = []
    for n, share in tried:
        found = [
            average_precision(labels, _trained_scores(train, pools, n, share, features, seed + repeat, synthetic_worth))
            for repeat in range(repeats)
        ]
        error = float(np.std(found, ddof=1) / np.sqrt(repeats)) if repeats > 1 else 0.0
        table.append({"n": n, "share": share, "ap": float(np.mean(found)), "error": error, "chosen": False})
        logger.info("mix: %d synthetic, %.0f %% by diffusion: AP %.3f ± %.3f", n, 100 * share, table[-1]["ap"], error)
    picked = pick(table)
    picked["chosen"] = True
    return Choice(picked["n"], picked["share"], table)


def pick(table: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The row of the smallest `n` within one standard error of the best `ap`; of these the one with the highest."""
    best = max(table, key=lambda row: (row["ap"], -row["n"]))
    equal = [row for row in table if row["ap"] >= best["ap"] - best["error"]]
    return min(equal, key=lambda row: (row["n"], -row["ap"]))


def _feasible(
    train: RealFeatures, pools: Mapping[str, FeatureMaps], candidates: Sequence[int], shares: Sequence[float]
) -> list[tuple[int, float]]:
    kinds = {kind for kind, maps in pools.items() if len(maps)}
    if len(kinds) < 2:
        shares = (1.0,) if "diffusion" in kinds else (0.0,)
    found: list[tuple[int, float]] = []
    for n in sorted(set(candidates)):
        if n == 0:
            found += [(0, 0.0)] if len(train.defects) else []
            continue
        for share in shares:
            parts = split(n, share)
            if all(len(pools.get(kind, ())) >= count for kind, count in parts.items()):
                found.append((n, share))
    return found


def split(n: int, share: float) -> dict[str, int]:
    """How many of `n` images each kind gives when `share` of them come by diffusion."""
    diffusion = round(n * share)
    return {"memseg": n - diffusion, "diffusion": diffusion}


def _trained_scores(
    train: RealFeatures,
    pools: Mapping[str, FeatureMaps],
    n: int,
    share: float,
    scored: FeatureMaps,
    seed: int,
    synthetic_worth: float | None,
) -> npt.NDArray[np.float32]:
    parts = {kind: count for kind, count in split(n, share).items() if count}
    real = len(train.defects)
    of_real = float(real > 0)
    if real and n:
        of_real = real_share(real, n if synthetic_worth is None else synthetic_worth)
    groups = [(pools[kind][:count], (1 - of_real) * count / n) for kind, count in parts.items()]
    if real:
        groups.append((train.defects, of_real))
    return pooled(apply(train_head(train.good, groups, seed, _STEPS), scored))
