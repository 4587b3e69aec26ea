"""Training checkpoints: tensors in safetensors, the rest in JSON; written whole or not at all."""

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from inspector import atomic

_TENSORS = "tensors.safetensors"
_STATE = "state.json"


def save_tensors(tensors: dict[str, torch.Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file; raises `OSError` where the library raises its own error for a full disk."""
    try:
        save_file(tensors, path, metadata)
    except SafetensorError as error:
        full = shutil.disk_usage(path.parent).free < sum(tensor.nbytes for tensor in tensors.values())
        raise OSError(errno.ENOSPC if full else errno.EIO, f"{error}") from error


def save(folder: Path, modules: dict[str, torch.nn.Module], optimiser: torch.optim.Optimizer, state: Any) -> None:
    """Write a checkpoint folder, replacing an older one only once the new one is on the disk.

    Args:
        folder: the checkpoint's folder.
        modules: by name; their parameters and buffers are stored.
        optimiser: its per-parameter tensors are stored; its groups are not (the recipe makes them).
        state: JSON-serialisable progress (step, history, ...).

    Raises:
        OSError: the disk refuses; the older checkpoint is untouched.
    """
    tensors = {
        f"{name}/{key}": tensor.detach().contiguous().clone()
        for name, module in modules.items()
        for key, tensor in module.state_dict().items()
    }
    for index, slots in optimiser.state_dict()["state"].items():
        tensors |= {
            f"optimiser/{index}/{slot}": value.detach().contiguous().clone()
            for slot, value in slots.items()
            if isinstance(value, torch.Tensor)
        }
    staging = folder.with_name(f".{folder.name}.{os.getpid()}")
    for abandoned in folder.parent.glob(f".{folder.name}.*"):  # by a run that was killed while it wrote
        shutil.rmtree(abandoned, ignore_errors=True)
    try:
        staging.mkdir(parents=True)
        save_tensors(tensors, staging / _TENSORS)
        (staging / _STATE).write_text(json.dumps(state), encoding="utf-8")
        for name in (_TENSORS, _STATE):
            atomic.sync(staging / name)
        atomic.swap_in(staging, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def load(folder: Path, modules: dict[str, torch.nn.Module], optimiser: torch.optim.Optimizer) -> Any | None:
    """Restore what `save` wrote; return its state, or None where there is no checkpoint."""
    if not folder.exists():
        return None
    tensors = load_file(folder / _TENSORS)
    slots: dict[int, dict[str, torch.Tensor]] = {}
    parts: dict[str, dict[str, torch.Tensor]] = {name: {} for name in modules}
    for key, tensor in tensors.items():
        owner, _, rest = key.partition("/")
        if owner == "optimiser":
            index, _, slot = rest.partition("/")
            slots.setdefault(int(index), {})[slot] = tensor
        else:
            parts[owner][rest] = tensor
    for name, module in modules.items():
        module.load_state_dict(parts[name])
    optimiser.load_state_dict({"state": slots, "param_groups": optimiser.state_dict()["param_groups"]})
    return json.loads((folder / _STATE).read_text(encoding="utf-8"))
