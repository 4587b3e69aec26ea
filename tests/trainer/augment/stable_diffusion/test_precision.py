"""Which type trains where."""

import pytest
import torch

from trainer.augment.stable_diffusion.precision import resolve


@pytest.mark.parametrize(
    ("precision", "expected"),
    [("auto", torch.float32), ("no", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float32)],
)
def test_on_a_cpu(precision, expected, caplog):
    assert resolve(precision, torch.device("cpu")) is expected
    assert ("full precision is used" in caplog.text) == (precision == "fp16")


@pytest.mark.parametrize(("bf16", "expected"), [(True, torch.bfloat16), (False, torch.float16)])
def test_auto_on_a_gpu_asks_the_gpu(bf16, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: bf16)
    assert resolve("auto", torch.device("cuda")) is expected
