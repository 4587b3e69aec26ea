import csv
import errno
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from inspector.errors import DataError, SinkError
from trainer.data import defects, readers, synth


def _rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "manifest.csv").open(newline="") as handle:
        return list(csv.DictReader(handle))


def _bytes(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("synth") / "set"
    synth.synthesise(folder, n_good=40, n_defect=20, width=64, height=96, seed=4)
    return folder


@pytest.fixture(scope="module")
def drawn() -> list[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """Kind, pixels, mask, and the pixels of the same surface without its defect; 160 images of 100 x 300."""
    kinds = [kind for kind in ("", *defects.KINDS) for _ in range(80 if not kind else 20)]
    images = []
    for number, kind in enumerate(kinds):
        pixels, mask = synth.draw(kind, 300, 100, np.random.SeedSequence([1, number]))
        images.append((kind, pixels, mask, synth.draw("", 300, 100, np.random.SeedSequence([1, number]))[0]))
    return images


def test_manifest_lists_every_file_with_its_label(made):
    rows = _rows(made)
    assert list(rows[0]) == ["path", "label", "split", "group", "mask", "defect_type"]
    assert Counter(row["label"] for row in rows) == {"0": 40, "1": 20}
    assert {p.name for p in (made / "images").iterdir()} == {Path(row["path"]).name for row in rows}
    assert {p.name for p in (made / "masks").iterdir()} == {Path(row["mask"]).name for row in rows if row["mask"]}
    for row in rows:
        pixels = cv2.imread(str(made / row["path"]), cv2.IMREAD_UNCHANGED)
        assert (pixels.shape, pixels.dtype) == ((96, 64), np.uint8)
        assert (row["label"] == "1") == bool(row["mask"]) == bool(row["defect_type"])
        if row["mask"]:
            mask = cv2.imread(str(made / row["mask"]), cv2.IMREAD_UNCHANGED)
            assert mask.shape == (96, 64)
            assert set(np.unique(mask)) == {0, 255}


def test_splits_are_stratified(made):
    counts = Counter((row["split"], row["defect_type"]) for row in _rows(made))
    expected = {("train", ""): 24, ("val", ""): 8, ("test", ""): 8}
    for kind in ("scratch", "crack", "pit", "stain"):
        expected |= {("train", kind): 3, ("val", kind): 1, ("test", kind): 1}
    assert counts == expected


def test_names_do_not_give_the_class_away(made):
    labels = [row["label"] for row in sorted(_rows(made), key=lambda row: row["path"])]
    assert "1" in labels[:20] and "0" in labels[-20:]


def test_readers_read_it(made):
    data = readers.read(made)
    assert data.layout == "manifest"
    assert sum(sample.label for sample in data.samples) == 20
    assert all(sample.mask is not None for sample in data.samples if sample.label)


def test_the_seed_alone_fixes_the_bytes(made, tmp_path):
    synth.synthesise(tmp_path / "again", n_good=40, n_defect=20, width=64, height=96, seed=4)
    synth.synthesise(tmp_path / "other", n_good=40, n_defect=20, width=64, height=96, seed=5)
    again, other, first = _bytes(tmp_path / "again"), _bytes(tmp_path / "other"), _bytes(made)
    assert again == first
    assert all(other[name] != first[name] for name in other if name.startswith("images"))


@pytest.mark.parametrize(
    "statistic",
    [
        pytest.param(np.mean, id="mean"),
        pytest.param(np.std, id="std"),
        pytest.param(np.min, id="darkest"),
        pytest.param(np.max, id="brightest"),
        pytest.param(lambda a: np.abs(np.diff(a, axis=0)).max(), id="largest vertical step"),
        pytest.param(lambda a: np.abs(np.diff(a, axis=1)).max(), id="largest horizontal step"),
        pytest.param(
            lambda a: np.hypot(cv2.Sobel(a, cv2.CV_32F, 1, 0), cv2.Sobel(a, cv2.CV_32F, 0, 1)).max(), id="gradient"
        ),
        pytest.param(lambda a: cv2.Laplacian(a, cv2.CV_32F).std(), id="sharpness"),
    ],
)
def test_no_simple_statistic_tells_the_classes_apart(drawn, statistic):
    labels = [int(bool(kind)) for kind, *_ in drawn]
    area = roc_auc_score(labels, [float(statistic(pixels.astype(np.float32))) for _, pixels, *_ in drawn])
    assert 0.25 < area < 0.75


def test_masks_mark_what_was_added(drawn):
    for kind, pixels, mask, without in drawn:
        change = np.abs(pixels.astype(int) - without)
        if not kind:
            assert not mask.any() and not change.any()
            continue
        inside = mask > 0
        assert 6 <= np.count_nonzero(inside) <= 0.35 * inside.size
        near = cv2.dilate(mask, np.ones((9, 9), np.uint8)) > 0
        assert change[inside].mean() >= 5, kind
        assert change[~inside].max() <= 0.3 * change[inside].max() + 2, kind
        if kind != "stain":
            assert not change[~near].any(), kind


def test_contrast_ranges_from_faint_to_plain(drawn):
    for kind in defects.KINDS:
        changes = [np.abs(p.astype(int) - w)[m > 0].mean() for k, p, m, w in drawn if k == kind]
        assert max(changes) > 2 * min(changes), kind


@pytest.mark.parametrize("kind", list(defects.KINDS))
@pytest.mark.parametrize(("height", "width"), [(32, 32), (40, 300), (700, 250)], ids=str)
def test_profiles_fit_any_size(kind, height, width):
    for seed in range(5):
        profile = defects.profile(kind, height, width, 10.0, np.random.default_rng(seed))
        assert profile.shape == (height, width)
        assert np.abs(profile).max() == pytest.approx(1)
        assert (profile == 0).any()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        pytest.param({"n_good": 0, "n_defect": 0}, "at least one", id="nothing"),
        pytest.param({"n_good": -1}, "none negative", id="negative"),
        pytest.param({"width": 31}, "32..8192", id="narrow"),
        pytest.param({"height": 9000}, "32..8192", id="high"),
        pytest.param({"seed": -1}, "seed -1", id="seed"),
    ],
)
def test_arguments_out_of_range_are_refused(tmp_path, options, says):
    arguments = {"n_good": 1, "n_defect": 1, "width": 32, "height": 32, "seed": 0} | options
    with pytest.raises(DataError, match=says):
        synth.synthesise(tmp_path / "set", **arguments)
    assert not list(tmp_path.iterdir())


