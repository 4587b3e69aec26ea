"""What fine-tuning will take of the device's memory, counted before it starts."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
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
_SIDES = (8, 16)
# Fragmentation, and workspaces of convolutions.
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

    The batch is halved until it fits; gradients are then accumulated, and the step stays the same size. The networks
    are on `device` afterwards, frozen weights in `dtype`, adapters in float32.

    Raises:
        InandoutError: not even one image of each kind fits.
    """
    networks = adapters.networks(pipeline)
    needed = weights(networks, section, dtype)
    free = _free(device, networks)
    _refuse(needed, free, device, section)
    for network in networks.values():
        move(network, dtype, device)
    needed = replace(
        needed, activations=sum(_activations(pipeline.unet, size, dtype, section) for size in _sizes(data))
    )
    images = -(-section.batch // processes)
    while images > 1 and free is not None and needed.total(images) > free:
        images = -(-images // 2)
    _refuse(needed, free, device, section)
    logger.info(
        "fine-tuning on %s in %s: weights %s, adapters %s, optimiser %s, activations %s an image of each kind; about "
        "%s in all with %d at once, %s free%s",
        device,
        str(dtype).removeprefix("torch."),
        *(_size(size) for size in (needed.weights, needed.adapters, needed.optimiser, needed.activations)),
        _size(needed.total(images)),
        images,
        "unknown" if free is None else _size(free),
        ", gradient checkpointing" if section.gradient_checkpointing else "",
    )
    return images


def weights(networks: Mapping[str, torch.nn.Module], section: StableDiffusionSection, dtype: torch.dtype) -> Memory:
    """Count what fine-tuning takes whatever the images' size."""
    learned = sum(weight.numel() for network in networks.values() for weight in lora.parameters(network))
    every = sum(weight.numel() for network in networks.values() for weight in network.parameters())
    return Memory(
        weights=(every - learned) * dtype.itemsize,
        adapters=learned * _BYTES_AN_ADAPTER_WEIGHT,
        optimiser=learned * _BYTES_OF_STATE[section.optimiser],
        activations=0,
    )


def _activations(
    unet: UNet2DConditionModel, size: tuple[int, int], dtype: torch.dtype, section: StableDiffusionSection
) -> int:
    """Bytes that the UNet keeps for the backward pass of one latent of `size` (height, width).

    Counted on two small latents and extended in proportion to the area, which holds for attention that does not keep
    its matrix. With checkpointing a block keeps its input alone, and one block at a time is computed again.
    """
    small, large = (_kept(unet, side, dtype, section.gradient_checkpointing) for side in _SIDES)
    areas = [side * side for side in _SIDES]
    slope = (large - small) / (areas[1] - areas[0])
    return int(max(0.0, small + slope * (size[0] * size[1] - areas[0])))


def _kept(unet: UNet2DConditionModel, side: int, dtype: torch.dtype, checkpointing: bool) -> int:
    unet.disable_gradient_checkpointing()
    device = unet.device
    latents = torch.zeros(1, unet.config.in_channels, side, side, dtype=dtype, device=device)
    states = torch.zeros(1, 77, unet.config.cross_attention_dim, dtype=dtype, device=device, requires_grad=True)
    with _counted(unet) as count, torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        unet(latents, torch.zeros(1, dtype=torch.long, device=device), encoder_hidden_states=states)
    return count.outside + (count.inputs + max(count.blocks) if checkpointing else sum(count.blocks))


def _sizes(data: TrainingSet) -> list[tuple[int, int]]:
    """The largest latents of each kind."""
    sizes = [[picture.latents[0].mean.shape for picture in kind] for kind in (data.instances, data.priors) if kind]
    return [max(((shape[1], shape[2]) for shape in kind), key=lambda size: size[0] * size[1]) for kind in sizes]


def _refuse(needed: Memory, free: int | None, device: torch.device, section: StableDiffusionSection) -> None:
    if free is not None and needed.total(1) > free:
        hint = "" if section.gradient_checkpointing else ", switch stable_diffusion.gradient_checkpointing on"
        raise InandoutError(
            f"fine-tuning takes about {_size(needed.total(1))} with one image at once, and {device} has "
            f"{_size(free)} free: lower stable_diffusion.bucket_base{hint} or use another device"
        )


def move(network: torch.nn.Module, dtype: torch.dtype, device: torch.device) -> None:
    """Put a network on the device, frozen weights in `dtype`, adapters in float32; nothing in it drops out."""
    learned = {id(parameter) for parameter in lora.parameters(network)}
    for tensor in (*network.parameters(), *network.buffers()):
        kind = torch.float32 if id(tensor) in learned else dtype if tensor.is_floating_point() else None
        tensor.data = tensor.data.to(device, kind)
    network.eval()


def _free(device: torch.device, networks: Mapping[str, torch.nn.Module]) -> int | None:
    """Bytes free on a device, what the networks occupy there already included; None: unknown."""
    held = sum(
        weight.nbytes
        for network in networks.values()
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
    return next((int(line.split()[1]) * 1024 + held for line in lines if line.startswith("MemAvailable:")), None)


@dataclass(slots=True)
class _Count:
    """Bytes kept outside checkpointed blocks, of those blocks' inputs, and inside each."""

    outside: int
    inputs: int
    blocks: list[int]


@contextmanager
def _counted(unet: torch.nn.Module) -> Iterator[_Count]:
    """Count what a forward pass keeps for the backward pass, each tensor once, without weights."""
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


def _size(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"
