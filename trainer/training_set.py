"""Training images as a stream of draws: which image, in which order and how mirrored depends on the seed alone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from inspector import imagefile, preprocess
from inspector.preprocess import InputSpec
from trainer import pixel_truth


@dataclass(frozen=True, slots=True)
class TrainingImage:
    """An image to learn from.

    Attributes:
        label: 0 good, 1 defect.
        synthetic: whether it was generated.
        mask: file that is non-zero on the defect, of any size with the image's crop; None where nobody knows.
    """

    path: Path
    label: int
    synthetic: bool = False
    mask: Path | None = None


@dataclass(frozen=True, slots=True)
class Draw:
    """One use of one image: `index` into the images at `position` of `epoch`."""

    epoch: int
    position: int
    index: int


def real_share(real: int, synthetic_worth: float) -> float:
    """The part of the drawn defects that is real, where all synthetic ones together count as so many real ones."""
    return real / (real + synthetic_worth)


def order(
    labels: Sequence[int],
    defect_share: float | None,
    seed: int,
    epoch: int,
    synthetic: Sequence[bool] | None = None,
    synthetic_worth: float | None = None,
) -> list[Draw]:
    """The draws of one epoch: every good image once, defects repeated evenly up to `defect_share` of the epoch.

    Where real and synthetic defects meet, `real_share` of those drawn are real: synthetic ones stand in for what a few
    real ones cannot show, and step back as these become many. Real defects are never dropped; of the synthetic ones an
    epoch takes another sample where it has no place for all. Without `synthetic_worth` both count alike.
    """
    rng = np.random.default_rng([seed, epoch])
    flags = np.asarray(labels, dtype=bool)
    made = np.zeros(len(flags), bool) if synthetic is None else np.asarray(synthetic, dtype=bool)
    good, real, drawn = np.flatnonzero(~flags), np.flatnonzero(flags & ~made), np.flatnonzero(flags & made)
    if synthetic_worth is None or not len(real) or not len(drawn):
        kinds, shares, least = [np.flatnonzero(flags)], [1.0], int(flags.sum())
    else:
        share = real_share(len(real), synthetic_worth)
        kinds, shares, least = [real, drawn], [share, 1.0 - share], math.ceil(len(real) / share)
    wanted: float = least
    if defect_share is not None and len(good) and least:
        wanted = max(wanted, len(good) * defect_share / (1.0 - defect_share))
    chosen = [good]
    for kind, share in zip(kinds, shares, strict=True):
        if len(kind):
            rounds = [rng.permutation(kind) for _ in range(math.ceil(wanted * share / len(kind)))]
            chosen.append(np.concatenate(rounds)[: round(wanted * share)])
    return [Draw(epoch, position, int(index)) for position, index in enumerate(rng.permutation(np.concatenate(chosen)))]


class Draws(Dataset[tuple[torch.Tensor, float, torch.Tensor]]):
    """Maps a `Draw` to `((H, W, 3) uint8 RGB, label, truth)`: decode, fit, mirror, jitter.

    `truth` is that of `trainer.pixel_truth.cells` where `truths` asks for it, else empty. The outcome depends on
    `(seed, draw)` alone, so it is the same for any number of loader workers.
    """

    def __init__(
        self,
        images: Sequence[TrainingImage],
        spec: InputSpec,
        *,
        seed: int,
        flips: bool,
        jitter: float,
        truths: bool = False,
    ) -> None:
        self._images = images
        self._spec = spec
        self._seed = seed
        self._flips = flips
        self._jitter = jitter
        self._truths = truths

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, draw: Draw) -> tuple[torch.Tensor, float, torch.Tensor]:
        image = self._images[draw.index]
        pixels = preprocess.fit(imagefile.read(image.path), self._spec)
        mask = None
        if self._truths and image.mask is not None:
            mask = fitted_mask(image.mask, self._spec)
        rng = np.random.default_rng([self._seed, draw.epoch, draw.position, 1])
        if self._flips:
            for axis in (0, 1):
                if rng.random() < 0.5:
                    pixels = np.flip(pixels, axis)
                    mask = None if mask is None else np.flip(mask, axis)
        if self._jitter:
            pixels = _jitter(pixels, rng, self._jitter)
        truth = np.zeros((0, 0), np.uint8)
        if self._truths:
            truth = pixel_truth.cells(mask, self._spec.height, self._spec.width, image.label == 0)
        return torch.from_numpy(np.ascontiguousarray(pixels)), float(image.label), torch.from_numpy(truth)


def fitted_mask(path: Path, spec: InputSpec) -> npt.NDArray[np.uint8]:
    """A mask as the model's input sees the part, `(H, W)`: non-zero wherever a pixel lies on the defect."""
    stored = imagefile.read(path)
    marked = stored != 0 if stored.ndim == 2 else (stored[..., :3] != 0).any(axis=2)
    return preprocess.fit(np.where(marked, np.uint8(255), np.uint8(0)), spec)[..., 0]


def _jitter(pixels: npt.NDArray[np.uint8], rng: np.random.Generator, strength: float) -> npt.NDArray[np.uint8]:
    contrast, brightness = 1.0 + rng.uniform(-strength, strength, size=2)
    mean = float(pixels.mean())
    table = np.clip((np.arange(256) - mean) * contrast + mean * brightness, 0, 255).astype(np.uint8)
    return table[pixels]


def single_threaded_decode(_worker: int) -> None:
    """Loader workers are many: keep OpenCV inside each to one thread."""
    cv2.setNumThreads(0)