def test_one_class_alone_can_be_made(tmp_path):
    synth.synthesise(tmp_path / "good", 5, 0, 32, 32, 0)
    assert {row["label"] for row in _rows(tmp_path / "good")} == {"0"}
    synth.synthesise(tmp_path / "bad", 0, 5, 32, 32, 0)
    assert Counter(row["split"] for row in _rows(tmp_path / "bad")) == {"train": 3, "val": 1, "test": 1}


def test_nothing_is_left_when_the_disk_is_full(tmp_path, monkeypatch):
    written = []

    def full(path, pixels):
        written.append(path)
        if len(written) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        path.write_bytes(b"x")

    monkeypatch.setattr(synth, "write_png", full)
    with pytest.raises(SinkError, match="No space left"):
        synth.synthesise(tmp_path / "set", 5, 5, 32, 32, 0)
    assert len(written) == 3
    assert not list(tmp_path.iterdir())


def test_contrast_strengthens_the_defect_alone():
    plain, usual, strong = (
        synth.draw(kind, 96, 64, np.random.SeedSequence(3), contrast)[0].astype(int)
        for kind, contrast in (("", 1.0), ("crack", 1.0), ("crack", 3.0))
    )
    mask = synth.draw("crack", 96, 64, np.random.SeedSequence(3))[1] > 0
    assert np.abs(strong - plain)[mask].mean() > 2 * np.abs(usual - plain)[mask].mean()
    assert np.mean(strong == plain) > 0.9
