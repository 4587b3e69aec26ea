"""A memory of normal patches: how far each place of an image lies from everything that normal images showed."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import torch
from torch import nn
from torch.nn import functional

from models.stored import fields_of

STRIDES = {"layer1": 4, "layer2": 8, "layer3": 16, "layer4": 32}
_ROWS = 4096


@dataclass(frozen=True, slots=True)
class MemoryConfig:
    """What it takes to build the memory again.

    Attributes:
        levels: stages of the backbone whose features are read, from fine to coarse.
        channels: of each level.
        grid: whose cells the map has: the first (`fine`) or the last level's (`coarse`).
        dimensions: of a patch after projection.
        patches: how many the memory holds.
        reweight: count distances in units of the spacing of the memory around the nearest patch, so that what lies
            off a uniform part of the surface weighs more than what lies off a varied one.
    """

    levels: tuple[str, ...] = ("layer2", "layer3")
    channels: tuple[int, ...] = (512, 1024)
    grid: Literal["fine", "coarse"] = "coarse"
    dimensions: int = 256
    patches: int = 10_000
    reweight: bool = True

    def __post_init__(self) -> None:
        strides = [STRIDES.get(level, 0) for level in self.levels]
        if not strides or 0 in strides or strides != sorted(set(strides)) or len(strides) != len(self.channels):
            raise ValueError(f"levels {self.levels} of {self.channels} channels: stages from fine to coarse, one each")
        if self.grid not in ("fine", "coarse") or not 0 < self.dimensions <= sum(self.channels) or self.patches < 1:
            raise ValueError(f"a memory of {self.patches} patches x {self.dimensions} on the grid {self.grid!r}")

    @property
    def stride(self) -> int:
        """Pixels of the image that a cell of the map stands for, on each axis."""
        return STRIDES[self.levels[0 if self.grid == "fine" else -1]]

    def as_dict(self) -> dict[str, object]:
        """JSON-serialisable form; `from_dict` reads it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Read what `as_dict` gave, lists in place of tuples included."""
        return cls(**fields_of(stored))


class PatchMemory(nn.Module):
    """Feature maps in, map of distances to the nearest normal patch out; `trainer.patch_memory.build` fills it.

    Everything is a buffer, nothing is trained. The matrix product only chooses the nearest patch; the distance is
    then taken from the difference itself, so that fp16 and int8 products cost a neighbour of second choice at worst
    and never a difference of two large numbers.

    Buffers:
        projection: `(dimensions, sum of channels)`, `offset`: `(dimensions,)`. The affine map of a patch, its
            standardisation included. Normal patches have a mean squared length of 1 afterwards, far from fp16's ends.
        bank: `(patches, dimensions)`, `squares`: `(patches,)`, its rows' squared lengths.
        spacing: `(patches,)`, mean distance of each to its nearest neighbours in the memory.
        location, scale: scalars, mean and standard deviation of the distance of normal patches that are not in the
            memory.

    Source: Roth et al., Towards Total Recall in Industrial Anomaly Detection (PatchCore), CVPR 2022. The spacing stands
    in for its re-weighting, which compares the strongest patch with several neighbours and costs a gather of each.
    """

    projection: torch.Tensor
    offset: torch.Tensor
    bank: torch.Tensor
    squares: torch.Tensor
    spacing: torch.Tensor
    location: torch.Tensor
    scale: torch.Tensor

    def __init__(self, config: MemoryConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("projection", torch.zeros(config.dimensions, sum(config.channels)))
        self.register_buffer("offset", torch.zeros(config.dimensions))
        self.register_buffer("bank", torch.zeros(config.patches, config.dimensions))
        self.register_buffer("squares", torch.zeros(config.patches))
        self.register_buffer("spacing", torch.ones(config.patches))
        self.register_buffer("location", torch.zeros(()))
        self.register_buffer("scale", torch.ones(()))

    def forward(self, levels: Sequence[torch.Tensor]) -> torch.Tensor:
        """Map how unusual each place is.

        Args:
            levels: `(N, C, h, w)` of each level, in the order of `config.levels`; each has half the cells of the one
                before on each axis, rounded up, as the backbone gives them.

        Returns:
            `(N, h, w)` on `config.grid`: distances in standard deviations of normal patches, which lie around 0.
        """
        found = self.embed(levels)
        patches = found.permute(0, 2, 3, 1).flatten(0, 2)
        distance = self.distance(patches).reshape(found.shape[0], found.shape[2], found.shape[3])
        return (distance - self.location) / self.scale

    def embed(self, levels: Sequence[torch.Tensor]) -> torch.Tensor:
        """Patches `(N, dimensions, h, w)` on `config.grid`: features averaged over 3x3 cells and projected."""
        total: torch.Tensor | None = None
        weights = self.projection.split(self.config.channels, dim=1)
        for name, x, weight in zip(self.config.levels, levels, weights, strict=True):
            finer = STRIDES[name]
            while finer < self.config.stride:
                # centred on the coarser level's cells, which come from convolutions of the same stride and padding
                x = functional.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
                finer *= 2
            x = functional.conv2d(x, weight[:, :, None, None])
            if STRIDES[name] >= self.config.stride:  # after the projection, because it leaves fewer channels
                x = functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
            if total is not None and STRIDES[name] > self.config.stride:
                x = functional.interpolate(x, total.shape[2:], mode="bilinear")
            total = x if total is None else total + x
        assert total is not None  # the configuration names at least one level
        return total + self.offset[:, None, None]

    def distance(self, patches: torch.Tensor) -> torch.Tensor:
        """Distances `(n,)` of patches `(n, dimensions)` to the nearest one in the memory."""
        # In eager mode a part at a time, because the distances to all patches of the memory are large.
        parts = (patches,) if torch.compiler.is_exporting() else patches.split(_ROWS)
        return torch.cat([self.to_patch(part, self.closeness(part).argmin(1)) for part in parts])

    def closeness(self, patches: torch.Tensor) -> torch.Tensor:
        """Squared distances `(n, config.patches)` less the patches' own squared lengths."""
        return functional.linear(-2 * patches, self.bank, self.squares)

    def to_patch(self, patches: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        """Distances `(n,)` to the memory's patches at `index`, `(n,)`, re-weighted if the config says so."""
        difference = patches - self.bank.index_select(0, index)
        distance = (difference * difference).sum(1).sqrt()
        return distance / self.spacing.index_select(0, index) if self.config.reweight else distance
