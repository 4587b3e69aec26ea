"""A curve's figures, against scikit-learn and by hand."""

from statistics import fmean

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from trainer.curve.summary import built, summarise


def of(campaign):
    return summarise(built(campaign.planned, campaign.done, campaign.workshop), "validation images")


def test_points_are_means_over_seeds_of_validation_images(campaign):
    made = campaign({(5, "none"): 1.0, (5, "memseg"): 2.0, ("all", "none"): 2.5}, seeds=3)
    found = built(made.planned, made.done, made.workshop)
    for one in found:
        assert one.ap == pytest.approx(average_precision_score(one.judged.labels, one.judged.logits))
        assert all(path.startswith("val/") for path in one.judged.paths)
    curve = of(made)
    assert {line: list(points) for line, points in curve.points.items()} == {"real": [5, "all"], "synthetic": [5]}
    point = curve.points["real"][5]
    values = [one.ap for one in found if one.cell.kind == "none" and one.cell.scenario == "few_shot"]
    assert point.mean == pytest.approx(fmean(values))
    assert point.std == pytest.approx(np.std(values, ddof=1))
    assert point.interval.low < point.mean < point.interval.high
    assert point.interval.method == "stratified percentile bootstrap over seeds and validation images, 2000 resamples"
    assert sorted(point.builds) == [0, 1, 2]
    assert curve.points["real"]["all"].defects == 40


def test_differences_are_paired_by_seed(campaign):
    made = campaign({(5, "none"): 0.5, (5, "memseg"): 3.0}, seeds=2)
    missing = next(cell.name for cell in made.planned if (cell.seed, cell.kind) == (1, "memseg"))
    del made.done[missing]
    change = of(made).gains[5]
    assert change.seeds == 1
    aps = {(one.cell.kind, one.cell.seed): one.ap for one in built(made.planned, made.done, made.workshop)}
    assert change.mean == pytest.approx(aps["memseg", 0] - aps["none", 0])
    assert change.distinguishable
    assert change.interval.low > 0


def test_points_that_judge_alike_differ_by_nothing(campaign):
    change = of(campaign({(5, "none"): 1.0, ("all", "none"): 1.0}, noise=0)).steps["real"][0]
    assert (change.mean, change.interval.low, change.interval.high) == (0, 0, 0)
    assert not change.distinguishable


@pytest.mark.parametrize(
    ("counts", "available", "pair"),
    [
        ((0, 1, 5, 10, "all"), 19, (10, 19)),
        ((20, 60, "all"), 79, (20, 79)),  # 60 to 79 is less than half a doubling
        ((0, 10, "all"), 12, (10, 12)),  # nothing lower
        ((0, "all"), 19, None),
        (("all",), 19, None),
    ],
)
def test_the_last_doubling_ends_at_the_most_defects(campaign, counts, available, pair):
    made = campaign({(count, "none"): 1.0 for count in counts if count}, available=available)
    if 0 in counts:
        made = campaign({(count, kind): 1.0 for count in counts for kind in ("none", "memseg")}, available=available)
    last = of(made).last.get("real")
    assert (None if last is None else (last.before.defects, last.after.defects)) == pair
