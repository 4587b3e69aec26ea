"""A head: features of some stages in, one map and its pooled logit out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import nn
from torch.nn import functional

from models.pooling import Pooling, pool
from models.stored import fields_of

PLAIN, DENSE = "plain", "dense"
CHANNELS = {"layer1": 256, "layer2": 512, "layer3": 1024, "layer4": 2048}

Evidence = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True, slots=True)
class HeadConfig:
    """What it takes to build a head again.

    Attributes:
        pooling, sharpness, share: see `models.pooling.pool`.
        levels: stages whose features the map reads, in order; the map has the first one's grid, coarser ones are
            enlarged to it and added. `("layer4",)` is the paper's head.
        feature_norm: batch-normalise each level's features before its 1x1 convolution, which puts channels of very
            different size on one scale, as standardising does for a linear probe.
        hidden: channels that each level's 1x1 convolution maps to; they are added, rectified, and mapped once more. 0
            maps each level at once, so that the map is linear in the features.
    """

    pooling: Pooling = "mean"
    sharpness: float = 4.0
    share: float = 0.05
    levels: tuple[str, ...] = ("layer4",)
    feature_norm: bool = False
    hidden: int = 0

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` gave, lists in place of tuples included."""
        return cls(**fields_of(stored))


@dataclass(frozen=True, slots=True, eq=False)
class Disturbance:
    """Gaussian noise laid over some places of some images' features: defects that cost no picture.

    Attributes:
        rows: `(n,)` int64, which images of the batch.
        places: `(n, h, w)` bool, where, on the grid of the head's first level.
        strength: standard deviation of the noise, in standard deviations of a channel (of its size, where the head
            does not normalise).
        seed: of the noise.

    Source: Rolih et al., SuperSimpleNet, ICPR 2024.
    """

    rows: torch.Tensor
    places: torch.Tensor
    strength: float
    seed: int

    def apply(self, features: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Disturbed copies of the rows of `features`, `(N, C, h, w)` of each level: `(n, C, h, w)`."""
        generator = torch.Generator().manual_seed(self.seed)
        found = {}
        for name, x in features.items():
            copy = x[self.rows].permute(0, 2, 3, 1).contiguous()
            places = functional.adaptive_max_pool2d(self.places.float(), copy.shape[1:3]) > 0
            noise = torch.randn((int(places.sum()), copy.shape[3]), generator=generator)
            copy[places] = copy[places] + self.strength * noise.to(copy)
            found[name] = copy.permute(0, 3, 1, 2)
        return found


class Head(nn.Module):
    """Maps the backbone's features to a class-activation map and pools it.

    Attributes:
        share: of the cells that top-k pooling takes while training; in evaluation it is always the configuration's.
    """

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        self.config = config
        self.share = config.share
        self.levels = nn.ModuleDict({level: _level(CHANNELS[level], config) for level in config.levels})
        self.last = nn.Sequential(nn.ReLU(), _to_map(config.hidden, 1, 0.01)) if config.hidden else nn.Identity()

    def forward(self, stages: Mapping[str, torch.Tensor], disturbance: Disturbance | None = None) -> Evidence:
        """Read the outputs of the backbone's stages, `(N, C, h, w)` each, by name.

        Returns:
            `logit (N,)` and `cam (N, h, w)` on the grid of the first level (1/8 of the image for `layer2`, 1/16 for
            `layer3`, 1/32 for `layer4`, rounded up); the logit is the pooled map. A disturbance appends its images:
            `(N + n, ...)`.
        """
        features = {name: level[0](stages[name]) for name, level in self._parts()}
        cam = self._map(features)
        if disturbance is not None:
            cam = torch.cat([cam, self._map(disturbance.apply(features))])
        share = self.share if self.training else self.config.share
        return pool(cam, self.config.pooling, self.config.sharpness, share), cam

    def _map(self, features: Mapping[str, torch.Tensor]) -> torch.Tensor:
        cam: torch.Tensor | None = None
        for name, level in self._parts():
            mapped = level[1](features[name])
            if cam is not None:
                mapped = cam + functional.interpolate(mapped, cam.shape[2:], mode="bilinear")
            cam = mapped
        assert cam is not None  # the configuration names at least one level
        return self.last(cam).squeeze(1)

    def _parts(self) -> Iterator[tuple[str, nn.Sequential]]:
        """Each level's normalisation and 1x1 convolution, by its name."""
        yield from self.levels.items()  # type: ignore[misc]


def _level(channels: int, config: HeadConfig) -> nn.Sequential:
    # without a gain of its own: the convolution behind it has one, and frozen features then need no gradient
    norm = nn.BatchNorm2d(channels, affine=False) if config.feature_norm else nn.Identity()
    if config.hidden:
        return nn.Sequential(norm, _to_map(channels, config.hidden, channels**-0.5))
    return nn.Sequential(norm, _to_map(channels, 1, 0.001 if config.feature_norm else 0.01))


def _to_map(channels: int, outputs: int, std: float) -> nn.Conv2d:
    to_map = nn.Conv2d(channels, outputs, kernel_size=1)
    nn.init.normal_(to_map.weight, std=std)
    nn.init.zeros_(to_map.bias)  # type: ignore[arg-type]
    return to_map
