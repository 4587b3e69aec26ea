"""Pixel average precision and AUPRO of a bundle's maps against the defect masks of the images it was tested on.

    python benchmarks/pixel_ap.py --data DATA --bundle RUN/bundle

The edge runtime's maps are enlarged bilinearly to the model's input size, and the masks are fitted to that size as
the pictures are; a pixel that a defect touches counts as defective. Pixels of all images are pooled, those of good
images as good ones. A defect without a mask, or whose mask is empty, tells nothing and is left out. The images of the
split are those that the bundle's `scores.csv` names. Masks are read for measuring alone.
"""

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from sklearn.metrics import auc, average_precision_score, roc_curve

from inspector import bundle, imagefile, preprocess
from inspector.backends.onnxruntime import OnnxRuntimeBackend
from inspector.bundle import Bundle
from inspector.preprocess import InputSpec
from trainer.data import readers
from trainer.training_set import fitted_mask

FALSE_POSITIVES = 0.3

Mask = npt.NDArray[np.bool_]
Map = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Image:
    """An image to measure on; `mask (H, W)` is that of a defect at the model's input size, None of a good image."""

    path: Path
    mask: Mask | None


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """Pixels of all images in a row, `(n,)` each.

    Attributes:
        logits: the map there.
        defect: whether it lies on a defect.
        weight: pixels of the images that it stands for; above 1 where only some of the good pixels were kept.
        share: of its region, so that each region of defective pixels has 1 in all; 0 off the defects.
    """

    logits: npt.NDArray[np.float32]
    defect: npt.NDArray[np.bool_]
    weight: npt.NDArray[np.float32]
    share: npt.NDArray[np.float32]


def images_of(loaded: Bundle, data: Path, split: str) -> tuple[list[Image], int]:
    """The real images of a split, and how many defects were left out for want of a mask."""
    layout = loaded.manifest.provenance.get("data", {}).get("layout", "auto")
    dataset = readers.read(data.absolute(), layout)
    masks = {sample.path.relative_to(dataset.root).as_posix(): sample.mask for sample in dataset.samples}
    with (loaded.folder / "scores.csv").open(newline="", encoding="utf-8") as handle:
        rows = [row for row in csv.DictReader(handle) if row["split"] == split]
    found, bare = [], 0
    for row in rows:
        name = row["path"]
        if name.startswith("synthetic:"):
            continue
        if name not in masks:
            raise SystemExit(
                f"{data} has no {name}, which {loaded.path} was judged on: give the data it was built from"
            )
        if row["label"] == "0":
            found.append(Image(dataset.root / name, None))
            continue
        stored = masks[name]
        mask = None if stored is None else fitted_mask(stored, loaded.manifest.input) > 0
        if mask is None or not mask.any():
            bare += 1
        else:
            found.append(Image(dataset.root / name, mask))
    return found, bare


def enlarged(backend: OnnxRuntimeBackend, path: Path, spec: InputSpec) -> Map:
    """An image's map at the model's input size."""
    cam = backend.run(preprocess.fit(imagefile.read(path), spec)[None])[1][0]
    return cv2.resize(cam, (spec.width, spec.height), interpolation=cv2.INTER_LINEAR).astype(np.float32, copy=False)


def region_shares(mask: Mask) -> tuple[npt.NDArray[np.float32], int]:
    """Of each defective pixel, in order, one over its region's pixels; and the number of regions (8 neighbours)."""
    count, regions = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    return (1 / np.bincount(regions.ravel(), minlength=count))[regions[mask]].astype(np.float32), count - 1


def pixels_of(cam: Map, mask: Mask | None, keep: float, rng: np.random.Generator) -> Pixels:
    """One image's pixels: all defective ones, and each good one with the probability `keep`."""
    defect = np.zeros(cam.shape, bool) if mask is None else mask
    good = cam[~defect]
    if keep < 1:
        good = good[rng.random(len(good), np.float32) < keep]
    bad, shares = cam[defect], region_shares(defect)[0]
    return Pixels(
        logits=np.concatenate([bad, good]),
        defect=np.repeat([True, False], [len(bad), len(good)]),
        weight=np.repeat(np.array([1, 1 / keep], np.float32), [len(bad), len(good)]),
        share=np.concatenate([shares, np.zeros(len(good), np.float32)]),
    )


def pooled(parts: Sequence[Pixels]) -> Pixels:
    """All images' pixels in a row."""
    return Pixels(*(np.concatenate([getattr(part, name) for part in parts]) for name in Pixels.__slots__))


def pixel_ap(pixels: Pixels) -> float:
    """Average precision over pixels."""
    return float(average_precision_score(pixels.defect, pixels.logits, sample_weight=pixels.weight))


def aupro(pixels: Pixels, limit: float = FALSE_POSITIVES) -> float:
    """Area under the mean share of a region that is found, over the share of good pixels that are taken for defects.

    Up to the share `limit` of good pixels, divided by it, so that 1 is best. The mean over regions is a true positive
    rate in which a pixel weighs one over its region's size.

    Source: Bergmann et al., The MVTec Anomaly Detection Dataset, IJCV 2021.
    """
    weight = np.where(pixels.defect, pixels.share, pixels.weight)
    false, found, _ = roc_curve(pixels.defect, pixels.logits, sample_weight=weight)
    inside = false < limit
    end = np.interp(limit, false, found)
    return float(auc(np.append(false[inside], limit), np.append(found[inside], end)) / limit)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder that the bundle was built from")
    parser.add_argument("--bundle", type=Path, default=Path("runs/latest"))
    parser.add_argument("--split", choices=["test", "val"], default="test")
    parser.add_argument("--pixels", type=int, default=20_000_000, help="good pixels kept at most, drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="of that draw")
    options = parser.parse_args()
    loaded = bundle.load(options.bundle)
    images, bare = images_of(loaded, options.data, options.split)
    masks = [image.mask for image in images if image.mask is not None]
    good = len(images) - len(masks)
    print(f"{options.split}: {good} good images, {len(masks)} defects with a mask, {bare} without one left out")
    if not masks or not good:
        raise SystemExit("pixel figures need good images and defects with a mask")
    spec = loaded.manifest.input
    on_defects = sum(int(mask.sum()) for mask in masks)
    total = len(images) * spec.width * spec.height
    keep = min(1.0, options.pixels / (total - on_defects))
    backend, rng = OnnxRuntimeBackend(loaded.model_path()), np.random.default_rng(options.seed)
    pixels = pooled([pixels_of(enlarged(backend, image.path, spec), image.mask, keep, rng) for image in images])
    regions = sum(region_shares(mask)[1] for mask in masks)
    kept = "all good pixels" if keep == 1 else f"{keep:.1%} of the good pixels, seed {options.seed}"
    print(f"{spec.width} x {spec.height}, {total} pixels, {on_defects} of them in {regions} regions; {kept}")
    print(f"pixel AP         {pixel_ap(pixels):.4f}   (a map without information: {on_defects / total:.4f})")
    print(
        f"AUPRO to {FALSE_POSITIVES:.0%}     {aupro(pixels):.4f}   (a map without information: {FALSE_POSITIVES / 2})"
    )


if __name__ == "__main__":
    main()
