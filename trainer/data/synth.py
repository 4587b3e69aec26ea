"""A labelled surface set drawn from nothing: for the demo, for tests, and to try a line before it has images."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from inspector.errors import DataError
from trainer.data import defects
from trainer.data.newfolder import new_folder, write_png
from trainer.data.samples import Split
from trainer.data.surfaces import surface

Mono = npt.NDArray[np.uint8]
_SHARES: dict[Split, float] = {"train": 0.6, "val": 0.2, "test": 0.2}
_CONTRAST = {"scratch": (1.8, 6.0), "crack": (2.2, 6.5), "pit": (1.8, 6.0), "stain": (1.0, 3.0)}
_LEAST_LEVELS = 10.0
_MASKED_FROM = 0.25
_SMALLEST_PIXELS = 6


def synthesise(
    output: Path, n_good: int, n_defect: int, width: int, height: int, seed: int, contrast: float = 1.0
) -> None:
    """Write `images/`, `masks/` and `manifest.csv` (path, label, split, group, mask, defect_type) into a new folder.

    Brushed metal under uneven light, with brush streaks, dust and smudges on every image; defects are scratches,
    cracks, pits and stains in equal numbers, from plain to hard to see. Every image is its own group. Splits are
    60/20/20 within the good images and within each kind of defect. The same arguments give the same bytes.

    Args:
        output: a folder that does not exist or is empty; it appears when everything is written.
        n_good, n_defect: number of images of each class.
        width, height: pixels, 32..8192.
        seed: at least 0.
        contrast: times the defects' usual strength; 1 needs a pre-trained network, 3 is plain to one that is not.

    Raises:
        DataError: arguments out of range, or `output` is not empty.
        SinkError: the disk refuses.
    """
    if n_good < 0 or n_defect < 0 or n_good + n_defect == 0:
        raise DataError(f"{n_good} good and {n_defect} defect images asked for: ask for at least one, none negative")
    if not (32 <= width <= 8192 and 32 <= height <= 8192):
        raise DataError(f"{width} x {height} pixels asked for: each side must be within 32..8192")
    if seed < 0:
        raise DataError(f"seed {seed} is negative: choose 0 or more")
    if not 0.1 <= contrast <= 10:
        raise DataError(f"contrast {contrast:g} asked for: it must be within 0.1..10")
    kinds = _kinds(n_good, n_defect, np.random.default_rng([seed, 0]))
    splits = _splits(kinds, np.random.default_rng([seed, 1]))
    digits = max(5, len(str(len(kinds))))
    with new_folder(output) as folder:
        (folder / "images").mkdir()
        (folder / "masks").mkdir()
        rows = []
        for number, (kind, split) in enumerate(zip(kinds, splits, strict=True)):
            name = f"{number:0{digits}d}.png"
            pixels, mask = draw(kind, height, width, np.random.SeedSequence([seed, 2, number]), contrast)
            write_png(folder / "images" / name, pixels)
            if kind:
                write_png(folder / "masks" / name, mask)
            rows.append((f"images/{name}", int(bool(kind)), split, name[:-4], f"masks/{name}" if kind else "", kind))
        with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as handle:
            table = csv.writer(handle)
            table.writerow(("path", "label", "split", "group", "mask", "defect_type"))
            table.writerows(rows)


def draw(kind: str, height: int, width: int, seed: np.random.SeedSequence, contrast: float = 1.0) -> tuple[Mono, Mono]:
    """Draw one image and its defect mask (255 = defect).

    The surface depends on `seed` and the size alone: with `kind` empty it is the same picture without its defect.

    Args:
        kind: a kind of `trainer.data.defects`, or empty for a good image.
        height, width: pixels.
        seed: fixes the image.
        contrast: times the defect's usual strength.

    Returns:
        `(height, width)` uint8 pixels, and the mask of the same shape, all 0 for a good image.
    """
    below, above, sensor = (np.random.Generator(np.random.Philox(child)) for child in seed.spawn(3))
    picture, direction, strength = surface(height, width, below)
    noise = sensor.uniform(1, 2.5) * sensor.standard_normal((height, width), np.float32)
    mask = np.zeros((height, width), np.uint8)
    if kind:
        while np.count_nonzero(mask) < _SMALLEST_PIXELS:
            profile = defects.profile(kind, height, width, direction, above)
            mask = np.where(np.abs(profile) >= _MASKED_FROM, np.uint8(255), np.uint8(0))
        picture = picture + max(_LEAST_LEVELS, contrast * strength * above.uniform(*_CONTRAST[kind])) * profile
    return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8), mask


def _kinds(n_good: int, n_defect: int, rng: np.random.Generator) -> list[str]:
    """The kind of each image, empty for good ones, in random order."""
    names = list(defects.KINDS)
    kinds = [""] * n_good + [names[i % len(names)] for i in range(n_defect)]
    return [kinds[i] for i in rng.permutation(len(kinds))]


def _splits(kinds: Sequence[str], rng: np.random.Generator) -> list[Split]:
    """A split for each image: 60/20/20 within every kind, the rounding carried over from kind to kind."""
    order = sorted(rng.permutation(len(kinds)), key=lambda i: kinds[i])
    splits: list[Split] = ["train"] * len(kinds)
    given = dict.fromkeys(_SHARES, 0)
    for i in order:
        total = sum(given.values()) + 1
        split = max(_SHARES, key=lambda name: _SHARES[name] * total - given[name])
        given[split] += 1
        splits[i] = split
    return splits
