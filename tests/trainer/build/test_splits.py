"""Which images a scenario trains on."""

from pathlib import Path

import pytest

from trainer.build import splits
from trainer.data import split
from trainer.data.samples import Sample
from trainer.recipe import resolve

# 40 good and 30 defective pictures, two of each part
SAMPLES = [Sample(Path(f"/{i:02}.png"), int(i >= 40), "", f"part {i // 2}") for i in range(70)]


def divided(scenario, n, seed):
    return splits.divide(SAMPLES, resolve("default", {"scenario": scenario, "data.few_shot": n, "seed": seed}))


def learned(scenario, n=1, seed=0):
    return {s.path for s in divided(scenario, n, seed) if s.split == "train" and s.label}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_real_defects_of_growing_builds_of_one_seed_are_nested(seed):
    one, two, five, ten = (learned("few_shot", n, seed) for n in (1, 2, 5, 10))
    assert learned("zero_shot", seed=seed) < one < two < five < ten < learned("full_shot", seed=seed)
    assert [len(found) for found in (one, two, five, ten)] == [1, 2, 5, 10]
    assert learned("few_shot", 5, seed) == five


def test_another_seed_shows_other_defects():
    assert len({frozenset(learned("few_shot", 5, seed)) for seed in range(4)}) > 1


@pytest.mark.parametrize("seed", [0, 1])
def test_all_but_the_training_defects_is_the_same_for_every_number(seed):
    others = [[s for s in divided("few_shot", n, seed) if s.split != "train" or not s.label] for n in (1, 5)]
    assert others[0] == others[1]


@pytest.mark.parametrize(("scenario", "same"), [("few_shot", False), ("zero_shot", True), ("full_shot", True)])
def test_another_rule_of_the_draw_is_another_division_of_few_shot_builds_alone(scenario, same, monkeypatch):
    recipe = resolve("default", {"scenario": scenario})
    before = splits.inputs("index", recipe)
    monkeypatch.setattr(split, "DRAW", "of another time")
    assert (splits.inputs("index", recipe) == before) is same
