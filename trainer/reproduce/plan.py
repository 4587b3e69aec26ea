"""Which builds it takes to fill tables: one a scenario, augmentation, number and seed, each with its recipe."""

import fnmatch
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from inspector.errors import RecipeError
from trainer.build import splits
from trainer.recipe import Generator, Recipe, Scenario, resolve
from trainer.reproduce.tables import Kind, Table
from trainer.stages import digest

_SET_BY_THE_TABLE = ("name", "scenario", "augment.kind", "augment.n")
# No influence on the outcome.
_INDIFFERENT = {"workers", "checkpoint_seconds"}


@dataclass(frozen=True, slots=True)
class Cell:
    """One build.

    Attributes:
        name: unique in a plan, and the folder's name: `full_shot-in_and_out.in_domain-80-seed0`.
        scenario, kind, n, seed: what is asked of it; where the recipe picks `n` itself, the most it may pick.
        recipe: resolved.
    """

    name: str
    scenario: Scenario
    kind: Kind
    n: int
    seed: int
    recipe: Recipe

    @property
    def generates(self) -> bool:
        """Whether a diffusion model is behind it."""
        return self.kind in ("diffusion", "in_and_out")

    @property
    def division(self) -> tuple[Scenario, int | None, int]:
        """What tells which images train: the scenario, its real defects where it counts them, the seed."""
        few = self.recipe.data.few_shot if self.scenario == "few_shot" else None
        return self.scenario, few, self.seed

    def shares_stages_with(self, other: "Cell") -> bool:
        """Whether both read, split and, where they generate, learn to generate alike."""
        return self.division == other.division

    def identity(self) -> dict[str, Any]:
        """The part of the recipe that decides the outcome, JSON-serialisable: unused generators are left out.

        A few-shot cell's has the rule of the draw, which no recipe names.
        """
        document = self.recipe.model_dump(mode="json", exclude={"name", "description"})
        for generator in get_args(Generator):
            if not self.generates or generator != self.recipe.augment.generator:
                del document[generator]
        if not self.generates:
            del document["augment"]["generator"]
        if self.kind == "none":
            del document["gate"]
        return _without(document, _INDIFFERENT) | splits.draw(self.recipe)


def cells(
    tables: Sequence[Table], recipe: str, seeds: int, overrides: dict[str, Any], assignments: Sequence[str]
) -> list[Cell]:
    """Plan the builds: seed by seed, so that every table has all its rows early; what tables share comes once.

    Args:
        tables: which to fill.
        recipe: a preset's name or a YAML file; its `seed` is the first one.
        seeds: how many seeds.
        overrides, assignments: as in `trainer.recipe.resolve`, on every build.

    Raises:
        RecipeError: the recipe or an assignment is wrong, or sets what the tables set.
    """
    refuse(assignments, _SET_BY_THE_TABLE, "the table")
    first = resolve(recipe, overrides, [*assignments, "scenario=full_shot", "augment.kind=none"]).seed
    planned: dict[str, Cell] = {}
    for seed in range(first, first + seeds):
        for table in tables:
            for kind, n in table.cells():
                cell = _cell(table.scenario, kind, n, seed, recipe, overrides, assignments)
                planned.setdefault(digest(cell.identity()), cell)
    return list(planned.values())


def refuse(assignments: Sequence[str], decided: Container[str], by: str) -> None:
    """Raise RecipeError where an assignment of `--set` names a key that the plan itself decides."""
    for assignment in assignments:
        key = assignment.partition("=")[0].strip()
        if key in decided:
            raise RecipeError(f"--set {key}: {by} decides that; leave it out, and choose builds with --only")


def augmentation(recipe: Recipe) -> str:
    """The augmentation in a cell's name: its kind, and the generator where one is behind it."""
    kind = recipe.augment.kind
    return f"{kind}.{recipe.augment.generator}" if kind in ("diffusion", "in_and_out") else kind


def chosen(planned: Sequence[Cell], patterns: Sequence[str]) -> list[Cell]:
    """The cells whose name matches any of the shell patterns; all of them without a pattern.

    Raises:
        RecipeError: a pattern matches nothing.
    """
    names = [cell.name for cell in planned]
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            raise RecipeError(f"--only {pattern}: no such cell; there are {', '.join(names)}")
    return [cell for cell in planned if not patterns or any(fnmatch.fnmatch(cell.name, item) for item in patterns)]


def _cell(
    scenario: Scenario,
    kind: Kind,
    n: int,
    seed: int,
    recipe: str,
    overrides: dict[str, Any],
    assignments: Sequence[str],
) -> Cell:
    fixed = [f"scenario={scenario}", f"augment.kind={kind}", f"augment.n={n}", f"seed={seed}"]
    resolved = resolve(recipe, overrides, [*assignments, *fixed])
    name = f"{scenario}-{augmentation(resolved)}-{n}-seed{seed}"
    return Cell(name, scenario, kind, n, seed, resolved.model_copy(update={"name": name}))


def _without(document: Any, keys: set[str]) -> Any:
    if not isinstance(document, dict):
        return document
    return {key: _without(value, keys) for key, value in document.items() if key not in keys}
