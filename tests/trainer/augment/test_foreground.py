import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from inspector import imagefile, preprocess
from trainer.augment.foreground import foreground

H, W = 300, 200
Y, X = np.mgrid[:H, :W]
DISC = np.hypot(Y - 150, X - 100) < 70
RING = DISC & (np.hypot(Y - 150, X - 100) > 30)
ROD = np.abs(X - 100) < 40
DATA = Path(__file__).resolve().parents[4] / "shared" / "data"


def _picture(inside, part, background, noise=3.0):
    rng = np.random.default_rng(0)
    part, background = (
        np.broadcast_to(np.atleast_3d(np.asarray(value, float)), (H, W, 3)) for value in (part, background)
    )
    return np.clip(np.where(inside[..., None], part, background) + rng.normal(0, noise, (H, W, 3)), 0, 255).astype(
        np.uint8
    )


@pytest.mark.parametrize(
    ("picture", "part"),
    [
        pytest.param(_picture(DISC, 180, 30), DISC, id="bright on dark"),
        pytest.param(_picture(DISC, 40, 220), DISC, id="dark on bright"),
        pytest.param(_picture(DISC, np.random.default_rng(1).normal(120, 35, (H, W)), 30), DISC, id="grainy part"),
        pytest.param(_picture(DISC, np.where(X < 100, 20, 240), 128), DISC, id="part darker and brighter"),
        pytest.param(_picture(DISC, [[[200, 60, 100]]], [[[100, 110, 100]]]), DISC, id="told by colour alone"),
        pytest.param(_picture(DISC, 200, 30 + X / W * 25), DISC, id="shaded background"),
        pytest.param(_picture(RING, 200, 30), DISC, id="hole belongs to the part"),
        pytest.param(_picture(ROD, 200, 30), ROD, id="rod from edge to edge"),
        pytest.param(cv2.resize(_picture(DISC, 200, 30), (32, 48)), cv2.resize(DISC * 1.0, (32, 48)) > 0.5, id="tiny"),
    ],
)
def test_part_on_a_plain_background_is_found(picture, part):
    mask = foreground(picture)
    assert mask.dtype == np.uint8
    assert set(np.unique(mask)) == {0, 255}
    assert np.count_nonzero((mask > 0) & part) / np.count_nonzero((mask > 0) | part) > 0.95


@pytest.mark.parametrize(
    "picture",
    [
        pytest.param(np.full((H, W, 3), 90, np.uint8), id="one tone"),
        pytest.param(_picture(DISC, 120, 120, noise=25), id="grain"),
        pytest.param(_picture(DISC, X / W * 255, X / W * 255), id="light from one side"),
        pytest.param(_picture(DISC, *[255 - np.hypot(Y - 150, X - 100)] * 2), id="vignette"),
        pytest.param(_picture((X < 14) & (np.abs(Y - 150) < 60), 255, 120, noise=12), id="glare at the edge"),
        pytest.param(_picture(DISC, *[40 + 180 * np.exp(-((np.hypot(Y - 150, X - 100) / 50) ** 2))] * 2), id="glow"),
        pytest.param(_picture(DISC, 240, 40 + 50 * (Y // 15 % 3)), id="striped surface with a disc"),
        pytest.param(_picture(X < 60, 40, 160), id="dark side strip"),
        pytest.param(_picture(np.hypot(Y - 150, X - 100) < 25, 200, 100), id="small mark on a plain sheet"),
        pytest.param(np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8), id="smallest"),
    ],
)
def test_surface_is_all_foreground(picture):
    assert foreground(picture).all()


@pytest.mark.parametrize(("name", "width", "height"), [("ksdd_half", 200, 600), ("magnetic_tile", 224, 288)])
def test_real_surfaces_are_all_foreground(name, width, height):
    if not (DATA / name).is_dir():
        pytest.skip(f"the real images of {name} are not at hand")
    with (DATA / name / "manifest.csv").open(newline="") as handle:
        rows = [row for row in csv.DictReader(handle) if row["split"] == "train" and row["label"] == "0"][::10]
    spec = preprocess.InputSpec(width=width, height=height)
    whole = [foreground(preprocess.fit(imagefile.read(DATA / name / row["path"]), spec)).all() for row in rows]
    assert len(whole) > 10
    assert all(whole)
