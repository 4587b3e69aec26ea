"""What is written of a curve: the page, the files, the terminal's table."""

import csv
import io
import json
import re
import shutil

import pytest
from rich.console import Console

from trainer.curve.plan import Offer
from trainer.curve.publish import publish

GAPS = {
    (0, "memseg"): 0.4,
    (1, "none"): 0.3,
    (1, "memseg"): 1.5,
    (10, "none"): 1.2,
    (10, "memseg"): 1.6,
    ("all", "none"): 2.6,
    ("all", "memseg"): 2.7,
}
OFFER = Offer((0, 1, 10, "all"), (60,), 40)
CHROMIUM = shutil.which("chromium")


@pytest.fixture
def shown(campaign):
    made = campaign(GAPS, seeds=2)
    return made, publish(made, OFFER, "paper")


def test_the_page_holds_every_figure_and_needs_nothing_else(shown):
    made, written = shown
    page = (made.workshop.output / "curve.html").read_text()
    document = json.loads((made.workshop.output / "curve.json").read_text())
    for point in document["points"]:
        assert f"{point['ap']:.3f}" in page
    for sentence in written.sentences:
        assert sentence in page
    assert page.count("<svg") == 1
    assert not re.search(r"(src|href)=\"(?!data:|#)", page)
    assert "<script" not in page
    assert "Training has 40 real defects, so 60 could not be built." in page
    assert "14 of 14 builds finished" in page


def test_validation_is_named_and_the_test_split_stays_out_of_sight(shown):
    made, _ = shown
    page = (made.workshop.output / "curve.html").read_text()
    assert "Measured on the validation images." in page
    assert "The test split stays sealed." in page
    for path in made.workshop.output.glob("curve.*"):
        assert "0.111" not in path.read_text()


def test_the_test_split_is_named_where_it_was_opened(campaign):
    made = campaign(GAPS, split="test")
    publish(made, OFFER, "paper")
    page = (made.workshop.output / "curve.html").read_text()
    assert "Measured on the sealed test images." in page
    assert "stays sealed" not in page
    [first, *_] = json.loads((made.workshop.output / "curve.json").read_text())["cells"]
    assert first["split"] == "test"
    assert first["ap"] < 0.4  # test scores are upside down here


def test_the_files_hold_every_build(shown):
    made, _ = shown
    with (made.workshop.output / "curve.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [row["cell"] for row in rows] == [cell.name for cell in made.planned]
    assert {(row["good_images"], row["defect_images"], row["split"]) for row in rows} == {("60", "30", "val")}
    assert [row["real_defects"] for row in rows[-2:]] == ["40", "40"]
    assert rows[0]["seconds"] == "90.0"
    document = json.loads((made.workshop.output / "curve.json").read_text())
    assert [float(row["ap"]) for row in rows] == [cell["ap"] for cell in document["cells"]]
    [mean] = [p["ap"] for p in document["points"] if (p["line"], p["real_defects_asked"]) == ("real", 10)]
    own = [float(row["ap"]) for row in rows if (row["line"], row["real_defects_asked"]) == ("real", "10")]
    assert mean == pytest.approx(sum(own) / 2)
    assert len(own) == 2


def test_a_terminal_shows_both_lines(shown):
    _, written = shown
    screen = Console(file=io.StringIO(), width=120)
    screen.print(written.table)
    text = screen.file.getvalue()
    for part in ("real alone", "with memseg", "difference", "all (40)", "– / 2"):
        assert part in text


def test_what_is_not_built_yet_is_said(campaign):
    made = campaign({**GAPS, ("all", "memseg"): None})
    publish(made, OFFER, "paper")
    page = (made.workshop.output / "curve.html").read_text()
    assert "1 of 7 builds are not finished: run the same command to go on." in page
    assert "Some points rest on one or two builds" in page


@pytest.mark.parametrize("gaps", [{(0, "memseg"): 1.0}, {(5, "none"): 1.0}, {(0, "memseg"): 1, ("all", "memseg"): 2}])
def test_the_smallest_curves_have_a_page_too(campaign, gaps):
    made = campaign(gaps)
    assert publish(made, OFFER, "paper").sentences
    assert "<svg" in (made.workshop.output / "curve.html").read_text()


def test_nothing_finished_writes_nothing(campaign):
    made = campaign({(5, "none"): None})
    assert publish(made, OFFER, "paper") is None
    assert not made.workshop.output.exists()


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium")
def test_the_page_fits_wide_and_narrow_windows_without_a_complaint(shown):
    from playwright.sync_api import sync_playwright

    made, _ = shown
    complaints = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        for width in (1200, 390):
            page.set_viewport_size({"width": width, "height": 900})
            page.goto((made.workshop.output / "curve.html").as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.locator("svg").is_visible()
        browser.close()
    assert complaints == []
