"""Recipes: presets, overrides, and every error reported at once."""

import pytest

from inspector.errors import RecipeError
from trainer.recipe import presets, resolve


@pytest.mark.parametrize("name", sorted(presets()))
def test_every_preset_resolves_and_describes_itself(name):
    recipe = resolve(name, {})
    assert recipe.name == name
    assert recipe.description


def test_paper_preset_is_the_papers():
    recipe = resolve("paper", {})
    train = recipe.train
    assert (recipe.input.width, recipe.input.height, recipe.input.crop) == (200, 600, "center")
    assert (train.optimiser, train.learning_rate, train.batch, train.epochs) == ("sgd", 0.01, 5, 50)
    assert (recipe.model.pooling, recipe.model.levels, recipe.model.feature_norm) == ("mean", ("layer4",), False)
    assert recipe.data.few_shot == 5


def test_overrides_win_in_order():
    recipe = resolve("default", {"seed": 3, "scenario": None, "augment.n": 7}, ["train.epochs=2", "augment.n=9"])
    assert (recipe.seed, recipe.train.epochs, recipe.augment.n, recipe.scenario) == (3, 2, 9, "full_shot")


@pytest.mark.parametrize(
    ("assignments", "says"),
    [
        (["train.epoch=5"], ["train.epoch: unknown key"]),
        (["train.epochs=many", "input.width=1", "modle.x=1"], ["train.epochs", "input.width", "modle", "3 error(s)"]),
        (["train.epochs"], ["is not KEY=VALUE"]),
        (["train.epochs=["], ["not valid YAML"]),
        (["name.x=1"], ["'name' is not a section"]),
        (["train.learning_rate=.inf"], ["train.learning_rate"]),
        (["model.levels=[layer4, layer3]"], ["model.levels", "in the network's order"]),
    ],
    ids=["unknown key", "all at once", "no value", "broken value", "no section", "not finite", "levels"],
)
def test_wrong_overrides(assignments, says):
    with pytest.raises(RecipeError) as caught:
        resolve("default", {}, assignments)
    assert "\n" not in str(caught.value)
    for words in says:
        assert words in str(caught.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no recipe"),
        ("train: [", "not valid YAML"),
        ("- a list", "is not a mapping"),
        ("train: {epochs: 0}", "train.epochs"),
        ("!!python/object/apply:os.system ['true']", "not valid YAML"),
    ],
    ids=["missing", "broken", "list", "wrong value", "code"],
)
def test_wrong_files(tmp_path, content, says):
    path = tmp_path / "r.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(RecipeError, match=says):
        resolve(str(path), {})


def test_a_resolved_recipe_is_a_recipe_again(tmp_path):
    import yaml

    recipe = resolve("default", {"seed": 4})
    (tmp_path / "again.yaml").write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    assert resolve(str(tmp_path / "again.yaml"), {}) == recipe


@pytest.mark.parametrize(
    ("scenario", "kind", "n"),
    [("zero_shot", "in_and_out", 100), ("few_shot", "in_and_out", "auto"), ("full_shot", "none", 100)],
)
def test_the_default_recipe_draws_defects_where_training_sees_few_or_none(scenario, kind, n):
    found = resolve("default", {"scenario": scenario}).augment
    assert (found.kind, found.n) == (kind, n)


def test_a_number_that_is_given_is_not_searched_for():
    assert resolve("default", {"scenario": "few_shot", "augment.n": 40}).augment.n == 40


@pytest.mark.parametrize("kind", ["auto", "none"])
def test_a_memory_needs_no_defect_at_all(kind):
    found = resolve("default", {"scenario": "zero_shot", "model.head": "memory", "augment.kind": kind})
    assert found.augment.kind == "none"
