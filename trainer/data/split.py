"""Divide a data set into train, val and test by group and stratum, and choose the real defects a scenario trains on."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from inspector.errors import DataError
from trainer.data import duplicates
from trainer.data.samples import Sample, Split

DRAW = "nested"
"""The rule by which `few_shot` draws; results of another rule are of other defects."""

_Stratum = tuple[int, str]
_GOOD: _Stratum = (0, "*")
_DEFECT: _Stratum = (1, "*")
_NO_TRAIN_DEFECT = (
    "the train split has no defect images: use the scenario zero_shot, add some, "
    "or forget the given splits and have new ones made (resplit)"
)


@dataclass(frozen=True, slots=True, eq=False)
class _Unit:
    """Samples that stay together: one group, or one image on its own.

    `strata` counts its images by label and defect type, and by label alone (type `*`).
    """

    members: tuple[int, ...]
    strata: Counter[_Stratum]


def assign(samples: Sequence[Sample], seed: int, val_fraction: float = 0.2, test_fraction: float = 0.2) -> list[Sample]:
    """Give every sample a split; splits the data set comes with are kept and only missing ones are made.

    Without any split all three are made. With some given, samples without one belong to train, and a missing val or
    test is cut out of train; test never becomes val. Groups stay whole, and labels and defect types are spread as
    evenly as the groups allow (iterative stratification after Sechidis, Tsoumakas, Vlahavas, ECML 2011).

    Args:
        samples: in any order; their order does not change the outcome.
        seed: the same seed gives the same split wherever the folder lies.
        val_fraction, test_fraction: share of the divided images.

    Returns:
        The samples in their order, each with a split.

    Raises:
        DataError: no good images, no train images among given splits, a split that would lack good or (where the
            data has any) defect images, or fractions outside (0, 1).
    """
    if not (0 < val_fraction < 1 and 0 < test_fraction < 1 and val_fraction + test_fraction < 1):
        raise DataError(
            f"val fraction {val_fraction} and test fraction {test_fraction}: both must be above 0, their sum below 1"
        )
    given: set[Split] = {sample.split for sample in samples} - {""}
    outcome: list[Sample] = [replace(s, split="train") if given and not s.split else s for s in samples]
    if given and not any(sample.split == "train" for sample in outcome):
        raise DataError(
            f"the data set has the splits {', '.join(sorted(given))} and no train images: add a train split"
        )
    fractions: dict[Split, float] = {"val": val_fraction, "test": test_fraction}
    missing: dict[Split, float] = {split: share for split, share in fractions.items() if split not in given}
    if not missing:
        return outcome
    pool = [i for i, sample in enumerate(outcome) if sample.split in ("", "train")]
    shares: dict[Split, float] = {"train": 1 - sum(missing.values()), **missing}
    for index, split in _divide(outcome, pool, shares, seed).items():
        outcome[index] = replace(outcome[index], split=split)
    return outcome


def group_near_duplicates(samples: Sequence[Sample]) -> list[Sample]:
    """Put images of the same part into one group, where the data set names none.

    Groups that samples have are kept; only images without one are read, compared and, where they match, grouped
    (`same:<number of the first>`).

    Raises:
        DataError: an image cannot be decoded.
    """
    grouped = list(samples)
    open_ones = [i for i, sample in enumerate(samples) if not sample.group]
    cluster = duplicates.clusters(duplicates.whiten(duplicates.describe_files([samples[i].path for i in open_ones])))
    sizes = np.bincount(cluster, minlength=len(cluster))
    for position, i in enumerate(open_ones):
        if sizes[cluster[position]] > 1:
            grouped[i] = replace(samples[i], group=f"same:{open_ones[cluster[position]]}")
    return grouped


def few_shot(samples: Sequence[Sample], n: int, seed: int) -> list[Sample]:
    """Keep `n` random defects of train and drop its others; val and test stay as they are.

    The draw is nested: of one seed and one train split, a larger `n` keeps all that a smaller one does, so that
    builds of growing `n` differ by what was added. Every image counts alone, whatever its group.

    Val keeps its defects because calibration needs them: they cost labels, but train no weight.

    Raises:
        DataError: train has fewer than `n` defects.
    """
    defects = sorted(s.path for s in samples if s.split == "train" and s.label)
    if not defects:
        raise DataError(_NO_TRAIN_DEFECT)
    if not 1 <= n <= len(defects):
        raise DataError(f"few-shot with {n} defects: train has {len(defects)}, ask for 1 to {len(defects)}")
    kept = {defects[i] for i in np.random.default_rng(seed).permutation(len(defects))[:n]}
    return [s for s in samples if s.split != "train" or not s.label or s.path in kept]


def zero_shot(samples: Sequence[Sample]) -> list[Sample]:
    """Drop all real defects of train; val keeps its own, which only choose the threshold."""
    return [s for s in samples if s.split != "train" or not s.label]


def _divide(samples: Sequence[Sample], pool: list[int], shares: Mapping[Split, float], seed: int) -> dict[int, Split]:
    """Split the samples of `pool` (indices) into `shares`; returns index -> split."""
    units = _units(samples, pool)
    rng = np.random.default_rng(seed)
    units = [units[i] for i in rng.permutation(len(units))]
    totals: Counter[_Stratum] = Counter()
    for unit in units:
        totals.update(unit.strata)
    if not totals[_GOOD]:
        raise DataError(f"no good images to divide into {', '.join(shares)} ({totals[_DEFECT]} defects): add good ones")
    lacking = {split: {key: share * n for key, n in totals.items()} for split, share in shares.items()}
    placed: dict[Split, list[_Unit]] = {split: [] for split in shares}
    done: set[int] = set()

    def misfit(split: Split, unit: _Unit) -> float:
        """How much the chi-square distance to the wanted counts grows when the unit goes there."""
        return sum(
            n * (n - 2 * lacking[split][key]) / max(shares[split] * totals[key], 1.0) for key, n in unit.strata.items()
        )

    # Rarest stratum first: a common one can still even out what a rare one leaves uneven.
    for stratum, _ in sorted(totals.items(), key=lambda item: (item[1], item[0])):
        holders = [i for i, unit in enumerate(units) if unit.strata[stratum] and i not in done]
        for i in sorted(holders, key=lambda i: -units[i].strata[stratum]):
            split = min(shares, key=lambda split: misfit(split, units[i]))
            placed[split].append(units[i])
            done.add(i)
            for key, n in units[i].strata.items():
                lacking[split][key] -= n
    for key in (_DEFECT, _GOOD):
        if totals[key]:
            _fill(placed, key)
    return {i: split for split, inside in placed.items() for unit in inside for i in unit.members}


def _units(samples: Sequence[Sample], pool: Iterable[int]) -> list[_Unit]:
    """The groups among the samples of `pool`, in the order of their first path."""
    members: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i in sorted(pool, key=lambda i: samples[i].path):
        sample = samples[i]
        key = ("group", sample.group) if sample.group else ("path", str(sample.path))
        members[key].append(i)
    return [
        _Unit(
            tuple(inside),
            Counter((samples[i].label, kind) for i in inside for kind in {"*", samples[i].defect_type or "*"}),
        )
        for inside in members.values()
    ]


def _fill(placed: Mapping[Split, list[_Unit]], key: _Stratum) -> None:
    """Move the smallest unit that can be spared into each split without images of `key`; raise where there is none."""
    for inside in placed.values():
        if any(unit.strata[key] for unit in inside):
            continue
        spare = [(len(u.members), giver, u) for giver in placed.values() for u in giver if _can_spare(giver, u, key)]
        if not spare:
            holders = [unit for units in placed.values() for unit in units if unit.strata[key]]
            kind = "defect" if key == _DEFECT else "good"
            raise DataError(
                f"cannot put a {kind} image into each of {', '.join(placed)}: there are "
                f"{sum(unit.strata[key] for unit in holders)} in {len(holders)} group(s) that must stay together; "
                f"add {kind} images of other parts, or give the splits in a manifest"
            )
        _, giver, unit = min(spare, key=lambda found: found[0])
        giver.remove(unit)
        inside.append(unit)


def _can_spare(giver: Sequence[_Unit], unit: _Unit, key: _Stratum) -> bool:
    """Whether `unit` holds images of `key` and its split keeps good and defect images without it."""
    needed = [label for label in (_GOOD, _DEFECT) if unit.strata[label]]
    return unit.strata[key] > 0 and all(any(u.strata[label] for u in giver if u is not unit) for label in needed)
