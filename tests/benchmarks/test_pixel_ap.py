"""Pixel figures against scikit-learn on plain arrays, and against the definition counted region by region."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("pixel_ap", ROOT / "benchmarks" / "pixel_ap.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["pixel_ap"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["pixel_ap"]


def scene(seed=0):
    """Three maps of 40 x 60 with ties; the first two show a large and a small region each, the last is good."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((3, 40, 60), bool)
    masks[0, 3:20, 5:30] = masks[0, 30:33, 50:53] = masks[1, 10:12, 10:40] = masks[1, 35:39, 2:4] = True
    maps = np.round(rng.normal(size=masks.shape) + 1.5 * masks, 1).astype(np.float32)
    return maps, masks


def pooled(benchmark, maps, masks, keep=1.0, seed=0):
    rng = np.random.default_rng(seed)
    truths = [mask if mask.any() else None for mask in masks]
    parts = [benchmark.pixels_of(cam, mask, keep, rng) for cam, mask in zip(maps, truths, strict=True)]
    return benchmark.pooled(parts)


def test_pixel_ap_is_that_of_all_pixels_together(benchmark):
    maps, masks = scene()
    expected = average_precision_score(masks.ravel(), maps.ravel())
    assert benchmark.pixel_ap(pooled(benchmark, maps, masks)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("limit", [0.05, 0.3, 1.0])
def test_aupro_is_the_area_by_its_definition(benchmark, limit):
    maps, masks = scene()
    regions = [cv2.connectedComponents(mask.astype(np.uint8))[1] for mask in masks]
    false, overlap = [0.0], [0.0]
    for threshold in sorted(np.unique(maps), reverse=True):
        false.append((maps[~masks] >= threshold).mean())
        each = [(maps[i] >= threshold)[r == k].mean() for i, r in enumerate(regions) for k in range(1, r.max() + 1)]
        assert len(each) == 4
        overlap.append(np.mean(each))
    grid = np.linspace(0, limit, 20_001)
    expected = np.interp(grid, false, overlap).mean()
    assert benchmark.aupro(pooled(benchmark, maps, masks), limit) == pytest.approx(expected, abs=1e-4)


def test_a_part_of_the_good_pixels_gives_the_same_figures_on_average(benchmark):
    maps, masks = scene()
    whole = pooled(benchmark, maps, masks)
    parts = [pooled(benchmark, maps, masks, keep=0.3, seed=seed) for seed in range(40)]
    assert all(len(part.logits) < 0.5 * len(whole.logits) for part in parts)
    for measure in (benchmark.pixel_ap, benchmark.aupro):
        assert np.mean([measure(part) for part in parts]) == pytest.approx(measure(whole), abs=0.01)


def picture(path, darkest=None, mask=None):
    pixels = np.full((48, 32), 220, np.uint8)
    if darkest is not None:
        pixels[16:24, 8:16] = darkest
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels)
    if mask is not None:
        marked = np.zeros((48, 32), np.uint8)
        marked[mask] = 255
        cv2.imwrite(str(path.with_name(f"{path.stem}_mask.png")), marked)


def test_a_bundle_is_measured_on_its_test_images(tiny_bundle, tmp_path):
    """The tiny bundle's map is highest on the dark patch, which the mask of one defect marks."""
    data = tmp_path / "data"
    picture(data / "good" / "a.png")
    picture(data / "good" / "b.png", darkest=180)
    picture(data / "defect" / "c.png", 0, np.s_[16:24, 8:16])
    picture(data / "defect" / "empty.png", 0, np.s_[0:0, 0:0])
    picture(data / "defect" / "bare.png", 0)
    picture(data / "defect" / "learned.png", 0, np.s_[0:4, 0:4])
    lines = ["good/a.png,0,test", "good/b.png,0,test", "defect/c.png,1,test", "defect/empty.png,1,test"]
    lines += ["defect/bare.png,1,test", "defect/learned.png,1,val", "synthetic:mix/0.png,1,val"]
    tiny_bundle(texts={"scores.csv": "\n".join(["path,label,split", *lines])})
    command = [sys.executable, "benchmarks/pixel_ap.py", "--data", str(data), "--bundle", str(tmp_path / "bundle")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first, second, ap, aupro = done.stdout.splitlines()
    assert first == "test: 2 good images, 1 defects with a mask, 2 without one left out"
    assert second == "32 x 48, 4608 pixels, 64 of them in 1 regions; all good pixels"
    cams = torch.full((3, 1, 6, 4), 10 * (0.5 - 220 / 255))
    cams[1, 0, 2, 1], cams[2, 0, 2, 1] = 10 * (0.5 - 180 / 255), 5.0
    maps = torch.nn.functional.interpolate(cams, (48, 32), mode="bilinear").numpy()
    truth = np.zeros(maps.shape, bool)
    truth[2, 0, 16:24, 8:16] = True
    expected = average_precision_score(truth.ravel(), maps.ravel())
    assert float(ap.split()[2]) == pytest.approx(expected, abs=2e-3)  # rounding settles ties
    assert float(aupro.split()[3]) == pytest.approx(1, abs=0.01)
