"""Which builds a curve takes, and what the images allow."""

import pytest

from inspector.errors import DataError, RecipeError
from trainer.curve import plan
from trainer.data.samples import DataSet, Sample
from trainer.reproduce.plan import chosen
from trainer.stages import digest


def cells(counts, *, seeds=1, kind="memseg", assignments=()):
    return plan.cells(counts, "default", seeds, kind, {}, assignments)


def dataset(tmp_path, **numbers):
    """`train_1=3` are three defects of the training split; `_1=3` three of no split."""
    samples = []
    for key, number in numbers.items():
        split, _, label = key.rpartition("_")
        samples += [Sample(tmp_path / f"{key}{k}.png", int(label), split) for k in range(number)]
    return DataSet(tmp_path, "manifest", tuple(samples))


def test_the_cells_of_a_curve():
    found = cells((0, 5, "all"))
    assert [cell.name for cell in found] == [
        "0_real-memseg-100-seed0",
        "5_real-none-0-seed0",
        "5_real-memseg-100-seed0",
        "all_real-none-0-seed0",
        "all_real-memseg-100-seed0",
    ]
    assert [cell.scenario for cell in found] == ["zero_shot", *["few_shot"] * 2, *["full_shot"] * 2]
    assert [plan.count_of(cell) for cell in found] == [0, 5, 5, "all", "all"]
    assert [plan.line_of(cell) for cell in found] == ["synthetic", *["real", "synthetic"] * 2]
    assert {cell.recipe.data.few_shot for cell in found[1:3]} == {5}
    assert [cell.recipe.name for cell in found] == [cell.name for cell in found]


def test_the_first_seed_comes_before_the_second_and_starts_where_the_recipe_says():
    assert [cell.seed for cell in cells((1, "all"), seeds=2, assignments=["seed=7"])] == [7] * 4 + [8] * 4


def test_the_number_of_synthetic_defects_leaves_the_other_line_alone():
    hundred, twenty = (cells((5,), assignments=[f"augment.n={n}"]) for n in (100, 20))
    alone, beside = ([digest(cell.identity()) for cell in pair] for pair in zip(hundred, twenty, strict=True))
    assert alone[0] == alone[1]
    assert beside[0] != beside[1]
    picked = cells((5,), assignments=["augment.n=auto"])[1]
    assert (picked.n, picked.recipe.augment.n) == (200, "auto")


@pytest.mark.parametrize(
    ("asked", "recipe", "assignments", "kind"),
    [
        (None, "default", [], "in_and_out"),
        (None, "paper", [], "memseg"),
        ("diffusion", "paper", [], "diffusion"),
        ("none", "paper", [], "none"),
    ],
)
def test_the_second_line_is_what_was_asked_else_the_recipes_own(asked, recipe, assignments, kind):
    assert plan.kind_of(asked, plan.base(recipe, {}, assignments)) == kind


@pytest.mark.parametrize(
    ("asked", "train", "counts", "beyond"),
    [
        ((0, 1, 2, 5, 10, 20, 60, "all"), 19, (0, 1, 2, 5, 10, "all"), (20, 60)),
        ((60, 5, 5, 0), 60, (0, 5, 60), ()),
        ((5, 60, "all"), 60, (5, "all"), ()),  # all of them are 60
        ((0, "all"), 0, (0,), ()),
        (("all",), 1, ("all",), ()),
    ],
)
def test_counts_that_training_lacks_are_left_out(tmp_path, asked, train, counts, beyond):
    data = dataset(tmp_path, train_0=5, train_1=train, val_0=3, val_1=2, test_0=2, test_1=2)
    found = plan.offer(asked, data, plan.base("default", {}, []), 2, "val")
    assert (found.counts, found.beyond, found.available) == (counts, beyond, train)


def test_without_splits_the_seed_with_the_fewest_training_defects_decides(tmp_path):
    # parts with good and defective images: seeds divide them unevenly
    parts = [Sample(tmp_path / f"{k}{i}.png", 1, "", f"part {k}") for k in range(8) for i in range(3 - k // 3)]
    parts += [Sample(tmp_path / f"{k}g{i}.png", 0, "", f"part {k}") for k in range(8) for i in range(k % 3 * 4)]
    images = DataSet(tmp_path, "manifest", (*dataset(tmp_path, _0=40).samples, *parts))
    recipe = plan.base("default", {}, [])
    asked = [(seed, 1) for seed in range(10)] + [(0, 10)]
    found = [
        plan.offer((1, "all"), images, recipe.model_copy(update={"seed": seed}), seeds, "val").available
        for seed, seeds in asked
    ]
    *single, together = found
    assert len(set(single)) > 1
    assert together == min(single)


@pytest.mark.parametrize(
    ("numbers", "asked", "split", "says"),
    [
        ({"train_0": 3, "train_1": 3, "val_0": 3, "test_0": 1, "test_1": 1}, (1,), "val", "no defect to validate on"),
        ({"train_0": 3, "train_1": 3, "val_1": 3, "test_0": 1}, (1,), "val", "no good image to validate on"),
        ({"train_0": 3, "train_1": 3, "val_0": 3, "val_1": 3, "test_0": 1}, (1,), "test", "no defect to test on"),
        ({"train_0": 3, "train_1": 3, "val_0": 3, "val_1": 3, "test_0": 1}, (4, 9), "val", "training has 3 real"),
        ({"train_0": 3, "val_0": 3, "val_1": 3, "test_0": 1}, ("all",), "val", "training has 0 real defects"),
    ],
)
def test_images_that_allow_no_curve_are_refused_in_one_line(tmp_path, numbers, asked, split, says):
    with pytest.raises(DataError, match=says) as caught:
        plan.offer(asked, dataset(tmp_path, **numbers), plan.base("default", {}, []), 1, split)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("counts", "kind", "assignments", "says"),
    [
        ((1,), "memseg", ["data.few_shot=3"], "--set data.few_shot: the curve decides"),
        ((1,), "memseg", ["scenario=zero_shot"], "--set scenario: the curve decides"),
        ((1,), "memseg", ["augment.kind=none"], "--set augment.kind: the curve decides"),
        ((1,), "memseg", ["augment.n=0"], "augment.n is 0"),
        ((1,), "memseg", ["train.epoch=5"], "unknown key"),
        ((0,), "none", [], "nothing to learn from"),
    ],
)
def test_what_makes_no_curve_is_refused(counts, kind, assignments, says):
    with pytest.raises(RecipeError, match=says):
        cells(counts, kind=kind, assignments=assignments)


def test_cells_that_see_the_same_images_share_their_stages():
    five, beside, every = chosen(cells((5, "all")), ["5_real*", "all*none*"])
    assert five.shares_stages_with(beside)
    assert not five.shares_stages_with(every)
    assert not five.shares_stages_with(cells((6,))[0])
