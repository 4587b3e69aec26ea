"""Key figures, sentences and the confusion table."""

import pytest
from scipy.stats import beta

from inspector.manifest import Guarantee
from tests.trainer.report.build_inputs import CALIBRATION, inputs, scores
from trainer.report import figures

THIN = "\N{NARROW NO-BREAK SPACE}"


def test_test_figures_carry_counts_and_exact_intervals() -> None:
    found = figures.measured(inputs())
    assert found["ap"] == figures.Figure("Average precision", "0.917", "0.831 to 0.976", "")
    # 2 of 3 defects at probability >= 0.5, that is logit / 2 - 0.5 >= 0; limits from the beta distribution
    low, high = beta.ppf(0.025, 2, 2), beta.ppf(0.975, 3, 1)
    assert found["recall"].counts == "2 of 3 defects"
    assert found["recall"].interval == f"{100 * low:.1f} to {100 * high:.1f}{THIN}%"
    assert found["precision"].counts == "2 of 3 alarms"
    assert found["fpr"].counts == "1 of 4 good parts" and found["fpr"].value == f"25.0{THIN}%"


def test_intervals_of_the_build_win_over_the_exact_ones() -> None:
    metrics = {"recall": 0.9, "recall_low": 0.8, "recall_high": 0.95}
    assert figures.measured(inputs(metrics=metrics))["recall"].interval == f"80.0 to 95.0{THIN}%"


def test_without_a_test_split_the_figures_are_the_calibrations() -> None:
    found = figures.measured(inputs(test=None, metrics={}))
    assert found["ap"].value == "0.941" and found["recall"].interval == f"66.0 to 99.8{THIN}%"
    assert found["auroc"].value == "–"


def test_interval_level_is_the_calibrations_own() -> None:
    assert figures.level(CALIBRATION) == "90\N{NO-BREAK SPACE}%"


@pytest.mark.parametrize(
    ("band", "sentence"),
    [
        pytest.param(None, "A picture is judged a defect at a probability of 0.5 or more.", id="threshold alone"),
        pytest.param(
            (0.3, 0.6),
            "A picture is judged a defect at a probability of 0.5 or more; between 0.3 and 0.6 a person reviews it.",
            id="with review",
        ),
    ],
)
def test_operating_point(band: tuple[float, float] | None, sentence: str) -> None:
    assert figures.operating_point(CALIBRATION.model_copy(update={"review_band": band})) == sentence


@pytest.mark.parametrize(
    ("promise", "part"),
    [
        pytest.param(None, "carries no guarantee", id="none"),
        pytest.param(CALIBRATION.guarantee, "0.8 of new defects", id="recall"),
        pytest.param(
            Guarantee(metric="fpr", bound=0.02, confidence=0.9, method="x"),
            "at most 0.02 of new good",
            id="false alarms",
        ),
    ],
)
def test_guarantee(promise: Guarantee | None, part: str) -> None:
    assert part in figures.guarantee(CALIBRATION.model_copy(update={"guarantee": promise}))


def test_confusion_counts_review_and_invalid_apart() -> None:
    banded = CALIBRATION.model_copy(update={"review_band": (0.3, 0.6)})
    # probabilities sigmoid(logit / 2 - 0.5): 0.076, 0.378, 0.818 | 0.378, 0.924, not scorable
    titles, rows = figures.confusion(scores([0, 0, 0, 1, 1, 1], [-4.0, 0.0, 4.0, 0.0, 6.0, float("nan")], banded))
    assert titles == ["judged ok", "sent to review", "judged defect", "not scorable"]
    assert [(truth, total, [cell.pictures for cell in cells]) for truth, total, cells in rows] == [
        ("good", "3", ["1", "1", "1", "0"]),
        ("defect", "3", ["0", "1", "1", "1"]),
    ]
    assert [[cell.kind for cell in cells] for _, _, cells in rows] == [
        ["right", "apart", "wrong", "apart"],
        ["apart", "apart", "right", "apart"],
    ]


def test_confusion_leaves_out_verdicts_that_never_occur() -> None:
    titles, rows = figures.confusion(scores([0, 0], [-4.0, -4.0]))
    assert titles == ["judged ok", "judged defect"]
    assert [cell.of_row for cell in rows[1][2]] == ["", ""]
