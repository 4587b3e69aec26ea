"""Each layout, drawn small: what is read, what is left out, what is refused."""

import re
from collections import Counter

import pytest

from inspector.errors import DataError
from trainer.data.readers import READERS, read

# Per case: files to draw (name -> None for an image, True/False for a marked/empty mask), and what must be read:
# path -> (label, split, group, mask, defect type).
LAYOUTS = {
    "ksdd2": (
        "ksdd2",
        {
            "train/10000.png": None,
            "train/10000_GT.png": False,
            "train/10301.png": None,
            "train/10301_GT.png": True,
            "train/10301 (copy).png": None,
            "train/10301_GT (copy).png": True,
            "test/20000.png": None,
            "test/20000_GT.png": True,
        },
        {
            "train/10000.png": (0, "train", "", "train/10000_GT.png", ""),
            "train/10301.png": (1, "train", "", "train/10301_GT.png", ""),
            "test/20000.png": (1, "test", "", "test/20000_GT.png", ""),
        },
    ),
    "ksdd2, test alone": (
        "ksdd2",
        {"test/20000.png": None, "test/20000_GT.png": False},
        {"test/20000.png": (0, "test", "", "test/20000_GT.png", "")},
    ),
    "ksdd": (
        "ksdd",
        {
            "kos01/Part0.jpg": None,
            "kos01/Part0_label.bmp": False,
            "kos01/Part5.jpg": None,
            "kos01/Part5_label.bmp": True,
            "kos12/Part0.jpg": None,
            "kos12/Part0_label.bmp": False,
        },
        {
            "kos01/Part0.jpg": (0, "", "kos01", "kos01/Part0_label.bmp", ""),
            "kos01/Part5.jpg": (1, "", "kos01", "kos01/Part5_label.bmp", ""),
            "kos12/Part0.jpg": (0, "", "kos12", "kos12/Part0_label.bmp", ""),
        },
    ),
    "mvtec": (
        "mvtec",
        {
            "train/good/000.png": None,
            "test/good/000.png": None,
            "test/crack/000.png": None,
            "test/crack/001.png": None,
            "ground_truth/crack/000_mask.png": True,
        },
        {
            "train/good/000.png": (0, "train", "", None, ""),
            "test/good/000.png": (0, "test", "", None, ""),
            "test/crack/000.png": (1, "test", "", "ground_truth/crack/000_mask.png", "crack"),
            "test/crack/001.png": (1, "test", "", None, "crack"),
        },
    ),
    "folders": (
        "folders",
        {
            "good/a.webp": None,
            "good/deep/b.tiff": None,
            "defect/c.jpg": None,
            "defect/c_mask.png": True,
            "defect/scratch/d.bmp": None,
            "defect/scratch/d_GT.png": True,
            "elsewhere/e.png": None,
            "good/.hidden.png": None,
        },
        {
            "good/a.webp": (0, "", "", None, ""),
            "good/deep/b.tiff": (0, "", "", None, ""),
            "defect/c.jpg": (1, "", "", "defect/c_mask.png", ""),
            "defect/scratch/d.bmp": (1, "", "", "defect/scratch/d_GT.png", "scratch"),
        },
    ),
    "folders, other words, split": (
        "folders",
        {"Train/OK/a.png": None, "Train/NG/b.png": None, "valid/normal/c.png": None, "test/anomaly/d.png": None},
        {
            "Train/OK/a.png": (0, "train", "", None, ""),
            "Train/NG/b.png": (1, "train", "", None, ""),
            "valid/normal/c.png": (0, "val", "", None, ""),
            "test/anomaly/d.png": (1, "test", "", None, ""),
        },
    ),
    "train/good and test/defect are folders, not mvtec": (
        "folders",
        {"train/good/a.png": None, "train/defect/b.png": None, "test/good/c.png": None, "test/defect/d.png": None},
        {
            "train/good/a.png": (0, "train", "", None, ""),
            "train/defect/b.png": (1, "train", "", None, ""),
            "test/good/c.png": (0, "test", "", None, ""),
            "test/defect/d.png": (1, "test", "", None, ""),
        },
    ),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_layout_is_recognised_and_read(case, draw, tmp_path):
    layout, files, expected = LAYOUTS[case]
    for name, marked in files.items():
        draw(name, marked=marked)
    dataset = read(tmp_path)
    assert (dataset.layout, dataset.root) == (layout, tmp_path)
    assert [s.path for s in dataset.samples] == sorted(s.path for s in dataset.samples)
    found = {
        s.path.relative_to(tmp_path).as_posix(): (
            s.label,
            s.split,
            s.group,
            s.mask and s.mask.relative_to(tmp_path).as_posix(),
            s.defect_type,
        )
        for s in dataset.samples
    }
    assert found == expected
    assert read(tmp_path, layout).samples == dataset.samples


@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param(
            {"train/1.png": None, "train/1_GT.png": True, "train/2.png": None}, r"2\.png: no 2_GT", id="ksdd2"
        ),
        pytest.param({"kos01/Part1.jpg": None, "kos01/Part2_label.bmp": True}, "Part1.jpg: no Part1_label", id="ksdd"),
        pytest.param({"pictures/a.png": None}, "none of the known layouts", id="no layout"),
        pytest.param(
            {"set/good/a.png": None, "set/bad/b.png": None}, "one level down there is one: set", id="too high"
        ),
        pytest.param({"good/a_mask.png": True}, "no labelled images", id="masks only"),
    ],
)
def test_refused(files, message, draw, tmp_path):
    for name, marked in files.items():
        draw(name, marked=marked)
    with pytest.raises(DataError, match=message):
        read(tmp_path)


