"""Where the part is: everything on surface pictures, the part alone where it lies on a plain background."""

from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from inspector.preprocess import Image

_LONG_SIDE = 128
_BORDER_SHARE = 0.5
_PLAIN = 0.15
_STEP = 0.6
_PART_SHARE = 0.1
_BACKGROUND_SHARE = 0.03

Tone = npt.NDArray[np.uint8]
Pixel = TypeVar("Pixel", bound=np.generic)


def foreground(part: Image) -> npt.NDArray[np.uint8]:
    """Mask the part, `(H, W)` uint8 of 255 and 0, in an `(H, W, 3)` uint8 RGB picture.

    Each pixel's distance from the border's median colour (largest channel) is split in near and far by Otsu's
    threshold. The near pixels joined to the picture's border are background when, in the picture shrunk to a long
    side of 128 so that grain averages out, they

    - hold the four corners and at least half of the border,
    - cover at least 3 % of the picture and leave at least 10 % to the part,
    - are plain: standard deviation at most 0.15 of the contrast (mean distance of the far minus the near pixels),
    - end in a step, not in a shading: across their edge the distance grows by at least 0.6 of the contrast.

    Otherwise the whole picture is surface, the usual line-scan case, and the mask is everything. Holes in the part
    belong to the part.
    """
    shrink = min(1.0, _LONG_SIDE / max(part.shape[:2]))
    size = max(8, round(part.shape[1] * shrink)), max(8, round(part.shape[0] * shrink))
    coarse: Image = cv2.resize(part, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    colour = np.median(_border(coarse), axis=0)
    distance = _distance(coarse, colour)
    threshold, _ = cv2.threshold(distance, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    if _is_background(distance, threshold):
        background = _joined_to_border(cv2.medianBlur(_distance(part, colour), 5) <= threshold)
        if background.mean() <= 1 - _PART_SHARE:
            return np.where(background, np.uint8(0), np.uint8(255))
    return np.full(part.shape[:2], 255, np.uint8)


def _is_background(distance: Tone, threshold: float) -> bool:
    """Whether the near pixels joined to the border obey the rule."""
    near = distance <= threshold
    if near.all() or not near.any():
        return False
    contrast = float(distance[~near].mean() - distance[near].mean())
    joined = _joined_to_border(near)
    corners = joined[[0, 0, -1, -1], [0, -1, 0, -1]]
    if not corners.all() or _border(joined).mean() < _BORDER_SHARE:
        return False
    if not _BACKGROUND_SHARE <= joined.mean() <= 1 - _PART_SHARE:
        return False
    kernel = np.ones((3, 3), np.uint8)
    flags = joined.astype(np.uint8)
    core = cv2.erode(flags, kernel)
    inner = (core - cv2.erode(core, kernel)) > 0
    reach = cv2.dilate(flags, kernel)
    outer = (cv2.dilate(reach, kernel) - reach) > 0
    if not inner.any() or not outer.any() or distance[core > 0].std() > _PLAIN * contrast:
        return False
    return float(distance[outer].mean()) - float(distance[inner].mean()) >= _STEP * contrast


def _distance(picture: Image, colour: npt.NDArray[np.float64]) -> Tone:
    """Largest channel difference from `colour`, `(H, W)` uint8."""
    apart = cv2.absdiff(picture, np.array([*colour, 0], np.float64))
    return np.maximum(np.maximum(apart[..., 0], apart[..., 1]), apart[..., 2])


def _border(picture: npt.NDArray[Pixel]) -> npt.NDArray[Pixel]:
    """The outermost pixels of the first two axes, in a row."""
    return np.concatenate([picture[0], picture[-1], picture[1:-1, 0], picture[1:-1, -1]])


def _joined_to_border(flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The pixels of 8-connected components that touch the picture's border."""
    labels: npt.NDArray[np.int32]
    count, labels = cv2.connectedComponents(flags.astype(np.uint8), connectivity=8)  # type: ignore[assignment]
    touching = np.zeros(count, np.bool_)
    touching[_border(labels)] = True
    touching[0] = False
    return touching[labels]
