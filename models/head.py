"""A head: features of some stages in, one map and its pooled logit out."""

from collections.abc import Mapping
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

    def forward(self, stages: Mapping[str, torch.Tensor]) -> Evidence:
        """Read the outputs of the backbone's stages, `(N, C, h, w)` each, by name.

        Returns:
            `logit (N,)` and `cam (N, h, w)` on the grid of the first level (1/8 of the image for `layer2`, 1/16 for
            `layer3`, 1/32 for `layer4`, rounded up); the logit is the pooled map.
        """
        cam: torch.Tensor | None = None
        for name, level in self.levels.items():
            mapped = level(stages[name])
            if cam is not None:
                mapped = cam + functional.interpolate(mapped, cam.shape[2:], mode="bilinear")
            cam = mapped
        assert cam is not None  # the configuration names at least one level
        cam = self.last(cam).squeeze(1)
        share = self.share if self.training else self.config.share
        return pool(cam, self.config.pooling, self.config.sharpness, share), cam


def _level(channels: int, config: HeadConfig) -> nn.Sequential:
    norm = nn.BatchNorm2d(channels) if config.feature_norm else nn.Identity()
    if config.hidden:
        return nn.Sequential(norm, _to_map(channels, config.hidden, channels**-0.5))
    return nn.Sequential(norm, _to_map(channels, 1, 0.001 if config.feature_norm else 0.01))


def _to_map(channels: int, outputs: int, std: float) -> nn.Conv2d:
    to_map = nn.Conv2d(channels, outputs, kernel_size=1)
    nn.init.normal_(to_map.weight, std=std)
    nn.init.zeros_(to_map.bias)  # type: ignore[arg-type]
    return to_map
