"""Score image files with the torch model, through the product's one preprocessing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from inspector import imagefile, preprocess
from inspector.preprocess import InputSpec

_BATCH = 16


@dataclass(frozen=True, slots=True, eq=False)
class TorchScores:
    """`logits (N,)` and `cams (N, h, w)`, float32."""

    logits: npt.NDArray[np.float32]
    cams: npt.NDArray[np.float32]


def score(model: torch.nn.Module, paths: Sequence[Path], spec: InputSpec, device: torch.device) -> TorchScores:
    """Score files in order; the model is put in evaluation mode.

    Raises:
        DataError: a file cannot be read.
    """
    model.eval()
    logits, cams = [], []
    with torch.inference_mode():
        for images in batches(paths, spec, device):
            logit, cam = model(images)
            logits.append(logit.float().cpu().numpy())
            cams.append(cam.float().cpu().numpy())
    return TorchScores(np.concatenate(logits), np.concatenate(cams))


def batches(paths: Sequence[Path], spec: InputSpec, device: torch.device) -> Iterator[torch.Tensor]:
    """Files in order as `(n, H, W, 3)` uint8 RGB on the device, 16 at a time.

    Raises:
        DataError: a file cannot be read.
    """
    for start in range(0, len(paths), _BATCH):
        fitted = [preprocess.fit(imagefile.read(path), spec) for path in paths[start : start + _BATCH]]
        yield torch.from_numpy(np.stack(fitted)).to(device)
