"""Labelled folders: the three layouts, their splits, and what is refused."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration import labelled_folder
from inspector.errors import DataError

REAL = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.fixture
def folder(tmp_path):
    """Write files under a fresh folder: a name alone is a small grey image, `name: bytes` is these bytes."""

    def make(*names, **contents):
        root = tmp_path / "data"
        for name in names:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            value = 255 if "DEFECT" in name else 0
            cv2.imwrite(str(path).replace("DEFECT", ""), np.full((4, 4), value, np.uint8))
        root.mkdir(exist_ok=True)
        if "manifest" in contents:
            (root / "manifest.csv").write_text(contents["manifest"])
        return root

    return make


def labels_of(root, split=None):
    found = labelled_folder.read(root, split)
    return {str(image.path.relative_to(root)): image.label for image in found.images}


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        pytest.param(["good/a.png", "defect/b.png"], {"good/a.png": 0, "defect/b.png": 1}, id="plain"),
        pytest.param(["OK/a.PNG", "NG/b.jpg"], {"OK/a.PNG": 0, "NG/b.jpg": 1}, id="words and case"),
        pytest.param(
            ["normal/line1/a.bmp", "bad/scratch/x/b.tiff"],
            {"normal/line1/a.bmp": 0, "bad/scratch/x/b.tiff": 1},
            id="nested",
        ),
        pytest.param(
            ["part/good/a.png", "part/good/defect/b.png"],
            {"part/good/a.png": 0, "part/good/defect/b.png": 1},
            id="nearest folder decides",
        ),
        pytest.param(["good/a.png", "defect/b.png", "good/._a.png"], {"good/a.png": 0, "defect/b.png": 1}, id="hidden"),
        pytest.param(
            ["test/good/a.png", "val/good/b.png", "val/defect/c.png"],
            {"val/good/b.png": 0, "val/defect/c.png": 1},
            id="splits: val",
        ),
        pytest.param(["1.png", "1_GT.png", "2.png", "2_GTDEFECT.png"], {"1.png": 0, "2.png": 1}, id="mask pairs"),
        pytest.param(
            ["1.png", "1_GT.png", "1 (copy).png", "1_GT (copy).png", "2.png", "2_GTDEFECT.png"],
            {"1.png": 0, "2.png": 1},
            id="mask pairs, copies ignored",
        ),
        pytest.param(
            ["val/1.png", "val/1_GT.png", "test/2.png", "test/2_GT.png"], {"val/1.png": 0}, id="mask pairs: val"
        ),
    ],
)
def test_layouts(folder, names, labels):
    assert labels_of(folder(*names)) == labels


def test_manifest_labels_and_split(folder):
    text = "path,label,split\nx/b.png,defect,val\na.png,0,val\nc.png,1,train\n"
    root = folder("a.png", "x/b.png", "c.png", manifest=text)
    assert labels_of(root) == {"a.png": 0, "x/b.png": 1}
    assert labels_of(root, "train") == {"c.png": 1}


@pytest.mark.parametrize(
    ("names", "manifest", "parts"),
    [
        pytest.param([], None, ["holds no labelled images", "good/ and defect/"], id="empty"),
        pytest.param(["a.png", "good/b.png"], None, ["in no good/ or defect/ folder: a.png"], id="unlabelled image"),
        pytest.param(["1.png", "1_GT.png", "2.png"], None, ["no mask beside them", "2.png"], id="mask missing"),
        pytest.param(["test/good/a.png"], None, ["no split 'val'", "test (1 images)", "--split"], id="only test"),
        pytest.param(
            ["a.png"],
            "path,label\na.png,maybe\nnone.png,1\n",
            ["2 faulty lines", "line 2: label 'maybe'", "line 3: no file 'none.png'"],
            id="manifest with bad lines",
        ),
        pytest.param(["a.png"], "file,class\n", ["needs the columns path and label"], id="manifest columns"),
    ],
)
def test_refusals(folder, names, manifest, parts):
    root = folder(*names, **({"manifest": manifest} if manifest else {}))
    with pytest.raises(DataError) as caught:
        labelled_folder.read(root)
    assert all(part in str(caught.value) for part in parts)


def test_a_missing_folder_and_a_symlink_loop(folder, tmp_path):
    with pytest.raises(DataError, match="is not a folder"):
        labelled_folder.read(tmp_path / "none")
    root = folder("good/a.png", "defect/b.png")
    (root / "good" / "loop").symlink_to(root)
    assert len(labels_of(root)) == 2


@pytest.mark.skipif(not (REAL / "ksdd_half").is_dir(), reason="the real images are not at hand")
def test_real_ksdd2_layout_is_never_calibrated_on_test_by_default():
    with pytest.raises(DataError, match=r"no split 'val', only test .192 images., train .191 images."):
        labelled_folder.read(REAL / "ksdd_half")
    by_manifest = labelled_folder.read(REAL / "ksdd_half", "train").images
    assert [image.label for image in by_manifest].count(1) == 25
    by_mask = labelled_folder.read(REAL / "ksdd_half" / "train").images  # no manifest here: mask pairs
    assert [(i.path, i.label) for i in by_mask] == [(i.path, i.label) for i in by_manifest]
