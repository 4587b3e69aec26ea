"""The section on synthetic defects: acceptance, feature space, the choice of the mix."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.trainer.report.build_inputs import inputs
from trainer.report import generation, render
from trainer.report.generation import Candidate, GenerationFigures

GATE = [
    {"generator": "memseg", "drawn": 60, "kept": 50, "near-duplicate": 0, "not visible": 7, "off texture": 3},
    {"generator": "in_domain", "drawn": 1200, "kept": 300, "near-duplicate": 400, "not visible": 450, "degenerate": 50},
]
SEARCH = [
    {"n": 0, "share": 0.0, "ap": 0.71, "chosen": False},
    {"n": 80, "share": 0.5, "ap": 0.8126, "error": 0.0104, "chosen": True},
    {"n": 120, "share": 1.0, "ap": float("nan"), "chosen": False},
]
THIN = "\N{NARROW NO-BREAK SPACE}"


def cloud(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 2)).astype(np.float32)


FEATURES = {name: cloud(20 + seed, seed) for seed, name in enumerate(("real normal", "real defect", "memseg"))}
WHOLE = GenerationFigures(gate=GATE, features=FEATURES | {"diffusion": cloud(30)}, chosen=SEARCH)


def test_acceptance_by_generator():
    table = generation.gate_table(GATE)
    assert table.titles == ("Near-duplicate", "Not visible", "Off texture", "Degenerate")
    assert table.rows == (
        ("memseg", "60", "50", f"83.3{THIN}%", ("0", "7", "3", "0")),
        ("in domain", f"1{THIN}200", "300", f"25.0{THIN}%", ("400", "450", "0", "50")),
    )


@pytest.mark.parametrize(
    ("row", "titles", "expected"),
    [
        ({"generator": "inpaint", "drawn": 0, "kept": 0}, 4, ("inpaint", "0", "0", "–", ("0",) * 4)),
        (
            {"generator": "inpaint", "drawn": 4, "kept": 3, "too dark": 1},
            5,
            ("inpaint", "4", "3", f"75.0{THIN}%", ("0", "0", "0", "0", "1")),
        ),
    ],
    ids=["nothing drawn", "a reason of its own"],
)
def test_acceptance_of_odd_rows(row, titles, expected):
    table = generation.gate_table([row])
    assert len(table.titles) == titles
    assert table.rows == (expected,)


def test_the_search_in_the_order_tried():
    assert generation.candidates(SEARCH) == [
        Candidate("0", "–", "0.710", False),
        Candidate("80", f"50.0{THIN}%", "0.813 ± 0.010", True),
        Candidate("120", f"100.0{THIN}%", "–", False),
    ]


def points(chart):
    """Markers drawn in each group, in drawing order, without the legend's own."""
    root = ElementTree.fromstring(chart.replace("xlink:href", "href"))
    axes = next(node for node in root.iter() if node.get("id") == "axes_1" or "href" not in node.attrib)
    uses = [node.get("href") for node in axes.iter() if node.tag.endswith("use")]
    return {href: uses.count(href) - 1 for href in dict.fromkeys(uses)}


def test_each_group_has_a_shape_of_its_own_and_all_its_points():
    chart = generation.feature_space(WHOLE.features)
    assert sorted(points(chart).values()) == sorted([20, 21, 22, 30])
    labels = re.findall(r"<text[^>]*>([^<]*)</text>", chart)
    assert [label for label in labels if "(" in label] == [
        "real, good (20)",
        "MemSeg (22)",
        "diffusion (30)",
        "real, defect (21)",
    ]
    for variable in ("good", "defect", "review", "accent"):
        assert f"var(--{variable})" in chart
    assert not re.search(r"#[0-9a-f]{6}(?![0-9a-z])", re.sub(r'(href|id)="[^"]*"', "", chart))


def test_a_large_group_is_thinned_and_says_its_size():
    chart = generation.feature_space({"real normal": cloud(5000)})
    assert list(points(chart).values()) == [400]
    assert f"real, good (5{THIN}000)" in chart


@pytest.mark.parametrize(
    "features",
    [None, {}, {"real normal": np.zeros((0, 2))}, {"memseg": np.full((3, 2), np.nan)}, {"elsewhere": cloud(3)}],
    ids=["none", "no group", "empty group", "not finite", "unknown group"],
)
def test_without_points_there_is_no_chart(features):
    assert generation.feature_space(features) == ""


@pytest.mark.parametrize(
    ("known", "shown", "hidden"),
    [
        (WHOLE, ["Synthetic defects", "Acceptance", "83.3", "Where they lie", "Choice of the mix", "chosen"], []),
        (GenerationFigures(gate=GATE), ["Acceptance"], ["Where they lie", "Choice of the mix"]),
        (GenerationFigures(features=FEATURES), ["Where they lie"], ["Acceptance", "Choice of the mix"]),
        (GenerationFigures(chosen=SEARCH), ["Choice of the mix"], ["Acceptance", "Where they lie"]),
        (GenerationFigures(), [], ["<h2>Synthetic defects"]),
        (None, [], ["<h2>Synthetic defects"]),
    ],
    ids=["whole", "gate", "features", "search", "nothing known", "no generation"],
)
def test_the_page_shows_what_is_known(known, shown, hidden):
    page = render.page(inputs(generation=known))
    for text in shown:
        assert text in page
    for text in hidden:
        assert text not in page
    assert page.count("<section") == page.count("</section>")


def test_a_generators_name_is_escaped():
    page = render.page(inputs(generation=GenerationFigures(gate=[{"generator": "<b>x", "drawn": 1, "kept": 1}])))
    assert "&lt;b&gt;x" in page
    assert "<b>x" not in page
