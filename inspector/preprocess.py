"""The only crop-and-resize in the product: training, calibration, scoring and the camera loop all call it."""

from typing import Annotated, Literal

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from inspector.errors import DataError

_Scale = Annotated[float, Field(gt=0)]
Image = npt.NDArray[np.uint8]

# Below this shrink, linear interpolation still gives every source pixel a third of its weight or more, differs from
# averaging by 0.3 grey levels on real line-scan pictures (250 -> 200), and is six times as fast.
_AVERAGE_FROM = 4 / 3
_SMALLEST_SIDE = 8


class InputSpec(BaseModel):
    """How a frame becomes the model's input; stored in the bundle, the same on both sides.

    Attributes:
        width, height: the model's size in pixels.
        crop: `none` resizes the whole frame (aspect may change), `center` first cuts the largest centred
            region of the model's aspect, as in In&Out.
        resize: `area` averages where an axis shrinks by a third or more (no aliasing, small defects stay) and
            interpolates elsewhere; `linear` always interpolates.
        depth: how 16-bit pixels become 8 bit: `full_range` divides by 257 (65535 -> 255), `low_bits:N`
            shifts an N-bit sensor value down to 8 bit and saturates.
        mean, std: per RGB channel, on the 0..1 scale; applied inside the model's graph.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    width: int = Field(200, ge=16, le=8192)
    height: int = Field(600, ge=16, le=8192)
    colour_order: Literal["RGB"] = "RGB"
    crop: Literal["none", "center"] = "none"
    resize: Literal["area", "linear"] = "area"
    depth: str = Field("full_range", pattern=r"^(full_range|low_bits:(9|1[0-6]))$")
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[_Scale, _Scale, _Scale] = (0.229, 0.224, 0.225)


def to_eight_bit(pixels: npt.NDArray[np.generic], depth: str) -> Image:
    """Map uint8 or uint16 pixels of any shape to uint8 by the rule `depth` of `InputSpec`.

    Raises:
        DataError: any other pixel type.
    """
    if pixels.dtype == np.uint8:
        return pixels.view(np.uint8)
    if pixels.dtype == np.uint16:
        if depth == "full_range":
            return cv2.convertScaleAbs(pixels.view(np.uint16), alpha=1 / 257).view(np.uint8)
        bits = int(depth.partition(":")[2])
        return np.minimum(pixels.view(np.uint16) >> (bits - 8), 255).astype(np.uint8)
    raise DataError(f"pixels of type {pixels.dtype} are not supported: deliver 8 or 16 bit unsigned")


def crop_box(width: int, height: int, spec: InputSpec) -> tuple[int, int, int, int]:
    """The part of a `width` x `height` frame that the model sees, as `(left, top, width, height)` in pixels."""
    if spec.crop == "none":
        return 0, 0, width, height
    scale = min(width / spec.width, height / spec.height)
    cut_width = max(1, min(width, round(spec.width * scale)))
    cut_height = max(1, min(height, round(spec.height * scale)))
    return (width - cut_width) // 2, (height - cut_height) // 2, cut_width, cut_height


def fit(pixels: npt.NDArray[np.generic], spec: InputSpec) -> Image:
    """Turn a frame into the model's input.

    Args:
        pixels: `(H, W)`, `(H, W, 1)` mono, `(H, W, 3)` BGR or `(H, W, 4)` BGRA; uint8 or uint16.
        spec: the bundle's input specification.

    Returns:
        `(spec.height, spec.width, 3)` uint8, RGB, contiguous.

    Raises:
        DataError: a picture under 8 pixels wide or high, an unsupported shape or pixel type.
    """
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (3, 4)) or pixels.size == 0:
        raise DataError(f"a picture of shape {pixels.shape} is not mono, BGR or BGRA")
    if min(pixels.shape[:2]) < _SMALLEST_SIDE:
        raise DataError(
            f"a picture of {pixels.shape[1]} x {pixels.shape[0]} pixels is too small to inspect: "
            f"at least {_SMALLEST_SIDE} x {_SMALLEST_SIDE} is wanted"
        )
    left, top, width, height = crop_box(pixels.shape[1], pixels.shape[0], spec)
    cut = to_eight_bit(pixels[top : top + height, left : left + width], spec.depth)
    resized = _resize(cut, spec)
    # Colours last: there are fewer pixels by now, and mono is a third of the work.
    if resized.ndim == 2:
        return cv2.cvtColor(resized, cv2.COLOR_GRAY2RGB)  # type: ignore[return-value]
    return cv2.cvtColor(resized, cv2.COLOR_BGR2RGB if resized.shape[2] == 3 else cv2.COLOR_BGRA2RGB)  # type: ignore[return-value]


def _resize(pixels: Image, spec: InputSpec) -> Image:
    height, width = pixels.shape[:2]
    if spec.resize == "area" and max(width / spec.width, height / spec.height) >= _AVERAGE_FROM:
        # An axis that has to grow waits for the second step: averaging only shrinks.
        width, height = min(width, spec.width), min(height, spec.height)
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    if (width, height) != (spec.width, spec.height):
        pixels = cv2.resize(pixels, (spec.width, spec.height), interpolation=cv2.INTER_LINEAR)  # type: ignore[assignment]
    return pixels


def to_frame(x: float, y: float, width: int, height: int, spec: InputSpec) -> tuple[int, int]:
    """Map a point of the model's input, in its pixels, back to a `width` x `height` frame's pixels."""
    left, top, cut_width, cut_height = crop_box(width, height, spec)
    column = left + int((x + 0.5) * cut_width / spec.width)
    row = top + int((y + 0.5) * cut_height / spec.height)
    return min(max(column, 0), width - 1), min(max(row, 0), height - 1)
