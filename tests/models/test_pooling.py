"""Pooling against values worked by hand and against its limits."""

import math

import pytest
import torch

from models.pooling import pool

CAM = torch.tensor([[[0.0, 1.0], [2.0, 5.0]]])


@pytest.mark.parametrize(
    ("kind", "sharpness", "share", "expected"),
    [
        ("mean", 1.0, 0.5, 2.0),
        ("topk", 1.0, 0.5, 3.5),
        ("topk", 1.0, 0.01, 5.0),
        ("topk", 1.0, 1.0, 2.0),
        ("lse", 1.0, 0.5, math.log((1 + math.e + math.e**2 + math.e**5) / 4)),
        ("lse", 200.0, 0.5, 5.0 - math.log(4) / 200),
        ("lse", 1e-4, 0.5, 2.0),
    ],
    ids=["mean", "topk half", "topk at least one cell", "topk all is mean", "lse", "lse to maximum", "lse to mean"],
)
def test_pool(kind, sharpness, share, expected):
    assert pool(CAM, kind, sharpness, share).item() == pytest.approx(expected, abs=2e-3)
