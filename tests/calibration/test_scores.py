"""Score tables: what is read, what is refused, and that every bad line is named."""

import numpy as np
import pytest

from calibration import scores
from inspector.decision import probability_of
from inspector.errors import DataError


@pytest.fixture
def table(tmp_path):
    def write(text, encoding="utf-8"):
        path = tmp_path / "scores.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


@pytest.mark.parametrize(
    ("text", "labels", "logits", "split"),
    [
        pytest.param("label,logit\n0,-1.5\n1,2\n", [0, 1], [-1.5, 2], None, id="least"),
        pytest.param("Logit, Label \n-1,good\n2,NG\n", [0, 1], [-1, 2], None, id="words, order, blanks, case"),
        pytest.param("\ufefflabel,logit\n1,2\n\n0,1\n", [1, 0], [2, 1], None, id="byte-order mark and empty line"),
        pytest.param('path,label,logit\n"a,b.png",0,1\n', [0], [1], None, id="quoted comma"),
        pytest.param("label,logit,split\n0,1,test\n1,2,val\n1,3,val\n", [1, 1], [2, 3], "val", id="val by default"),
        pytest.param("label,logit,split\n0,1,\n1,2,\n", [0, 1], [1, 2], None, id="split column left empty"),
        pytest.param("label,logit,probability\n1,2,0.1\n", [1], [2], None, id="logit before probability"),
    ],
)
def test_reading(table, text, labels, logits, split):
    found = scores.read(table(text))
    assert found.labels.tolist() == labels
    assert found.logits.tolist() == logits
    assert (found.split, found.invalid) == (split, 0)


def test_a_split_asked_for_is_used_even_test(table):
    found = scores.read(table("label,logit,split\n0,1,test\n1,2,val\n"), split="test")
    assert (found.labels.tolist(), found.split) == ([0], "test")


def test_probabilities_are_turned_back_into_the_bundle_s_logits(table):
    logits = np.array([-8.0, 0.3, 12.0])
    p = probability_of(logits, 2.5, -0.7)
    text = "label,probability\n" + "".join(f"1,{value!r}\n" for value in p.tolist())
    assert scores.read(table(text), temperature=2.5, bias=-0.7).logits == pytest.approx(logits)


def test_probabilities_of_zero_and_one_stay_finite_and_in_order(table):
    found = scores.read(table("label,probability\n0,0\n0,1e-9\n1,1\n"))
    assert np.isfinite(found.logits).all()
    assert np.all(np.diff(found.logits) > 0)


def test_images_that_could_not_be_scored_are_counted(table):
    found = scores.read(table("label,logit,verdict\n0,,invalid\n1,2,defect\n"))
    assert (found.labels.tolist(), found.invalid) == ([1], 1)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        pytest.param("", ["needs the columns label and logit", "it has none"], id="empty file"),
        pytest.param("path,logit\na,1\n", ["needs the columns", "it has path, logit"], id="no label"),
        pytest.param("label,score\n1,1\n", ["label and logit (or probability)"], id="no score"),
        pytest.param(
            "label,logit\nmaybe,1\n0,2\n1,x\n1,nan\n1,\n",
            ["4 faulty lines", "line 2: label 'maybe'", "line 4: logit 'x'", "line 5: logit 'nan'", "line 6: logit ''"],
            id="every bad line",
        ),
        pytest.param("label,probability\n1,1.5\n", ["line 2: probability '1.5' is not a share"], id="no share"),
        pytest.param("label,logit\n1,2,3\n", ["line 2: 3 fields, the header has 2"], id="too many fields"),
        pytest.param("label,logit\n1\n", ["line 2: logit ''"], id="too few fields"),
        pytest.param("label,logit\n" + "x,1\n" * 40, ["40 faulty lines", "and 30 more"], id="many bad lines"),
        pytest.param('label,logit\n"1,2\n', ["not a CSV file"], id="open quote"),
        pytest.param("label,logit,split\n0,1,test\n", ["no split 'val'", "test (1 images)", "--split"], id="only test"),
    ],
)
def test_refusals(table, text, parts):
    with pytest.raises(DataError) as caught:
        scores.read(table(text))
    assert all(part in str(caught.value) for part in [*parts, "scores.csv"])
    assert "\n" not in str(caught.value)


def test_wrong_encoding_missing_file_and_folder_are_refused(table, tmp_path):
    with pytest.raises(DataError, match="not a CSV file in UTF-8"):
        scores.read(table("label,logit\n1,2 \xe9\n", encoding="latin-1"))
    with pytest.raises(DataError, match=r"cannot read .*none.csv: No such file"):
        scores.read(tmp_path / "none.csv")
    with pytest.raises(DataError, match=r"cannot read .*: Is a directory"):
        scores.read(tmp_path)


@pytest.mark.parametrize(
    ("text", "split", "message"),
    [
        pytest.param("label,logit\n1,2\n", "val", "no split 'val': it has no splits at all", id="no column"),
        pytest.param(
            "label,logit,split\n1,2,train\n1,2,val\n", "tset", r"it has train \(1 images\), val", id="misspelt"
        ),
    ],
)
def test_a_split_that_is_not_there_is_refused(table, text, split, message):
    with pytest.raises(DataError, match=message):
        scores.read(table(text), split)
