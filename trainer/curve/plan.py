"""Which builds a curve takes: one a number of real defects, with and without synthetic ones, and seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from inspector.errors import DataError, RecipeError
from trainer.augment.mix import CANDIDATES
from trainer.build import splits
from trainer.data.samples import DataSet
from trainer.recipe import Recipe, Scenario, resolve
from trainer.reproduce.cells import Measured, require_both_kinds
from trainer.reproduce.plan import Cell, augmentation, refuse
from trainer.reproduce.tables import Kind

Count = int | Literal["all"]
"""Real defects in training; `all` of them is the scenario `full_shot`, 0 is `zero_shot`."""

Line = Literal["real", "synthetic"]
"""Real defects alone, or synthetic ones beside them."""
LINES: tuple[Line, ...] = get_args(Line)

_SET_BY_THE_CURVE = ("name", "scenario", "augment.kind", "data.few_shot")


@dataclass(frozen=True, slots=True)
class Offer:
    """What the images allow.

    Attributes:
        counts: those that can be built, ascending, `all` last.
        beyond: those left out, as training has too few real defects.
        available: real defects of training, of the seed that has the fewest.
    """

    counts: tuple[Count, ...]
    beyond: tuple[int, ...]
    available: int


def base(recipe: str, overrides: dict[str, Any], assignments: Sequence[str]) -> Recipe:
    """The recipe that all cells vary: its `seed` is the first one, its augmentation the one it brings of its own.

    Raises:
        RecipeError: the recipe or an assignment is wrong, or sets what the curve sets.
    """
    refuse(assignments, _SET_BY_THE_CURVE, "the curve")
    return resolve(recipe, overrides, [*assignments, "scenario=full_shot"])


def kind_of(asked: str | None, recipe: Recipe) -> str:
    """The augmentation of the line with synthetic defects: as asked, else the recipe's own, else `in_and_out`."""
    return asked or (recipe.augment.kind if recipe.augment.kind not in ("none", "auto") else "in_and_out")


def offer(asked: Sequence[Count], dataset: DataSet, recipe: Recipe, seeds: int, split: Measured) -> Offer:
    """Leave out the counts that are more than training has real defects; the same number comes as `all`, if asked.

    Near-duplicates, which a build keeps together, are not known here: a build may find one defect fewer.

    Raises:
        DataError: the images cannot be divided, `split` lacks good images or defects, or no count is left.
    """
    require_both_kinds(dataset, split)
    found = []
    for seed in range(recipe.seed, recipe.seed + seeds):
        divided = splits.divide(list(dataset.samples), recipe.model_copy(update={"seed": seed}))
        found.append(sum(sample.label for sample in divided if sample.split == "train"))
    available = min(found)
    numbers = sorted({count for count in asked if count != "all"})
    everything: tuple[Count, ...] = ("all",) if "all" in asked and available else ()
    most = available - 1 if everything else available
    counts = (*(count for count in numbers if count <= most), *everything)
    if not counts:
        raise DataError(f"training has {available} real defects, fewer than any of the --counts: ask for smaller ones")
    return Offer(counts, tuple(count for count in numbers if count > available), available)


def cells(
    counts: Sequence[Count], recipe: str, seeds: int, kind: str, overrides: dict[str, Any], assignments: Sequence[str]
) -> list[Cell]:
    """Plan the builds, seed by seed, so that the whole curve is there early, and from few defects to many.

    Without a real defect and without synthetic ones there is nothing to learn from: that point does not exist.

    Args:
        counts: real defects in training.
        recipe: a preset's name or a YAML file.
        seeds: how many, from the recipe's on.
        kind: the augmentation of the line with synthetic defects; `none` leaves that line out.
        overrides, assignments: as in `trainer.recipe.resolve`, on every build.

    Raises:
        RecipeError: as `base`, or nothing is left to build.
    """
    first = base(recipe, overrides, assignments)
    if kind != "none" and first.augment.n == 0:
        raise RecipeError("augment.n is 0, so no line gets synthetic defects: set it, or give --augment none")
    kinds = ("none",) if kind == "none" else ("none", kind)
    planned = [
        _cell(count, one, seed, recipe, overrides, assignments)
        for seed in range(first.seed, first.seed + seeds)
        for count in counts
        for one in kinds
        if count != 0 or one != "none"
    ]
    if not planned:
        raise RecipeError("0 real defects and --augment none leave nothing to learn from: ask for more --counts")
    return planned


def count_of(cell: Cell) -> Count:
    """The real defects that the cell was planned with."""
    numbers: dict[Scenario, Count] = {"zero_shot": 0, "few_shot": cell.recipe.data.few_shot, "full_shot": "all"}
    return numbers[cell.scenario]


def line_of(cell: Cell) -> Line:
    """The line that the cell belongs to."""
    return "real" if cell.kind == "none" else "synthetic"


def _cell(
    count: Count, kind: Kind | str, seed: int, recipe: str, overrides: dict[str, Any], assignments: Sequence[str]
) -> Cell:
    scenario: Scenario = "zero_shot" if count == 0 else "full_shot" if count == "all" else "few_shot"
    fixed = [f"scenario={scenario}", f"augment.kind={kind}", f"seed={seed}"]
    if scenario == "few_shot":
        fixed.append(f"data.few_shot={count}")
    if kind == "none":
        fixed.append("augment.n=0")
    resolved = resolve(recipe, overrides, [*assignments, *fixed])
    asked = resolved.augment.n
    name = f"{count}_real-{augmentation(resolved)}-{asked}-seed{seed}"
    n = max(CANDIDATES) if asked == "auto" else asked
    return Cell(name, scenario, resolved.augment.kind, n, seed, resolved.model_copy(update={"name": name}))  # type: ignore[arg-type]
