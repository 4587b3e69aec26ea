"""Running out of memory: tell it from other failures, and give back what can be given."""

import torch


def ran_out(error: RuntimeError) -> bool:
    """Whether torch raised `error` because memory, of the device or of the host, was short."""
    said = str(error).lower()
    return "out of memory" in said or "can't allocate memory" in said


def release() -> None:
    """Hand torch's cached device memory back; call it once the failed tensors are out of reach."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
