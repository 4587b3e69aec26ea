"""Masks and regions: read from pictures, and drawn as outlines that stay thin at any size."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from inspector import imagefile, preprocess
from inspector.preprocess import Image

_INK = "#00a2ff"
_HALO = "#ffffff"
_GAP = 0.012


def bright(pixels: npt.NDArray[np.generic]) -> Image:
    """`(H, W)` uint8, 255 where a channel of a decoded picture is above half of its range, else 0."""
    grey = preprocess.to_eight_bit(pixels, "full_range")
    strongest = grey if grey.ndim == 2 else grey.max(axis=2)
    return np.where(strongest > 127, np.uint8(255), np.uint8(0))


def region_of(raw: bytes) -> Image:
    """The region in an encoded picture, white where to paint; see `bright`.

    Raises:
        DataError: it is no picture.
    """
    return bright(imagefile.decode(raw, "the region"))


def outline_svg(mask: Path) -> str:
    """The outline of the white pixels of a mask file, as an SVG of the mask's size.

    Raises:
        DataError: the mask cannot be read.
    """
    spots = bright(imagefile.read(mask))
    height, width = spots.shape
    gap = max(2, round(_GAP * min(height, width)))  # the line runs around the defect, not on it
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * gap + 1, 2 * gap + 1))
    padded = cv2.copyMakeBorder(spots, gap, gap, gap, gap, cv2.BORDER_CONSTANT, value=0)
    contours, _ = cv2.findContours(cv2.dilate(padded, disc), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    path = "".join(
        "M" + "L".join(f"{x - gap + 0.5:g} {y - gap + 0.5:g}" for x, y in contour[:, 0]) + "Z" for contour in contours
    )
    line = f'<path d="{path}" fill="none" vector-effect="non-scaling-stroke" stroke-linejoin="round"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f'{line} stroke="{_HALO}" stroke-width="3" stroke-opacity="0.5"/>{line} stroke="{_INK}" stroke-width="1.2"/>'
        "</svg>"
    )
