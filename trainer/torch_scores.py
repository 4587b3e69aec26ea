"""Score image files with the torch model, through the product's one preprocessing."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from inspector import imagefile, preprocess
from inspector.preprocess import InputSpec


@dataclass(frozen=True, slots=True, eq=False)
class TorchScores:
    """`logits (N,)` and `cams (N, h, w)`, float32."""

    logits: npt.NDArray[np.float32]
    cams: npt.NDArray[np.float32]


def score(
    model: torch.nn.Module, paths: Sequence[Path], spec: InputSpec, device: torch.device, batch: int = 16
) -> TorchScores:
    """Score files in order; the model is put in evaluation mode.

    Raises:
        DataError: a file cannot be read.
    """
    model.eval()
    logits, cams = [], []
    with torch.inference_mode():
        for start in range(0, len(paths), batch):
            fitted = [preprocess.fit(imagefile.read(path), spec) for path in paths[start : start + batch]]
            logit, cam = model(torch.from_numpy(np.stack(fitted)).to(device))
            logits.append(logit.float().cpu().numpy())
            cams.append(cam.float().cpu().numpy())
    return TorchScores(np.concatenate(logits), np.concatenate(cams))
