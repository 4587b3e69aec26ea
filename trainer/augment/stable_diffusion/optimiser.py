"""What moves the adapters: AdamW, in 8 bit where it can be had, and the learning rate's course."""

import logging
import math
from collections.abc import Sequence
from types import MethodType
from typing import Any

import torch

from trainer.generator_sections import StableDiffusionSection

logger = logging.getLogger(__name__)
_WEIGHT_DECAY = 0.01
# bitsandbytes keeps the state of a smaller parameter in 32 bit, so that a smaller one would prove nothing.
_PROBE = 4096


def make(
    parameters: Sequence[torch.nn.Parameter], section: StableDiffusionSection, device: torch.device
) -> torch.optim.Optimizer:
    """The optimiser of the recipe; `adamw8bit` falls back to AdamW where bitsandbytes cannot serve the device.

    Logs one line that says which it is.
    """
    if section.optimiser == "adamw8bit":
        try:
            import bitsandbytes

            probe = torch.nn.Parameter(torch.zeros(_PROBE, device=device))
            probe.grad = torch.ones_like(probe)
            trial = bitsandbytes.optim.AdamW8bit([probe])
            trial.step()
            if trial.state[probe]["state1"].dtype != torch.uint8:
                raise RuntimeError("its state is not 8 bit")
        except (ImportError, RuntimeError, NotImplementedError, OSError, ValueError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            logger.warning("optimiser: AdamW, as AdamW8bit is not to be had on %s (%s)", device, reason)
        else:
            logger.info("optimiser: AdamW8bit on %s", device)
            # Its own state_dict packs the 8-bit state into an object for FSDP, where a checkpoint would not see it.
            made = bitsandbytes.optim.AdamW8bit(parameters, lr=section.learning_rate, weight_decay=_WEIGHT_DECAY)
            made.state_dict = MethodType(torch.optim.Optimizer.state_dict, made)
            return made
    else:
        logger.info("optimiser: AdamW on %s", device)
    return torch.optim.AdamW(
        parameters, lr=section.learning_rate, weight_decay=_WEIGHT_DECAY, fused=device.type == "cuda"
    )


def learning_rate(section: StableDiffusionSection, step: int, steps: int) -> float:
    """The rate of step number `step` of `steps`: constant, or cosine to zero, started `restarts` times."""
    if section.schedule == "constant":
        return section.learning_rate
    done = section.restarts * step / steps % 1.0
    return section.learning_rate * 0.5 * (1.0 + math.cos(math.pi * done))


def plain_state(optimiser: torch.optim.Optimizer) -> list[dict[str, Any]]:
    """What an optimiser remembers of each parameter besides tensors (AdamW8bit: its step), for a checkpoint."""
    return [
        {slot: value for slot, value in optimiser.state[parameter].items() if not isinstance(value, torch.Tensor)}
        for group in optimiser.param_groups
        for parameter in group["params"]
    ]


def restore_plain_state(optimiser: torch.optim.Optimizer, remembered: Sequence[dict[str, Any]]) -> None:
    """Put back what `plain_state` gave; tensors are the checkpoint's business."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    for parameter, slots in zip(parameters, remembered, strict=True):
        optimiser.state[parameter].update(slots)
