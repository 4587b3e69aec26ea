"""The number format of training and drawing."""

import logging
from typing import Literal

import torch

logger = logging.getLogger(__name__)
Precision = Literal["auto", "no", "fp16", "bf16"]


def resolve(precision: Precision, device: torch.device) -> torch.dtype:
    """The type that frozen weights and activations have on `device`; adapters stay in float32.

    `auto` is bf16 on a GPU that has it, fp16 on an older one, full precision on a CPU. A CPU does not train in fp16:
    it falls back to full precision, with a logged line.
    """
    if precision == "auto":
        if device.type != "cuda":
            return torch.float32
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if precision == "fp16" and device.type == "cpu":
        logger.warning("stable_diffusion.precision is fp16, which a CPU does not compute in: full precision is used")
        return torch.float32
    return {"no": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[precision]
