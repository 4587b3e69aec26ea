"""Devices, precision and processes of a build."""

from datetime import timedelta
from typing import Literal

import torch
from accelerate import Accelerator, InitProcessGroupKwargs

# Helper processes wait for the main one while it indexes and generates.
_PATIENCE = timedelta(hours=24)


def open_accelerator(precision: Literal["auto", "no", "fp16", "bf16"]) -> Accelerator:
    """The accelerator of this process, alone or under `accelerate launch`.

    `auto` computes in bf16 on a GPU that has it, fp16 on an older one, and in full precision on a CPU.
    """
    chosen: str = precision
    if precision == "auto":
        chosen = "no"
        if torch.cuda.is_available():
            chosen = "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    return Accelerator(mixed_precision=chosen, kwargs_handlers=[InitProcessGroupKwargs(timeout=_PATIENCE)])
