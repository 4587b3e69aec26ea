"""A small KL autoencoder trained on the user's own images, where no pretrained codec is at hand."""

import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from diffusers import AutoencoderKL
from safetensors.torch import load_file
from torch.nn.functional import l1_loss

from inspector.errors import InandoutError
from trainer import checkpoint
from trainer.augment import Pixels
from trainer.augment.in_domain.codec import to_tensor
from trainer.generator_sections import InDomainSection
from trainer.interruption import Interrupted, stop_requested

_WEIGHTS = "codec.safetensors"
_CHECKPOINT = "checkpoint"
_CHANNELS = (16, 32, 64, 64)
_PIECE = 64
_BATCH = 8
_RATE = 1e-3
_KL = 1e-6


class SmallCodec:
    """See `trainer.augment.in_domain.codec.Codec`."""

    def __init__(self, network: AutoencoderKL) -> None:
        self._network = network.eval().requires_grad_(False)

    @torch.inference_mode()
    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """The mean of each latent's distribution."""
        return self._network.encode(images).latent_dist.mode()

    @torch.inference_mode()
    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """See `Codec`."""
        return self._network.decode(latents).sample


def load(folder: Path, device: str) -> SmallCodec | None:
    """The trained codec in `folder`, or None where there is none."""
    if not (folder / _WEIGHTS).is_file():
        return None
    network = _network()
    network.load_state_dict(load_file(folder / _WEIGHTS))
    return SmallCodec(network.to(device))


def train(
    images: Sequence[Pixels],
    section: InDomainSection,
    seed: int,
    folder: Path,
    accelerator: Accelerator,
    on_step: Callable[[int, int, float], None],
) -> SmallCodec:
    """Train the codec into `folder`, or load it where that is done; a rerun continues at the last checkpoint.

    The loss is the absolute error of pixels and of their differences to neighbours, which keeps grain and thin lines
    that the plain error would blur, and a weak pull of the latents towards the standard normal.

    Raises:
        Interrupted: SIGINT or SIGTERM came; a checkpoint was written.
        InandoutError: the loss is no longer finite.
    """
    device = str(accelerator.device)
    done = load(folder, device)
    if done is not None:
        return done
    folder.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = _network()
    network = network.to(device).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=0.0)
    state: dict[str, Any] = checkpoint.load(folder / _CHECKPOINT, {"codec": network}, optimiser) or {"step": 0}
    last_save = time.monotonic()
    with stop_requested() as stop:
        while state["step"] < section.codec_steps:
            done_share = state["step"] / section.codec_steps
            for group in optimiser.param_groups:
                group["lr"] = _RATE * (0.55 + 0.45 * math.cos(math.pi * done_share))
            wanted = to_tensor(_pieces(images, np.random.default_rng([seed, state["step"], 3])), device)
            latents = network.encode(wanted).latent_dist
            found = network.decode(latents.mode()).sample
            loss = l1_loss(found, wanted) + _KL * latents.kl().mean()
            for axis in (2, 3):
                loss = loss + l1_loss(found.diff(dim=axis), wanted.diff(dim=axis))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            state["step"] += 1
            value = float(loss.detach())
            on_step(state["step"], section.codec_steps, value)
            if not math.isfinite(value):
                raise InandoutError(f"the image codec's loss is {value} at step {state['step']}: are the images valid?")
            if stop() or time.monotonic() - last_save > section.checkpoint_seconds:
                checkpoint.save(folder / _CHECKPOINT, {"codec": network}, optimiser, state)
                last_save = time.monotonic()
                if stop():
                    raise Interrupted(f"interrupted at step {state['step']}; run the same command to go on")
    checkpoint.save_tensors(
        {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()},
        folder / _WEIGHTS,
        {"channels": json.dumps(_CHANNELS)},
    )
    return SmallCodec(network)


def _network() -> AutoencoderKL:
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(_CHANNELS),
        up_block_types=("UpDecoderBlock2D",) * len(_CHANNELS),
        block_out_channels=_CHANNELS,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        mid_block_add_attention=False,
    )


def _pieces(images: Sequence[Pixels], rng: np.random.Generator) -> list[Pixels]:
    """Random square pieces of random images, mirrored at random."""
    height, width = images[0].shape[:2]
    rows, columns = min(_PIECE, height), min(_PIECE, width)
    pieces = []
    for _ in range(_BATCH):
        image = images[int(rng.integers(len(images)))]
        top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
        piece = image[top : top + rows, left : left + columns]
        pieces.append(np.ascontiguousarray(piece[:: rng.choice((-1, 1)), :: rng.choice((-1, 1))]))
    return pieces
