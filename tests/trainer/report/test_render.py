"""The page as a whole: self-contained, escaped, whatever is missing, and written in one piece."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from inspector.errors import SinkError
from tests.trainer.report.build_inputs import CALIBRATION, inputs, picture, scores
from trainer.report import ReportInputs, render

VOID = {"meta", "img", "br", "link", "input"}
NAN = float("nan")


class Page(HTMLParser):
    """Collects tags, attributes and shown text, and checks that elements close in order."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(document)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(render.page(inputs()))


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param("line-2", id="name"),
        pytest.param("full-shot", id="scenario"),
        pytest.param("5 March 2026, 14:02 UTC", id="date"),
        pytest.param("0.917", id="AP"),
        pytest.param("0.831 to 0.976", id="interval of the AP"),
        pytest.param("at a probability of 0.5 or more", id="operating point"),
        pytest.param("at least 0.8 of new defects will be caught", id="guarantee"),
        pytest.param("Only 14 defects support the threshold.", id="note"),
        pytest.param("1 234", id="data table"),
        pytest.param("recall>=0.9", id="policy"),
        pytest.param("sigmoid(logit / 2 − 0.5)", id="temperature and bias"),
        pytest.param("14 real defects, 82 good (validation split)", id="support"),
        pytest.param("test/4.png: defect, judged ok", id="worst error"),
        pytest.param("3.1e-06 (allowed 1.0e-04)", id="parity"),
        pytest.param("train.epochs 30", id="recipe"),
        pytest.param("sealed test split", id="what was measured"),
    ],
)
def test_shows(page: Page, shown: str) -> None:
    assert shown in page.text.replace("\N{NARROW NO-BREAK SPACE}", " ")


def test_needs_no_network_and_no_script(page: Page) -> None:
    assert page.count("script") == page.count("link") == page.count("a") == page.count("iframe") == 0
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            if name in ("src", "href", "xlink:href", "data", "action") and value is not None:
                assert value.startswith(("data:image/jpeg;base64,", "#")), (tag, name)
    document = render.page(inputs())
    assert "http:" not in document and "https:" not in document and "@import" not in document
    assert re.findall(r"url\((?!#)", document) == []


def test_holds_every_picture_and_chart(page: Page) -> None:
    assert page.count("img") == 5  # three samples, a worst error and its overlay
    assert page.count("svg") == 5


def test_text_is_escaped_wherever_it_comes_from() -> None:
    evil = '<script>alert("1")</script>'
    shown = Page(
        render.page(
            inputs(
                name=evil,
                scenario=evil,
                created=evil,
                notes=[evil],
                data_table=[{"split": evil, "good": 1}],
                normals=[picture(f"{evil}.png")],
                worst_errors=[picture(evil, cam=True)],
                calibration=CALIBRATION.model_copy(update={"policy": evil, "source": evil}),
                provenance={evil: evil, "recipe": {evil: [evil]}},
            )
        )
    )
    assert shown.count("script") == 0
    assert shown.text.count('<script>alert("1")') >= 10


@pytest.mark.parametrize(
    ("changed", "shown"),
    [
        pytest.param({"test": None, "metrics": {}}, "Measured on the validation data", id="no test split"),
        pytest.param({"synthetic_defects": []}, "None in this build.", id="no synthetic defects"),
        pytest.param({"history": inputs().history[:1]}, "best 0.600 at epoch 1", id="one epoch"),
        pytest.param({"history": []}, "No loss was recorded.", id="no epoch"),
        pytest.param({"metrics": {"ap": NAN, "recall": NAN}}, "–", id="NaN metrics"),
        pytest.param({"worst_errors": []}, "None were recorded.", id="no worst errors"),
        pytest.param({"normals": [picture()] * 1000}, "12 of 1 000", id="a thousand pictures"),
        pytest.param({"worst_errors": [picture(cam=True)] * 1000}, "Worst errors", id="a thousand errors"),
        pytest.param({"test": scores([0, 0], [-1.0, -2.0])}, "Reliability needs", id="test of one class"),
        pytest.param({"test": scores([0, 1], [NAN, NAN])}, "No picture could be scored.", id="nothing scorable"),
        pytest.param({"provenance": {}, "data_table": [], "notes": []}, "Provenance", id="bare"),
    ],
)
def test_copes_with(changed: dict[str, object], shown: str) -> None:
    whole: ReportInputs = replace(inputs(), **changed)  # type: ignore[arg-type]
    document = render.page(whole)
    found = Page(document)
    assert shown in found.text.replace("\N{NARROW NO-BREAK SPACE}", " ")
    assert "nan" not in re.sub(r"[a-z]+nan|nan[a-z]+", "", found.text.lower())
    assert found.count("img") <= 3 * 12 + 2 * 12
    assert len(document) < 2_000_000


def test_provenance_is_grouped_and_dotted() -> None:
    provenance = {"seed": 1, "recipe": {"train": {"epochs": 3, "amp": True}}, "stage_seconds": {"index": 1.25}}
    assert render.sections(provenance) == [
        ("Build", [("Seed", "1")]),
        ("Recipe", [("train.epochs", "3"), ("train.amp", "yes")]),
        ("Stage seconds", [("index", "1.25")]),
    ]


def test_write_replaces_the_old_report_and_leaves_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    target.write_text("old")
    render.write(inputs(), target)
    assert target.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_write_names_the_file_and_keeps_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    target.mkdir()
    with pytest.raises(SinkError, match=r"cannot write report .*report\.html"):
        render.write(inputs(), target)
    assert list(tmp_path.iterdir()) == [target]


def test_a_failure_while_rendering_keeps_the_old_report(tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    target.write_text("old")
    with pytest.raises(TypeError):
        render.write(inputs(history=[{"epoch": 1, "loss": "much"}]), target)
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]
