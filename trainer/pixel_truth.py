"""What is known of single cells of an image without anyone labelling them, and the loss that teaches it.

Good images have no defective cell, and a drawn defect brings its mask along (the idea of DRAEM and SuperSimpleNet);
of a real defect only the image's label is known, unless a mask is given.
"""

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import adaptive_max_pool2d, binary_cross_entropy_with_logits

STRIDE = 8
GOOD, UNKNOWN, DEFECT = 0, 1, 2  # in this order, so that a coarser cell's truth is the maximum of the finer ones'
_TOUCHED = 1 / 16

Truth = npt.NDArray[np.uint8]


def cells(mask: npt.NDArray[np.uint8] | None, height: int, width: int, known: bool) -> Truth:
    """The truth of each cell of 8 x 8 pixels, `(ceil(height / 8), ceil(width / 8))`.

    Args:
        mask: `(height, width)`, non-zero on the defect; None where there is none to see, or none is known.
        height, width: of the image, in pixels.
        known: without a mask, whether the whole image is good; else nothing is known of it.

    Returns:
        `DEFECT` where the mask covers a sixteenth of a cell or more, `UNKNOWN` where it covers less, `GOOD` elsewhere.
    """
    rows, columns = -(-height // STRIDE), -(-width // STRIDE)
    if mask is None:
        return np.full((rows, columns), GOOD if known else UNKNOWN, np.uint8)
    padded = np.zeros((rows * STRIDE, columns * STRIDE), np.float32)
    padded[:height, :width] = mask > 0
    cover = cv2.resize(padded, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.where(cover >= _TOUCHED, DEFECT, np.where(cover > 0, UNKNOWN, GOOD)).astype(np.uint8)


def loss(cam: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy of the cells whose truth is known, good and defective ones weighing alike.

    Args:
        cam: `(N, h, w)` logits.
        truth: `(N, h', w')` of `cells`, on the map's grid or a finer one.

    Returns:
        `(N,)`: mean over an image's good cells plus mean over its defective ones; 0 where nothing is known.
    """
    told = truth.float()
    if told.shape[1:] != cam.shape[1:]:
        told = adaptive_max_pool2d(told, cam.shape[1:])
    each = binary_cross_entropy_with_logits(cam, (told == DEFECT).float(), reduction="none")
    parts = []
    for kind in (GOOD, DEFECT):
        chosen = told == kind
        parts.append((each * chosen).sum((1, 2)) / chosen.sum((1, 2)).clamp(min=1))
    return parts[0] + parts[1]
