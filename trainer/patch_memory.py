"""Build a memory of normal patches from batches of features that never lie in memory together."""

import copy
import dataclasses
import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any

import numpy.typing as npt
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from inspector.errors import DataError
from models.memory import STRIDES, MemoryConfig, PatchMemory
from trainer.coreset import greedy_k_centre

Maps = Sequence[torch.Tensor | npt.NDArray[Any]]
OnProgress = Callable[[str, int, int | None], None]

CANDIDATES = 300_000
MOST_PATCHES = 10_000
SHARE_OF_BACKBONE = 0.3
_LEAST_DEVIATION = 0.1
_HELD_OUT = 20_000
_NEIGHBOURS = 3
_ROWS = 2048


@torch.no_grad()
def build(
    feature_batches: Callable[[], Iterable[Maps]],
    config: MemoryConfig,
    seed: int,
    on_progress: OnProgress | None = None,
    groups: Sequence[Hashable] | None = None,
    candidates: int = CANDIDATES,
    device: str | torch.device = "cpu",
) -> PatchMemory:
    """Fill a memory in two passes over the features of normal images.

    The first pass takes the channels' statistics, the second keeps `candidates` patches, evenly drawn and projected,
    as float16; greedy k-centre then chooses the memory among them. The projection is random and orthogonal: on our
    sets it loses nothing against all channels, and neither does it need the covariance that a PCA does.

    Args:
        feature_batches: called twice, gives the same batches in the same order each time; a batch has one
            `(N, C, h, w)` array a level, in the order of `config.levels`.
        config: its `patches` is an upper limit, see `affordable_patches`.
        seed: the result depends on it, on the features and on nothing else, not even the batch size.
        on_progress: called with the step's name, what is done and what there is to do, where that is known.
        groups: of each image, equal for pictures of one part (its mirrored copies, for instance); by default each
            image is a part of its own. The typical distance is measured between groups.
        candidates: limits the time and the memory: 600 bytes each.

    Returns:
        The memory in eval mode on the CPU; its config says how many patches it holds.

    Raises:
        DataError: fewer than two groups of images, features that are not finite or not of the configured shape, or
            passes that differ.
    """
    report = on_progress or (lambda step, done, total: None)
    mean, deviation, counts = _statistics(feature_batches, config, report)
    if groups is not None and len(groups) != len(counts):
        raise DataError(f"patch memory: {len(groups)} groups given for {len(counts)} images; give one an image")
    if len(set(range(len(counts)) if groups is None else groups)) < 2:
        raise DataError("patch memory: needs normal images of two different parts or more; add normal images")
    generator = torch.Generator().manual_seed(seed)
    memory = PatchMemory(config)
    memory.projection, memory.offset = _projection(mean, deviation, config.dimensions, generator)
    memory.to(device)
    total = sum(counts)
    kept = torch.randperm(total, generator=generator)[: min(candidates, total)].sort().values
    patches = _candidates(feature_batches, memory, kept, counts, report)
    length = patches.float().square().sum(1).mean().sqrt().clamp_min(1e-12)
    memory.projection, memory.offset = memory.projection / length, memory.offset / length
    patches = (patches.float() / length).half()
    chosen = greedy_k_centre(
        patches, config.patches, seed, lambda done, goal: report("choosing patches", done, goal)
    ).cpu()
    memory.config = dataclasses.replace(config, patches=len(chosen))
    memory.bank = patches[chosen].float()
    memory.squares = memory.bank.square().sum(1)
    memory.spacing = _spacing(memory)
    part = _parts(counts, groups)[kept]
    tried = torch.randperm(len(patches), generator=generator)[:_HELD_OUT]
    distance = _between_parts(memory, patches[tried], part[tried], part[chosen], report)
    memory.location, memory.scale = distance.mean(), distance.std().clamp_min(1e-6)
    return memory.cpu().eval()


def affordable_patches(
    backbone: nn.Module, height: int, width: int, config: MemoryConfig, share: float = SHARE_OF_BACKBONE
) -> int:
    """How many patches keep the memory's multiply-adds under `share` of the backbone's, at most `MOST_PATCHES`.

    Args:
        backbone: torchvision's ResNet without its end, as in `models.classifier.Classifier.backbone`.
        height, width: of the image, pixels.

    Raises:
        DataError: not even one patch fits beside the projection.
    """
    budget = share * multiply_adds(backbone, height, width)
    cells = _cells(height, width, config.stride)
    for level, channels in zip(config.levels, config.channels, strict=True):
        stride = max(config.stride, STRIDES[level])
        budget -= _cells(height, width, stride) * channels * config.dimensions
    patches = int(budget / (cells * config.dimensions))
    if patches < 1:
        raise DataError(
            f"patch memory: no patch fits into {share:.0%} of the backbone's cost at {width} x {height} on the "
            f"{config.grid} grid; lower `dimensions` or take the coarse grid"
        )
    return min(patches, MOST_PATCHES)


def multiply_adds(backbone: nn.Module, height: int, width: int) -> int:
    """Multiply-adds of the backbone's stages for one image, convolutions only, counted on shapes alone."""
    net: Any = copy.deepcopy(backbone).to("meta").eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        x = net.maxpool(net.relu(net.bn1(net.conv1(torch.empty((1, 3, height, width), device="meta")))))
        for stage in ("layer1", "layer2", "layer3", "layer4"):
            if hasattr(net, stage):
                x = getattr(net, stage)(x)
    return counter.get_total_flops() // 2


