"""Decode every image and mask of a data set once and keep the facts a check needs; pixels are let go at once."""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np

from inspector import imagefile
from inspector.errors import DataError
from trainer.data.duplicates import LENGTH, Hashes, describe
from trainer.data.samples import Sample

MaskState = Literal["none", "empty", "marked"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What one sample's files hold.

    Attributes:
        problem: why the image cannot be read, empty where it can; the rest is then meaningless.
        width, height: pixels.
        channels: 1 or 3.
        bits: 8 or 16 a channel.
        content: sha256 of the decoded pixels, their shape and type.
        mask: no mask, an all-zero one, or one with a mark.
        mask_problem: why the mask cannot be used, empty where it can.
    """

    problem: str = ""
    width: int = 0
    height: int = 0
    channels: int = 1
    bits: int = 8
    content: bytes = b""
    mask: MaskState = "none"
    mask_problem: str = ""


def survey(samples: Sequence[Sample], tick: Callable[[], None] = lambda: None) -> tuple[list[Facts], Hashes]:
    """The facts and the perceptual hash (`(n, 256)`, zero for an unreadable image) of each sample.

    Args:
        samples: any number; as many images are in memory as there are threads.
        tick: called once a sample, for a progress bar.
    """
    hashes = np.zeros((len(samples), LENGTH), np.float32)

    def look(i: int) -> Facts:
        facts, hashes[i] = _look(samples[i])
        tick()
        return facts

    with ThreadPoolExecutor() as pool:
        return list(pool.map(look, range(len(samples)))), hashes


def _look(sample: Sample) -> tuple[Facts, Hashes]:
    try:
        pixels = imagefile.read(sample.path)
    except DataError as error:
        return Facts(problem=str(error)), np.zeros(LENGTH, np.float32)
    content = hashlib.sha256(f"{pixels.shape} {pixels.dtype}".encode())
    content.update(np.ascontiguousarray(pixels).data)
    mask, mask_problem = _mask(sample, pixels.shape[:2])
    facts = Facts(
        width=pixels.shape[1],
        height=pixels.shape[0],
        channels=1 if pixels.ndim == 2 else pixels.shape[2],
        bits=pixels.dtype.itemsize * 8,
        content=content.digest(),
        mask=mask,
        mask_problem=mask_problem,
    )
    return facts, describe(pixels)


def _mask(sample: Sample, shape: tuple[int, ...]) -> tuple[MaskState, str]:
    if sample.mask is None:
        return "none", ""
    try:
        mask = imagefile.read(sample.mask)
    except DataError as error:
        return "none", str(error)
    if mask.shape[:2] != shape:
        return "none", (
            f"{sample.mask} is {mask.shape[1]} x {mask.shape[0]} pixels, its image {sample.path.name} "
            f"{shape[1]} x {shape[0]}"
        )
    return ("marked" if mask.any() else "empty"), ""
