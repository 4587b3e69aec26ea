"""CSV manifests: columns, words, and errors with their lines."""

import pytest

from inspector.errors import DataError
from trainer.data.readers import read

# text -> (label, split, group, has a mask, defect type) of a.png
UNDERSTOOD = {
    "numbers": ("path,label\na.png,1\n", (1, "", "", False, "")),
    "words, in any case": ("path,label,split\na.png,Good,Training\n", (0, "train", "", False, "")),
    "all columns": (
        "path,label,split,group,mask,defect_type\na.png,ng,val,g7,m.png,crack\n",
        (1, "val", "g7", True, "crack"),
    ),
    "aliases": ("path,label,item,type\na.png,defect,kos01,pit\n", (1, "", "kos01", False, "pit")),
    "alias beside the real name": ("path,label,item,group\na.png,1,x,y\n", (1, "", "y", False, "")),
    "a good image has no defect type": ("path,label,defect_type\na.png,0,free\n", (0, "", "", False, "")),
    "other columns, other order": ("operator,label,path\nme,ok,a.png\n", (0, "", "", False, "")),
    "semicolons and a byte order mark": ("\ufeffpath;label\na.png;1\n", (1, "", "", False, "")),
    "blank lines, spaces, short lines": ("path, label ,split\n\n a.png , 1\n,,\n", (1, "", "", False, "")),
    "empty mask cell": ("path,label,mask\na.png,1,\n", (1, "", "", False, "")),
    "quoted": ('path,label,note\na.png,1,"two\nlines, one cell"\n', (1, "", "", False, "")),
}


@pytest.mark.parametrize("case", UNDERSTOOD)
def test_understood(case, draw, tmp_path):
    text, expected = UNDERSTOOD[case]
    draw("a.png")
    draw("m.png", marked=True)
    (tmp_path / "manifest.csv").write_text(text, encoding="utf-8")
    (sample,) = read(tmp_path).samples
    assert sample.path == tmp_path / "a.png"
    found = (sample.label, sample.split, sample.group, sample.mask is not None, sample.defect_type)
    assert found == expected


def test_another_csv_as_the_root_and_back_slashes(draw, tmp_path):
    draw("in/a.png")
    (tmp_path / "list.csv").write_text("path,label\nin\\a.png,1\n")
    dataset = read(tmp_path / "list.csv")
    assert (dataset.root, dataset.layout) == (tmp_path, "manifest")
    assert dataset.samples[0].path == tmp_path / "in/a.png"


def test_manifest_overrules_the_folders_beside_it(draw, tmp_path):
    draw("good/a.png")
    draw("defect/b.png")
    (tmp_path / "manifest.csv").write_text("path,label\ngood/a.png,defect\n")
    assert [(s.path.name, s.label) for s in read(tmp_path).samples] == [("a.png", 1)]


@pytest.mark.parametrize(("header", "taken"), [("path,label", True), ("path,label,mask", False)])
def test_mask_beside_the_image_only_without_a_mask_column(header, taken, draw, tmp_path):
    draw("a.png")
    draw("a_GT.png", marked=True)
    (tmp_path / "manifest.csv").write_text(f"{header}\na.png,1\n")
    assert (read(tmp_path).samples[0].mask is not None) == taken


def test_all_errors_are_reported_with_their_lines(draw, tmp_path):
    draw("a.png")
    draw("b.png")
    (tmp_path / "manifest.csv").write_text(
        "path,label,split,mask\n"
        "a.png,1,train,\n"
        "b.png,maybe,train,\n"
        "gone.png,0,holdout,\n"
        ",1,,\n"
        "a.png,0,test,\n"
        "b.png,1,test,gone_mask.png\n"
    )
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert str(caught.value).split("; ") == [
        f"{tmp_path}/manifest.csv cannot be used: line 3: label 'maybe' is neither 0/1 nor good/defect",
        f"line 4: gone.png is not a file below {tmp_path}",
        "line 4: split 'holdout' is not train, val, test or empty",
        "line 5: path is empty",
        "line 6: a.png is already listed in line 2",
        f"line 7: mask gone_mask.png is not a file below {tmp_path}",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"file,label\n", "line 1: no column path", id="no path"),
        pytest.param(b"", "no column path and label", id="empty"),
        pytest.param(b"path,label\n", "no labelled images", id="header only"),
        pytest.param("path,label\nk\xf6rper.png,1\n".encode("latin-1"), "not UTF-8", id="latin-1"),
    ],
)
def test_refused(content, message, tmp_path):
    (tmp_path / "manifest.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read(tmp_path)
