"""The charts: well-formed SVG in the page's colours, figures in the labels, empty where there is nothing."""

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from tests.trainer.report.build_inputs import CALIBRATION, inputs, scores
from trainer.report import Scores, charts, svg

NONE = scores([], [])
GOOD_ONLY = scores([0, 0, 0], [-3.0, -2.0, 1.0])
WHOLE = inputs()
BANDED = CALIBRATION.model_copy(update={"review_band": (0.3, 0.6)})


def texts(chart: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", chart)


@pytest.mark.parametrize(
    "chart",
    [
        pytest.param(charts.loss_curve(WHOLE.history), id="loss"),
        pytest.param(charts.validation_curve(WHOLE.history), id="validation"),
        pytest.param(charts.validation_curve(WHOLE.history[:1]), id="one epoch"),
        pytest.param(charts.precision_recall(WHOLE.validation, WHOLE.test, 0.5), id="precision recall"),
        pytest.param(charts.precision_recall(WHOLE.validation, None, 0.5), id="no test split"),
        pytest.param(charts.histogram(WHOLE.validation, BANDED), id="histogram"),
        pytest.param(charts.histogram(GOOD_ONLY, CALIBRATION), id="histogram of one class"),
        pytest.param(charts.reliability(WHOLE.validation, CALIBRATION), id="reliability"),
    ],
)
def test_is_one_svg_in_the_pages_colours(chart: str) -> None:
    root = ElementTree.fromstring(chart.replace("xlink:href", "href"))
    assert root.tag == "svg" and root.get("viewBox") and root.get("aria-label")
    assert "http" not in chart and "<style" not in chart and "font-family" not in chart
    assert not re.findall(r"#[0-9a-f]{6}", chart.replace("#ffffff", ""), flags=re.IGNORECASE)
    assert "nan" not in "".join(texts(chart)).lower()


def test_charts_of_a_page_share_no_id() -> None:
    page = [
        charts.loss_curve(WHOLE.history),
        charts.precision_recall(WHOLE.validation, WHOLE.test, 0.5),
        charts.histogram(WHOLE.validation, BANDED),
        charts.reliability(WHOLE.validation, CALIBRATION),
    ]
    ids = [found for chart in page for found in re.findall(r'\bid="([^"]+)"', chart)]
    assert ids and len(ids) == len(set(ids))


@pytest.mark.parametrize(
    "chart",
    [
        pytest.param(charts.loss_curve([]), id="no epoch"),
        pytest.param(charts.validation_curve([{"epoch": 1, "loss": 0.3, "val_ap": float("nan")}]), id="AP undefined"),
        pytest.param(charts.precision_recall(GOOD_ONLY, NONE, 0.5), id="one class"),
        pytest.param(charts.histogram(NONE, CALIBRATION), id="no scores"),
        pytest.param(charts.reliability(GOOD_ONLY, CALIBRATION), id="reliability of one class"),
    ],
)
def test_is_empty_where_there_is_nothing_to_draw(chart: str) -> None:
    assert chart == ""


def test_precision_recall_names_the_average_precision_of_both_splits() -> None:
    assert WHOLE.test is not None
    found = texts(charts.precision_recall(WHOLE.validation, WHOLE.test, 0.5))
    for name, split in (("validation", WHOLE.validation), ("test", WHOLE.test)):
        assert f"{name}, AP {average_precision_score(split.labels, split.logits):.3f}" in found


def test_validation_curve_marks_the_best_epoch() -> None:
    history = [{"epoch": 1, "val_ap": 0.4}, {"epoch": 2, "val_ap": 0.8}, {"epoch": 3, "val_ap": 0.6}]
    assert "best 0.800 at epoch 2" in texts(charts.validation_curve(history))


def test_histogram_counts_what_could_be_scored() -> None:
    found = texts(charts.histogram(scores([0, 0, 1, 1], [-2.0, float("nan"), 1.0, 3.0]), BANDED))
    assert {"good (1)", "defect (2)", "review band", "threshold"} <= set(found)


def test_ten_thousand_scores_stay_a_small_chart() -> None:
    rng = np.random.default_rng(0)
    many: Scores = scores(rng.integers(0, 2, 10_000).tolist(), rng.normal(0, 3, 10_000).tolist())
    assert len(charts.histogram(many, CALIBRATION)) < 150_000


def test_every_colour_of_a_chart_is_a_variable_of_the_style_sheet() -> None:
    sheet = Path(svg.__file__).with_name("report.css").read_text(encoding="utf-8")
    for colour, variable in svg._VARIABLES.items():
        assert f"--{variable}: {colour}" in sheet  # what is drawn is what the light theme shows
        assert sheet.count(f"--{variable}: ") == 2  # light and dark
