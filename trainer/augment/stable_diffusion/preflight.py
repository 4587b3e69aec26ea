"""What fine-tuning will take of the device's memory, counted before it starts."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.resnet import ResnetBlock2D

from inspector.errors import InandoutError
from models import lora
from trainer.augment.stable_diffusion import adapters
from trainer.augment.stable_diffusion.dataset import TrainingSet
from trainer.generator_sections import StableDiffusionSection

logger = logging.getLogger(__name__)
_GIB = 2**30
# Autocast keeps a second, float32 copy of what norms are given.
_AUTOCAST = 1.5
# Fragmentation, workspaces of convolutions, autocast's copies of the adapters.
_MARGIN = 1.1
_BYTES_AN_ADAPTER_WEIGHT = 8  # value and gradient
_BYTES_OF_STATE = {"adamw8bit": 2, "adamw": 8}


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes that fine-tuning takes.

    Attributes:
        weights: frozen weights of UNet and text encoder.
        adapters: adapters and their gradients.
        optimiser: its state.
        activations: of one image of each kind.
    """

    weights: int
    adapters: int
    optimiser: int
    activations: int

    def total(self, images: int) -> int:
        """With `images` of each kind at once, margin included."""
        return int(_MARGIN * (self.weights + self.adapters + self.optimiser + images * self.activations))


def check(
    pipeline: StableDiffusionPipeline,
    data: TrainingSet,
    section: StableDiffusionSection,
    dtype: torch.dtype,
    device: torch.device,
    processes: int,
) -> int:
    """Say what fine-tuning will use, and how many images of each kind go through the network at once.

    The batch is halved until it fits; gradients are then accumulated, and the step stays the same size.

    Raises:
        InandoutError: not even one image of each kind fits.
    """
    needed = estimate(pipeline, data, section, dtype)
    free = free_bytes(device, pipeline)
    images = -(-section.batch // processes)
    while images > 1 and free is not None and needed.total(images) > free:
        images = -(-images // 2)
    if free is not None and needed.total(images) > free:
        hint = "" if section.gradient_checkpointing else ", switch stable_diffusion.gradient_checkpointing on"
        raise InandoutError(
            f"fine-tuning takes about {_gib(needed.total(1))} with one image at once, and {device} has "
            f"{_gib(free)} free: lower stable_diffusion.bucket_base{hint} or use another device"
        )
    logger.info(
        "fine-tuning on %s in %s: weights %s, adapters %s, optimiser %s, activations %s an image of each kind; about "
        "%s in all with %d at once, %s free%s",
        device,
        str(dtype).removeprefix("torch."),
        *(_gib(size) for size in (needed.weights, needed.adapters, needed.optimiser, needed.activations)),
        _gib(needed.total(images)),
        images,
        "unknown" if free is None else _gib(free),
        ", gradient checkpointing" if section.gradient_checkpointing else "",
    )
    return images


def estimate(
    pipeline: StableDiffusionPipeline, data: TrainingSet, section: StableDiffusionSection, dtype: torch.dtype
) -> Memory:
    """Count the memory of fine-tuning a pipeline with adapters in it."""
    networks = adapters.networks(pipeline)
    learned = sum(weight.numel() for network in networks.values() for weight in lora.parameters(network))
    every = sum(weight.numel() for network in networks.values() for weight in network.parameters())
    sizes = [
        max((picture.latents[0].mean.shape[1:] for picture in pictures), key=lambda size: size[0] * size[1])
        for pictures in (data.instances, data.priors)
        if pictures
    ]
    return Memory(
        weights=(every - learned) * dtype.itemsize,
        adapters=learned * _BYTES_AN_ADAPTER_WEIGHT,
        optimiser=learned * _BYTES_OF_STATE[section.optimiser],
        activations=sum(activations(pipeline.unet, size, dtype, section.gradient_checkpointing) for size in sizes),
    )


def activations(unet: UNet2DConditionModel, size: tuple[int, int], dtype: torch.dtype, checkpointing: bool) -> int:
    """Bytes that the UNet keeps for the backward pass of one latent of `size` (height, width).

    Counted by running a copy without data, on the meta device. With checkpointing a block keeps its input alone, and
    one block at a time is computed again.
    """
    with torch.device("meta"):
        copy: Any = type(unet).from_config(unet.config)
        copy.add_adapter(unet.peft_config[lora.ADAPTER], adapter_name=lora.ADAPTER)
        torch.nn.Module.to(copy, dtype).requires_grad_(False)
        for weight in lora.parameters(copy):
            weight.requires_grad_(True)
        copy.set_attn_processor(_LeanAttention())
        latents = torch.empty(1, unet.config.in_channels, *size, dtype=dtype)
        states = torch.empty(1, 77, unet.config.cross_attention_dim, dtype=dtype, requires_grad=True)
        with _counted(copy) as count:
            copy(latents, torch.zeros(1, dtype=torch.long), encoder_hidden_states=states)
    factor = 1.0 if dtype == torch.float32 else _AUTOCAST
    kept = count.outside + (count.inputs + max(count.blocks) if checkpointing else sum(count.blocks))
    return int(factor * kept)


def free_bytes(device: torch.device, pipeline: StableDiffusionPipeline) -> int | None:
    """Bytes free for fine-tuning on a device, what the pipeline occupies there already included; None: unknown."""
    held = sum(
        weight.nbytes
        for network in adapters.networks(pipeline).values()
        for weight in network.parameters()
        if weight.device.type == device.type
    )
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + unused + held
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), 0) + held


@dataclass(slots=True)
class _Count:
    """Bytes kept outside checkpointed blocks, of those blocks' inputs, and inside each."""

    outside: int
    inputs: int
    blocks: list[int]


@contextmanager
def _counted(unet: torch.nn.Module) -> Iterator[_Count]:
    """Count what a forward pass on the meta device keeps for the backward pass, each tensor once."""
    count, inside, seen = _Count(0, 0, [0]), False, []
    known = {id(weight) for weight in (*unet.parameters(), *unet.buffers())}

    def enter(_block: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        nonlocal inside
        inside = True
        count.blocks.append(0)
        count.inputs += given[0].nbytes

    def leave(_block: torch.nn.Module, _given: Any, _answer: Any) -> None:
        nonlocal inside
        inside = False

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        base = tensor if tensor._base is None else tensor._base
        if id(base) not in known:
            known.add(id(base))
            seen.append(base)  # or its id would be given to another tensor
            if inside:
                count.blocks[-1] += base.nbytes
            else:
                count.outside += base.nbytes
        return tensor

    handles = [
        handle
        for block in unet.modules()
        if isinstance(block, ResnetBlock2D | BasicTransformerBlock)
        for handle in (block.register_forward_pre_hook(enter), block.register_forward_hook(leave))
    ]
    try:
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            yield count
    finally:
        for handle in handles:
            handle.remove()


class _Kept(torch.autograd.Function):
    """Stands for attention that keeps its inputs and its answer, and never the matrix of weights."""

    @staticmethod
    def forward(ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        answer = torch.empty_like(query)
        ctx.save_for_backward(query, key, value, answer)
        return answer


class _LeanAttention:
    """An attention processor for counting: projections as they are, attention by `_Kept`."""

    def __call__(
        self,
        attn: Any,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        **_options: Any,
    ) -> torch.Tensor:
        source = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        answer = _Kept.apply(attn.to_q(hidden_states), attn.to_k(source), attn.to_v(source))
        return attn.to_out[1](attn.to_out[0](answer))


def _gib(size: int) -> str:
    return f"{size / _GIB:.2f} GiB"
