"""The published figures, held against the paper's own arithmetic and its text."""

from statistics import fmean

import pytest

from trainer.reproduce.tables import METRICS, TABLES, Figure, notes

AVERAGES = [
    pytest.param(table, row, id=f"table {table.number} {row.label}")
    for table in TABLES.values()
    for row in table.rows
    if row.kind is not None and row.n is None
]


def test_there_are_six_tables_of_the_papers_size():
    assert {number: len(table.rows) for number, table in TABLES.items()} == {1: 8, 2: 4, 3: 8, 4: 4, 5: 6, 6: 8}
    scenarios = [TABLES[number].scenario for number in range(1, 7)]
    assert scenarios == ["zero_shot"] * 2 + ["few_shot"] * 2 + ["full_shot"] * 2


# The paper rounds to three decimals, and so do its averages: half a unit each, and once more for the average.
@pytest.mark.parametrize(("table", "row"), AVERAGES)
def test_averages_are_those_of_their_rows(table, row):
    members = table.averaged(row)
    assert [member.n for member in members] == [80, 100, 120]
    for metric in METRICS:
        published = row.figures[metric]
        assert fmean(member.figures[metric].mean for member in members) == pytest.approx(published.mean, abs=0.00101)
        assert fmean(member.figures[metric].std for member in members) == pytest.approx(published.std, abs=0.00101)


@pytest.mark.parametrize(
    ("number", "label", "n", "metric", "figure"),
    [
        (1, "DDPM", 80, "ap", Figure(0.547, 0.086)),
        (2, "In&Out", 100, "ap", Figure(0.626, 0.059)),
        (3, "MemSeg", 80, "precision", Figure(0.836, 0.101)),
        (4, "In&Out", 100, "recall", Figure(0.761, 0.245)),
        (5, "In&Out", 120, "ap", Figure(0.782, 0.030)),
        (5, "In&Out", 0, "recall", Figure(0.723, 0.058)),
        (5, "MixSegdec", None, "ap", Figure(0.733, None)),
        (5, "MixSegdec", None, "recall", Figure(None, None)),
        (6, "DDPM", 120, "precision", Figure(0.858, 0.084)),
    ],
)
def test_figures_that_the_paper_prints(number, label, n, metric, figure):
    [row] = [row for row in TABLES[number].rows if (row.label, row.n) == (label, n)]
    assert row.figures[metric] == figure


def test_only_full_shot_has_a_baseline_and_the_others_say_why():
    baselines = [(table.number, n) for table in TABLES.values() for kind, n in table.cells() if kind == "none"]
    assert baselines == [(5, 0)]
    assert all("N_aug = 0" in " ".join(notes(TABLES[number])) for number in (1, 2, 3, 4))
    assert notes(TABLES[5]) == notes(TABLES[6]) == []
