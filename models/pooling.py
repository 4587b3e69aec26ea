"""How a class-activation map becomes one logit."""

import math
from typing import Literal

import torch

Pooling = Literal["mean", "lse", "topk"]


def narrowed(share: float, done: float, warmup: float) -> float:
    """The share of the cells that top-k pooling takes in training: all at first, `share` once `done` is `warmup`.

    The strongest cells of a map that is still noise are random ones, and a channel that starts with the wrong sign
    would keep its defects out of them for good.
    """
    return max(share, 1 - done / warmup) if warmup else share


def pool(cam: torch.Tensor, kind: Pooling, sharpness: float, share: float) -> torch.Tensor:
    """Pool maps to logits.

    Args:
        cam: `(N, h, w)` float.
        kind: `mean` (global average pooling: the paper's head), `lse` (log-sum-exp, between mean and maximum),
            `topk` (mean of the strongest `share` of the cells).
        sharpness: > 0, of `lse`; larger is nearer to the maximum.
        share: in (0, 1], of `topk`; at least one cell.

    Returns:
        `(N,)` logits.

    Source: Pinheiro & Collobert, From Image-level to Pixel-level Labeling with CNNs, CVPR 2015 (lse).
    """
    cells = cam.flatten(1)
    if kind == "mean":
        return cells.mean(1)
    count = cells.shape[1]
    if kind == "lse":
        return (torch.logsumexp(sharpness * cells, 1) - math.log(count)) / sharpness
    return cells.topk(max(1, math.ceil(share * count)), dim=1).values.mean(1)
