"""Sample pictures and heat-map overlays of the report, as data URIs."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from trainer.report import Picture

_LONGEST_SIDE = 420
_QUALITY = 82
_STRONGEST = 0.78  # opacity of the heat map at its peak


@dataclass(frozen=True, slots=True)
class Tile:
    """A picture ready for the page: caption, data URI, the overlay's data URI (or empty), width / height."""

    caption: str
    picture: str
    overlay: str
    aspect: float


def tiles(pictures: Sequence[Picture], limit: int) -> list[Tile]:
    """The first `limit` pictures, encoded; those with a map also get an overlay."""
    shown = pictures[:limit]
    spread = max((_spread(picture.cam) for picture in shown if picture.cam is not None), default=0.0)
    return [_tile(picture, spread) for picture in shown]


def overlay(
    pixels: npt.NDArray[np.uint8], cam: npt.NDArray[np.float32], smallest_spread: float = 0.0
) -> npt.NDArray[np.uint8]:
    """Lay a class-activation map over its picture.

    The map is shown from its own median (clear) to its peak (opaque), so that the strongest place stands out
    whatever the picture's logit; `smallest_spread` (in logits) keeps the noise of a flat map from being blown up.

    Args:
        pixels: `(H, W, 3)` uint8 RGB.
        cam: `(h, w)` float logits; values that are not finite count as no evidence.
        smallest_spread: median-to-peak distance below which the colour fades.

    Returns:
        `(H, W, 3)` uint8 RGB.
    """
    heat = _finite(cam)
    floor = float(np.median(heat))
    scale = max(float(heat.max()) - floor, smallest_spread, 1e-9)
    small = np.clip((heat - floor) / scale, 0.0, 1.0).astype(np.float32)
    height, width = pixels.shape[:2]
    heat = np.clip(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), 0.0, 1.0)
    colours = cv2.applyColorMap(np.round(heat * 255).astype(np.uint8), cv2.COLORMAP_TURBO)[:, :, ::-1]
    opacity = (_STRONGEST * heat)[:, :, None]
    return np.round(pixels * (1 - opacity) + colours * opacity).astype(np.uint8)


def data_uri(pixels: npt.NDArray[np.uint8]) -> str:
    """Encode `(H, W, 3)` uint8 RGB as a JPEG data URI, its longest side at most 420 pixels."""
    height, width = pixels.shape[:2]
    scale = _LONGEST_SIDE / max(height, width)
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).view(np.uint8)
    encoded, buffer = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    assert encoded  # three-channel uint8 always encodes
    return "data:image/jpeg;base64," + base64.b64encode(buffer.tobytes()).decode("ascii")


def _tile(picture: Picture, spread: float) -> Tile:
    height, width = picture.pixels.shape[:2]
    hot = "" if picture.cam is None else data_uri(overlay(picture.pixels, picture.cam, spread / 4))
    return Tile(picture.caption, data_uri(picture.pixels), hot, width / height)


def _spread(cam: npt.NDArray[np.float32]) -> float:
    heat = _finite(cam)
    return float(heat.max() - np.median(heat))


def _finite(cam: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    finite = np.isfinite(cam)
    return np.where(finite, cam, cam[finite].min() if finite.any() else 0.0).astype(np.float32)
