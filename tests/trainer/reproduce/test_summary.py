"""Rows filled from finished builds, and how they are printed and written."""

import csv
import io
import math

import pytest
from rich.console import Console

from inspector.errors import DataError
from trainer.reproduce import present, summary
from trainer.reproduce.summary import Build, summarise
from trainer.reproduce.tables import TABLES, Figure

SCORES = [
    ("b.png", 1, "test", 2.0, 0.88),
    ("a.png", 0, "test", -1.0, 0.27),
    ("c.png", 1, "test", 0.1, 0.52),
    ("v.png", 1, "val", 9.0, 0.99),
    ("d.png", 0, "test", 0.3, 0.57),
]


@pytest.fixture
def scores(tmp_path):
    path = tmp_path / "scores.csv"
    with path.open("w", newline="") as handle:
        csv.writer(handle).writerows([("path", "label", "split", "logit", "probability"), *SCORES])
    return path


def build(scores, ap, precision=0.5, recall=0.5):
    return Build({"ap": ap, "precision": precision, "recall": recall}, 0.55, scores)


def row_of(rows, label, n):
    [row] = [row for row in rows if (row.published.label, row.published.n) == (label, n)]
    return row


def test_only_test_images_count_and_the_threshold_calls_them(scores):
    judged = summary.judged(build(scores, 0.5))
    assert judged.paths == ("a.png", "b.png", "c.png", "d.png")
    assert judged.labels.tolist() == [0, 1, 1, 0]
    assert judged.logits.tolist() == [-1.0, 2.0, 0.1, 0.3]
    assert judged.called.tolist() == [False, True, False, True]


def test_means_and_deviations_by_hand(scores):
    rows = summarise(TABLES[2], {("in_and_out", 80): [build(scores, ap) for ap in (0.5, 0.6, 0.7, 0.8)]})
    row = row_of(rows, "In&Out", 80)
    assert row.seeds == 4
    assert row.ours["ap"].mean == pytest.approx(0.65)
    assert row.ours["ap"].std == pytest.approx(math.sqrt((0.15**2 + 0.05**2) * 2 / 3))
    assert row.ours["recall"] == Figure(0.5, 0.0)
    assert row.intervals["ap"].low <= row.intervals["ap"].high
    assert (row_of(rows, "In&Out", 100).seeds, row_of(rows, "In&Out", 100).ours) == (0, {})


def test_an_average_waits_for_all_its_rows(scores):
    builds = {("in_and_out", n): [build(scores, n / 200), build(scores, n / 200 + 0.1)] for n in (80, 100)}
    assert row_of(summarise(TABLES[5], builds), "In&Out", None).ours == {}
    builds["in_and_out", 120] = [build(scores, 0.75)]
    builds["none", 0] = [build(scores, 0.0)]  # must not enter
    average = row_of(summarise(TABLES[5], builds), "In&Out", None)
    assert average.ours["ap"].mean == pytest.approx((0.45 + 0.55 + 0.75) / 3)
    assert average.ours["ap"].std is None  # one row has one seed only
    assert average.seeds == 1
    builds["in_and_out", 120].append(build(scores, 0.75))
    average = row_of(summarise(TABLES[5], builds), "In&Out", None)
    assert average.ours["ap"].std == pytest.approx((0.1 / math.sqrt(2)) * 2 / 3)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("path,label,split,logit\na,0,test,1\n", "damaged"),
        ("path,label,split,logit,probability\na,0,test,much,0.5\n", "damaged"),
        ("path,label,split,logit,probability\na,0,test,1,0.5\n", "lacks test images"),
    ],
)
def test_a_damaged_score_table_is_named(tmp_path, content, says):
    path = tmp_path / "scores.csv"
    path.write_text(content)
    with pytest.raises(DataError, match=says) as caught:
        summary.judged(build(path, 0.5))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (Figure(0.782, 0.030), ".782 (.030)"),
        (Figure(0.733), ".733 (-)"),
        (Figure(1.0, 0.0), "1.000 (.000)"),
        (Figure(), "–"),
        (None, "–"),
    ],
)
def test_figures_are_printed_as_in_the_paper(figure, text):
    assert present.figure(figure) == text


def test_the_written_table_holds_both(scores, tmp_path):
    rows = summarise(TABLES[5], {("none", 0): [build(scores, 0.5), build(scores, 0.6)]})
    page = present.write(TABLES[5], rows, 4, ["Ours: somewhere."], tmp_path)
    lines = page.read_text().splitlines()
    assert lines[0] == "# Table 5: In&Out, all real defects (full_shot)"
    baseline = [cell.strip() for cell in next(line for line in lines if "| 0 |" in line).strip("|").split("|")]
    assert baseline[:4] == ["In&Out", "0", ".747 (.055)", ".550 (.071)"]
    assert baseline[-1] == "2"
    assert "- Ours: somewhere." in lines
    columns = {line.count("|") for line in lines if line.startswith("|")}
    assert columns == {13}

    with page.with_suffix(".csv").open(newline="") as handle:
        records = list(csv.DictReader(handle))
    assert len(records) == 6 * 3
    [ours] = [r for r in records if (r["n_aug"], r["metric"]) == ("0", "ap")]
    assert (float(ours["ours_mean"]), ours["published_std"], ours["seeds"]) == (pytest.approx(0.55), "0.055", "2")
    assert 0 <= float(ours["ours_low"]) <= float(ours["ours_high"]) <= 1
    [quoted] = [r for r in records if (r["augmentation"], r["metric"]) == ("MixSegdec", "recall")]
    assert (quoted["published_mean"], quoted["ours_mean"]) == ("", "")


def test_the_terminal_shows_both_and_the_notes(scores):
    screen = Console(file=io.StringIO(), width=120)
    rows = summarise(TABLES[1], {("memseg", 80): [build(scores, 0.5), build(scores, 0.6)]})
    screen.print(present.in_terminal(TABLES[1], rows, 4))
    shown = screen.file.getvalue()
    for text in (".514 (.026)", ".550 (.071)", ".471 (.047)", "of 4", "nothing to learn from", "95 % interval"):
        assert text in shown