def _statistics(
    feature_batches: Callable[[], Iterable[Maps]], config: MemoryConfig, report: OnProgress
) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
    """Mean and standard deviation of each channel of all levels, `(sum of channels,)`, and the cells of each image."""
    sums = [torch.zeros(2, channels, dtype=torch.float64) for channels in config.channels]
    cells = [0] * len(config.channels)
    counts: list[int] = []
    for levels in _checked(feature_batches(), config):
        for index, level in enumerate(levels):
            flat = level.transpose(0, 1).flatten(1).double()
            sums[index] += torch.stack([flat.sum(1), flat.square().sum(1)])
            cells[index] += flat.shape[1]
        if not all(bool(found.isfinite().all()) for found in sums):
            raise DataError(
                f"patch memory: features of the normal images {len(counts)} to {len(counts) + len(levels[0]) - 1} are "
                "not finite; train again with a lower learning rate, or look for broken images"
            )
        grid = levels[0 if config.grid == "fine" else -1]
        counts += [grid.shape[2] * grid.shape[3]] * len(grid)
        report("measuring features", len(counts), None)
    if not counts:
        raise DataError("patch memory: no normal image; add normal images")
    moments = torch.cat([found / count for found, count in zip(sums, cells, strict=True)], dim=1)
    deviation = (moments[1] - moments[0].square()).clamp_min(0).sqrt()
    # A channel that is all but silent on normal images must not drown the others in its noise.
    least = _LEAST_DEVIATION * deviation.mean().clamp_min(1e-6)
    return moments[0].float(), deviation.clamp_min(least).float(), counts


def _projection(
    mean: torch.Tensor, deviation: torch.Tensor, dimensions: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Standardise, then project onto random orthogonal directions: `PatchMemory.projection` and its `offset`."""
    directions, _ = torch.linalg.qr(torch.randn(len(mean), dimensions, generator=generator))
    projection = directions.T / deviation
    return projection, -projection @ mean


def _candidates(
    feature_batches: Callable[[], Iterable[Maps]],
    memory: PatchMemory,
    kept: torch.Tensor,
    counts: list[int],
    report: OnProgress,
) -> torch.Tensor:
    """The patches at the positions `kept` of all images' patches in a row: `(len(kept), dimensions)` float16."""
    patches = torch.empty((len(kept), memory.config.dimensions), dtype=torch.float16, device=memory.bank.device)
    images = position = row = 0
    for levels in _checked(feature_batches(), memory.config):
        found = memory.embed([level.to(patches.device) for level in levels]).permute(0, 2, 3, 1).flatten(0, 2)
        until = int(torch.searchsorted(kept, position + len(found)))
        patches[row:until] = found[(kept[row:until] - position).to(found.device)].half()
        images, position, row = images + len(levels[0]), position + len(found), until
        report("reading patches", images, len(counts))
    if position != sum(counts):
        raise DataError(
            f"patch memory: the second reading gave {position} patches, the first {sum(counts)}; the images changed "
            "meanwhile, build again"
        )
    return patches


def _spacing(memory: PatchMemory) -> torch.Tensor:
    """Mean distance of each patch of the memory to its nearest neighbours there, `(patches,)`."""
    spacings = []
    for start in range(0, len(memory.bank), _ROWS):
        block = memory.bank[start : start + _ROWS]
        squared = memory.closeness(block) + block.square().sum(1, keepdim=True)
        nearest = squared.topk(min(_NEIGHBOURS + 1, len(memory.bank)), 1, largest=False).values
        spacings.append(nearest.clamp_min(0).sqrt().sum(1) / max(1, nearest.shape[1] - 1))
    spacing = torch.cat(spacings)
    # a part of the surface without any variation must not make noise there look like a defect
    return spacing.clamp_min(_LEAST_DEVIATION * spacing.mean().clamp_min(1e-6))


def _between_parts(
    memory: PatchMemory, patches: torch.Tensor, parts: torch.Tensor, known: torch.Tensor, report: OnProgress
) -> torch.Tensor:
    """Distances of patches to the nearest one in the memory that shows another part.

    Args:
        parts, known: numbers of the parts that the patches and the memory's patches come from.
    """
    distances = []
    for start in range(0, len(patches), _ROWS):
        block = patches[start : start + _ROWS].float()
        same = (parts[start : start + _ROWS, None] == known).to(block.device)
        nearest = memory.closeness(block).masked_fill_(same, torch.inf).argmin(1)
        distances.append(memory.to_patch(block, nearest)[~same.all(1)].cpu())
        report("measuring distances", start + len(block), len(patches))
    found = torch.cat(distances)
    if len(found) < 2:
        raise DataError(f"patch memory: all {len(known)} patches come from one part; ask for more patches")
    return found


def _parts(counts: list[int], groups: Sequence[Hashable] | None) -> torch.Tensor:
    """Number of the part that each patch of all images comes from."""
    numbers: dict[Hashable, int] = {}
    names = range(len(counts)) if groups is None else groups
    of_image = torch.tensor([numbers.setdefault(name, len(numbers)) for name in names])
    return of_image.repeat_interleave(torch.tensor(counts))


def _checked(batches: Iterable[Maps], config: MemoryConfig) -> Iterator[list[torch.Tensor]]:
    """Each batch's levels as float32 tensors of the configured channels."""
    for maps in batches:
        levels = [torch.as_tensor(level).float() for level in maps]
        shapes = [tuple(level.shape) for level in levels]
        if [shape[1] if len(shape) == 4 else 0 for shape in shapes] != list(config.channels):
            raise DataError(
                f"patch memory: features of shapes {shapes}, wanted (N, C, h, w) with C = {config.channels} for "
                f"{', '.join(config.levels)}"
            )
        yield levels


def _cells(height: int, width: int, stride: int) -> int:
    return math.ceil(height / stride) * math.ceil(width / stride)
