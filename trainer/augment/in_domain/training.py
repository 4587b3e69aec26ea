"""Train the in-domain denoiser on cached latents: one plain loop that any kill may interrupt."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from accelerate import Accelerator
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch.nn.functional import mse_loss
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from inspector.errors import InandoutError
from models.denoiser import DEFECT, NORMAL, UNKNOWN, Denoiser, noise_schedule
from trainer import checkpoint, out_of_memory
from trainer.generator_sections import InDomainSection
from trainer.interruption import Interrupted, stop_requested

logger = logging.getLogger(__name__)
CHECKPOINT = "checkpoint"
WEIGHTS = "denoiser.safetensors"
_UNCONDITIONAL = 0.1
_DEFECT_SHARE = 0.4
_WARMUP = 100


@dataclass(frozen=True, slots=True, eq=False)
class LatentSet:
    """Standardised latents of one class.

    Attributes:
        latents: `(N, 4, h, w)` float16.
        regions: `(N, h, w)` bool, where the defect is.
    """

    latents: npt.NDArray[np.float16]
    regions: npt.NDArray[np.bool_]


def train(
    normals: LatentSet,
    defects: LatentSet,
    section: InDomainSection,
    seed: int,
    folder: Path,
    accelerator: Accelerator,
    on_step: Callable[[int, int, float], None] = lambda step, steps, loss: None,
) -> None:
    """Leave the weights' moving average in `folder/denoiser.safetensors`.

    A rerun in the same folder continues at the last checkpoint and ends at the weights of an uninterrupted run.

    Args:
        normals, defects: what to learn from; `defects` may be empty.
        section: steps, batch and the like.
        seed: of the initial weights and all draws.
        folder: of checkpoint and result.
        accelerator: device and precision.
        on_step: called with the steps done, the steps in all, and the loss.

    Raises:
        Interrupted: SIGINT or SIGTERM came; a checkpoint was written.
        InandoutError: out of memory even for a single image, or the loss is no longer finite.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = Denoiser(section.channels)
    if section.start is not None:
        _start_from(network, section.start / WEIGHTS)
    network = network.to(accelerator.device).to(memory_format=torch.channels_last)
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(section.ema))
    optimiser = torch.optim.AdamW(network.parameters(), lr=section.learning_rate, weight_decay=0.01)
    parts: dict[str, torch.nn.Module] = {"network": network, "average": average}
    state: dict[str, Any] = {"step": 0, "micro_batch": section.batch}
    saved = checkpoint.load(folder / CHECKPOINT, parts, optimiser)
    if saved is not None:
        state = saved
        logger.info("the in-domain denoiser continues at step %d", state["step"])
    last_save = time.monotonic()
    with stop_requested() as stop:
        while state["step"] < section.steps:
            rate = _rate(section, state["step"])
            for group in optimiser.param_groups:
                group["lr"] = rate
            batch = _draw(normals, defects, section, np.random.default_rng([seed, state["step"]]))
            loss = _step(network, optimiser, batch, state, accelerator)
            average.update_parameters(network)
            state["step"] += 1
            on_step(state["step"], section.steps, loss)
            if not math.isfinite(loss):
                raise InandoutError(
                    f"the in-domain denoiser's loss is {loss} at step {state['step']}: lower in_domain.learning_rate"
                )
            if stop():
                checkpoint.save(folder / CHECKPOINT, parts, optimiser, state)
                raise Interrupted(f"interrupted at step {state['step']}; run the same command to go on")
            if time.monotonic() - last_save > section.checkpoint_seconds:
                checkpoint.save(folder / CHECKPOINT, parts, optimiser, state)
                last_save = time.monotonic()
    final = {name: tensor.detach().cpu().contiguous() for name, tensor in average.module.state_dict().items()}
    checkpoint.save_tensors(final, folder / WEIGHTS)


def _start_from(network: Denoiser, path: Path) -> None:
    try:
        network.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InandoutError(
            f"in_domain.start: {path} does not fit ({reason}): name the folder of a finished fit with the same "
            "in_domain.channels"
        ) from None


def _rate(section: InDomainSection, step: int) -> float:
    """Linear warm-up, then cosine to a tenth."""
    warm = min(1.0, (step + 1) / _WARMUP)
    return section.learning_rate * warm * (0.55 + 0.45 * math.cos(math.pi * step / section.steps))


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    latents: torch.Tensor
    regions: torch.Tensor
    classes: torch.Tensor
    times: torch.Tensor
    noise: torch.Tensor


def _draw(normals: LatentSet, defects: LatentSet, section: InDomainSection, rng: np.random.Generator) -> _Batch:
    """Pieces of random latents with noise and times; what a step sees depends on its number alone.

    Pieces of defect images show the defect: they are placed around a cell of its region.
    """
    latents, regions, classes = [], [], []
    height, width = normals.latents.shape[2:]
    rows, columns = min(section.crop, height), min(section.crop, width)
    for _ in range(section.batch):
        bad = len(defects.latents) > 0 and rng.random() < _DEFECT_SHARE
        chosen = defects if bad else normals
        index = int(rng.integers(len(chosen.latents)))
        top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
        if bad:
            cells = np.argwhere(chosen.regions[index])
            y, x = cells[rng.integers(len(cells))]
            top = int(np.clip(y - rng.integers(rows), 0, height - rows))
            left = int(np.clip(x - rng.integers(columns), 0, width - columns))
        piece = np.s_[top : top + rows, left : left + columns]
        latents.append(chosen.latents[index][:, *piece])
        known = rng.random() >= _UNCONDITIONAL
        regions.append(chosen.regions[index][piece] & known)
        classes.append((DEFECT if bad else NORMAL) if known else UNKNOWN)
    return _Batch(
        latents=torch.from_numpy(np.stack(latents)).float(),
        regions=torch.from_numpy(np.stack(regions)).float()[:, None],
        classes=torch.tensor(classes),
        times=torch.from_numpy(rng.integers(1000, size=section.batch)),
        noise=torch.from_numpy(rng.standard_normal((section.batch, 4, rows, columns), dtype=np.float32)),
    )


def _step(
    network: Denoiser,
    optimiser: torch.optim.Optimizer,
    batch: _Batch,
    state: dict[str, Any],
    accelerator: Accelerator,
) -> float:
    """One optimiser step; out of memory halves `state["micro_batch"]` and says so."""
    schedule = noise_schedule()
    device = accelerator.device
    while True:
        optimiser.zero_grad(set_to_none=True)
        size, total, count = state["micro_batch"], 0.0, len(batch.latents)
        try:
            for start in range(0, count, size):
                part = slice(start, start + size)
                clean, noise, times = (t[part].to(device) for t in (batch.latents, batch.noise, batch.times))
                noisy = schedule.add_noise(clean, noise, times)
                target = schedule.get_velocity(clean, noise, times)
                with accelerator.autocast():
                    found = network(noisy, batch.regions[part].to(device), times, batch.classes[part].to(device))
                loss = mse_loss(found.float(), target) * len(clean) / count
                loss.backward()
                total += float(loss.detach())
        except RuntimeError as error:
            if not out_of_memory.ran_out(error):
                raise
            if size == 1:
                raise InandoutError("out of memory with a single piece: lower in_domain.channels or .crop") from None
            state["micro_batch"] = size // 2
            logger.warning("out of memory with %d pieces at once: going on with %d", size, size // 2)
            out_of_memory.release()
            continue
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        return total
