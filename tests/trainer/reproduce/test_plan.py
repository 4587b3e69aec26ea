"""Which builds a table takes."""

import pytest

from inspector.errors import RecipeError
from trainer.data import split
from trainer.reproduce import plan
from trainer.reproduce.tables import TABLES
from trainer.stages import digest


def planned(numbers, *, recipe="paper", seeds=1, overrides=None, assignments=()):
    return plan.cells([TABLES[number] for number in numbers], recipe, seeds, overrides or {}, assignments)


@pytest.mark.parametrize(
    ("numbers", "names"),
    [
        pytest.param(
            [1],
            [f"zero_shot-{kind}-{n}-seed0" for kind in ("memseg", "diffusion.in_domain") for n in (80, 100, 120)],
            id="table 1",
        ),
        pytest.param([2], [f"zero_shot-in_and_out.in_domain-{n}-seed0" for n in (80, 100, 120)], id="table 2"),
        pytest.param(
            [5],
            ["full_shot-none-0-seed0", *[f"full_shot-in_and_out.in_domain-{n}-seed0" for n in (80, 100, 120)]],
            id="table 5",
        ),
    ],
)
def test_the_cells_of_a_table(numbers, names):
    found = planned(numbers, overrides={"augment.generator": "in_domain"})
    assert [cell.name for cell in found] == names
    for cell in found:
        recipe = cell.recipe
        assert (recipe.scenario, recipe.augment.kind, recipe.augment.n, recipe.seed, recipe.name) == (
            cell.scenario,
            cell.kind,
            cell.n,
            0,
            cell.name,
        )


@pytest.mark.parametrize(
    ("numbers", "seeds", "count"),
    [([1], 4, 24), ([5], 4, 16), ([5, 6], 2, 20), ([5, 5], 1, 4), ([1, 2, 3, 4, 5, 6], 4, 4 * 28)],
)
def test_seeds_multiply_and_the_same_cell_comes_once(numbers, seeds, count):
    found = planned(numbers, seeds=seeds)
    assert len(found) == len({cell.name for cell in found}) == count


def test_every_table_has_all_its_rows_before_the_second_seed():
    seeds = [cell.seed for cell in planned([5, 6], seeds=3, assignments=["seed=7"])]
    assert seeds == sorted(seeds)
    assert set(seeds) == {7, 8, 9}


@pytest.mark.parametrize(
    ("cell", "assignment", "same"),
    [
        ("full_shot-memseg-80-seed0", "train.epochs=3", False),
        ("full_shot-memseg-80-seed0", "gate.visible=0.9", False),
        ("full_shot-memseg-80-seed0", "in_domain.steps=10", True),
        ("full_shot-memseg-80-seed0", "stable_diffusion.batch=2", True),
        ("full_shot-memseg-80-seed0", "train.workers=3", True),
        ("full_shot-memseg-80-seed0", "description=mine", True),
        ("full_shot-diffusion.in_domain-80-seed0", "in_domain.steps=10", False),
        ("full_shot-diffusion.in_domain-80-seed0", "in_domain.checkpoint_seconds=10", True),
        ("full_shot-diffusion.in_domain-80-seed0", "stable_diffusion.batch=2", True),
    ],
)
def test_only_what_decides_the_outcome_decides_the_identity(cell, assignment, same):
    before, after = (
        next(
            found
            for found in planned([6], overrides={"augment.generator": "in_domain"}, assignments=assignments)
            if found.name == cell
        )
        for assignments in ([], [assignment])
    )
    assert (digest(before.identity()) == digest(after.identity())) is same


def test_another_rule_of_the_draw_makes_other_cells_of_few_shot_alone(monkeypatch):
    cells = planned(TABLES)
    before = {cell.name: digest(cell.identity()) for cell in cells}
    monkeypatch.setattr(split, "DRAW", "of another time")
    changed = {cell.scenario for cell in cells if digest(cell.identity()) != before[cell.name]}
    unchanged = {cell.scenario for cell in cells if digest(cell.identity()) == before[cell.name]}
    assert changed == {"few_shot"}
    assert unchanged == {"zero_shot", "full_shot"}


def test_another_generator_is_another_cell_but_not_for_memseg():
    one, other = (planned([6], overrides={"augment.generator": name}) for name in ("in_domain", "inpaint"))
    shared = {cell.name for cell in one} & {cell.name for cell in other}
    assert shared == {f"full_shot-memseg-{n}-seed0" for n in (80, 100, 120)}
    digests = [{digest(cell.identity()) for cell in cells} for cells in (one, other)]
    assert len(digests[0] & digests[1]) == 3


@pytest.mark.parametrize(
    ("assignment", "says"),
    [
        ("augment.n=5", "--set augment.n: the table decides"),
        ("scenario=few_shot", "--set scenario: the table decides"),
        ("augment.kind=none", "--set augment.kind: the table decides"),
        ("train.epochs", "KEY=VALUE"),
        ("train.epoch=5", "unknown key"),
    ],
)
def test_wrong_assignments_are_refused(assignment, says):
    with pytest.raises(RecipeError, match=says) as caught:
        planned([1], assignments=[assignment])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("patterns", "count"),
    [((), 8), (("full_shot-none-0-seed0",), 1), (("*-none-*",), 2), (("*seed1", "*none*"), 5)],
)
def test_cells_are_chosen_by_name_or_pattern(patterns, count):
    found = planned([5], seeds=2)
    names = [cell.name for cell in plan.chosen(found, patterns)]
    assert len(names) == count
    assert names == [cell.name for cell in found if cell.name in names]


def test_a_pattern_without_a_cell_names_those_there_are():
    with pytest.raises(RecipeError, match="no such cell; there are full_shot-none-0-seed0, "):
        plan.chosen(planned([5]), ["*none*", "zero*"])
