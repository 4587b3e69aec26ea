"""Aspect-ratio buckets: the sizes that images are trained at, all of about the model's base area."""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from inspector.errors import RecipeError
from inspector.preprocess import Image

# Below this share of a side, what a centred crop loses is a rim.
_RIM = 0.03


@dataclass(frozen=True, slots=True, order=True)
class Bucket:
    """A training size in pixels."""

    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Crop:
    """An image scaled to `width` x `height` and cut at `left`, `top` to its bucket's size."""

    width: int
    height: int
    left: int
    top: int


def buckets(base: int, smallest: int, largest: int, step: int) -> tuple[Bucket, ...]:
    """Sizes whose sides are multiples of `step` within `smallest..largest` and whose area is at most `base` squared.

    For each width the largest height is taken, and for each height the largest width.

    Raises:
        RecipeError: no size meets this.
    """
    sides = range(math.ceil(smallest / step) * step, largest + 1, step)
    found: set[Bucket] = set()
    for side in sides:
        other = max((candidate for candidate in sides if candidate * side <= base * base), default=None)
        if other is not None:
            found |= {Bucket(side, other), Bucket(other, side)}
    if not found:
        raise RecipeError(
            f"no training size between {smallest} and {largest} in steps of {step} has at most {base} x {base} pixels: "
            "change stable_diffusion.bucket_*"
        )
    return tuple(sorted(found))


def choose(width: int, height: int, sizes: tuple[Bucket, ...]) -> Bucket:
    """The bucket nearest to an image's aspect, the ratio of the aspects counting; the larger one of equals."""
    aspect = math.log(width / height)

    def distance(bucket: Bucket) -> tuple[float, int]:
        return round(abs(math.log(bucket.width / bucket.height) - aspect), 9), -bucket.width * bucket.height

    return min(sizes, key=distance)


def crops(width: int, height: int, bucket: Bucket) -> tuple[Crop, ...]:
    """How an image fills a bucket without being stretched: scaled to cover it, then cut.

    One cut in the middle where it loses a rim only; else as many, evenly spread, as show every pixel at least once,
    so that no defect is cut away.
    """
    scale = max(bucket.width / width, bucket.height / height)
    scaled = max(bucket.width, round(width * scale)), max(bucket.height, round(height * scale))
    across, down = scaled[0] - bucket.width, scaled[1] - bucket.height
    excess, side = max((across, bucket.width), (down, bucket.height), key=lambda pair: pair[0] / pair[1])
    if excess <= _RIM * side:
        return (Crop(*scaled, across // 2, down // 2),)
    count = math.ceil((side + excess) / side)
    shares = [index / (count - 1) for index in range(count)]
    return tuple(Crop(*scaled, round(across * share), round(down * share)) for share in shares)


def cut(pixels: Image, crop: Crop, bucket: Bucket) -> Image:
    """Scale and cut an `(H, W, 3)` image to `(bucket.height, bucket.width, 3)`."""
    shrinks = crop.width < pixels.shape[1]
    scaled = cv2.resize(pixels, (crop.width, crop.height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    part = scaled[crop.top : crop.top + bucket.height, crop.left : crop.left + bucket.width]
    return np.ascontiguousarray(part, dtype=np.uint8)