def test_missing_root_names_the_commands_that_make_data(tmp_path):
    with pytest.raises(DataError, match="does not exist") as caught:
        read(tmp_path / "nowhere")
    assert "inandout-train data fetch ksdd2" in str(caught.value)
    assert "inandout-train data synth" in str(caught.value)


def test_unknown_layout(tmp_path):
    with pytest.raises(DataError, match=re.escape(f"unknown layout 'coco': use auto, {', '.join(READERS)}")):
        read(tmp_path, "coco")


def test_all_broken_masks_are_reported_at_once(draw, tmp_path):
    for number in (1, 2, 3):
        draw(f"train/{number}.png")
        draw(f"train/{number}_GT.png", marked=False)
    (tmp_path / "train/1_GT.png").write_bytes(b"")
    (tmp_path / "train/3_GT.png").write_bytes(b"not a picture")
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert "1_GT.png" in str(caught.value)
    assert "3_GT.png" in str(caught.value)
    assert "2_GT.png" not in str(caught.value)


def test_resplit_forgets_the_published_split(draw, tmp_path):
    for name in ("train/good/0.png", "test/good/0.png", "test/crack/0.png"):
        draw(name)
    assert [s.split for s in read(tmp_path, resplit=True).samples] == ["", "", ""]


def test_a_link_in_circles_and_a_folder_named_like_an_image(draw, tmp_path):
    draw("good/x.png/a.png")
    draw("defect/b.png")
    (tmp_path / "good/again").symlink_to(tmp_path / "good")
    assert [s.path.name for s in read(tmp_path).samples] == ["b.png", "a.png"]


@pytest.mark.parametrize(
    ("name", "layout", "counts", "groups"),
    [
        ("ksdd_half", "auto", {("train", 0): 166, ("train", 1): 25, ("test", 0): 167, ("test", 1): 25}, 48),
        ("ksdd_half", "ksdd2", {("train", 0): 166, ("train", 1): 25, ("test", 0): 167, ("test", 1): 25}, 0),
        (
            "magnetic_tile",
            "auto",
            {
                ("train", 0): 499,
                ("train", 1): 173,
                ("val", 0): 131,
                ("val", 1): 72,
                ("test", 0): 322,
                ("test", 1): 147,
            },
            440,
        ),
    ],
)
def test_real_sets(name, layout, counts, groups, shared):
    dataset = read(shared(name), layout)
    assert dataset.layout == ("manifest" if layout == "auto" else layout)
    assert Counter((s.split, s.label) for s in dataset.samples) == counts
    assert len({s.group for s in dataset.samples} - {""}) == groups
    assert all(s.mask is not None and s.mask.is_file() for s in dataset.samples)
