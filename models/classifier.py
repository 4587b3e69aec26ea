"""The classifier: torchvision's ResNet-50 with one logit, pooled from a class-activation map."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import torch
from torch import nn
from torch.nn import functional
from torchvision.models import resnet50

from models.pooling import Pooling, pool

STAGES = ("conv1", "layer1", "layer2", "layer3", "layer4")
_CHANNELS = {"layer1": 256, "layer2": 512, "layer3": 1024, "layer4": 2048}


@dataclass(frozen=True, slots=True)
class ClassifierConfig:
    """What it takes to build the network again.

    Attributes:
        pooling, sharpness, share: see `models.pooling.pool`.
        levels: stages whose features the map reads, in order; the map has the first one's grid, coarser ones are
            enlarged to it and added. `("layer4",)` is the paper's network. Stages after the last one are dropped.
        feature_norm: batch-normalise each level's features before its 1x1 convolution, which puts channels of very
            different size on one scale, as standardising does for a linear probe.
        hidden: channels that each level's 1x1 convolution maps to; they are added, rectified, and mapped once more. 0
            maps each level at once, so that the map is linear in the features.
        stride_on: convolution of each stage's first block that carries the stride: `conv2` is torchvision's
            layout (v1.5), `conv1` the original one (v1), which some published weights were trained with.
        mean, std: per RGB channel on the 0..1 scale.
    """

    pooling: Pooling = "mean"
    sharpness: float = 4.0
    share: float = 0.05
    levels: tuple[str, ...] = ("layer4",)
    feature_norm: bool = False
    hidden: int = 0
    stride_on: str = "conv2"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def as_dict(self) -> dict[str, object]:
        """JSON-serialisable form; `from_dict` reads it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Read what `as_dict` gave, lists in place of tuples included."""
        fields: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in stored.items()}
        return cls(**fields)


class Classifier(nn.Module):
    """Images in, logit and class-activation map out; normalisation is part of the network."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        # Residual branches start at zero: a freshly initialised stage then passes its input on undisturbed.
        backbone = resnet50(weights=None, zero_init_residual=True)
        place_stride(backbone, config.stride_on)
        del backbone.fc, backbone.avgpool
        for stage in STAGES[STAGES.index(config.levels[-1]) + 1 :]:
            delattr(backbone, stage)
        self.backbone = backbone
        self.heads = nn.ModuleDict({level: _head(_CHANNELS[level], config) for level in config.levels})
        self.last = nn.Sequential(nn.ReLU(), _map(config.hidden, 1, 0.01)) if config.hidden else nn.Identity()
        self.register_buffer("mean", 255.0 * torch.tensor(config.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", 255.0 * torch.tensor(config.std).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Score images.

        Args:
            images: `(N, H, W, 3)` uint8 RGB.

        Returns:
            `logit (N,)` and `cam (N, h, w)` on the grid of the first level (1/16 of the image for `layer3`, 1/32 for
            `layer4`, rounded up); the logit is the pooled map.
        """
        x = (images.permute(0, 3, 1, 2).float() - self.mean) / self.std
        net = self.backbone
        x = net.maxpool(net.relu(net.bn1(net.conv1(x))))
        cam: torch.Tensor | None = None
        for stage in STAGES[1:]:
            if not hasattr(net, stage):
                break
            x = getattr(net, stage)(x)
            if stage in self.heads:
                level = self.heads[stage](x)
                cam = level if cam is None else cam + functional.interpolate(level, cam.shape[2:], mode="bilinear")
        assert cam is not None  # the configuration names at least one level
        cam = self.last(cam).squeeze(1)
        return pool(cam, self.config.pooling, self.config.sharpness, self.config.share), cam


def _head(channels: int, config: ClassifierConfig) -> nn.Sequential:
    norm = nn.BatchNorm2d(channels) if config.feature_norm else nn.Identity()
    if config.hidden:
        return nn.Sequential(norm, _map(channels, config.hidden, channels**-0.5))
    return nn.Sequential(norm, _map(channels, 1, 0.001 if config.feature_norm else 0.01))


def _map(channels: int, outputs: int, std: float) -> nn.Conv2d:
    to_map = nn.Conv2d(channels, outputs, kernel_size=1)
    nn.init.normal_(to_map.weight, std=std)
    nn.init.zeros_(to_map.bias)  # type: ignore[arg-type]
    return to_map


def place_stride(backbone: nn.Module, stride_on: str) -> None:
    """Move the stride of layer2-4's first blocks to `conv1` or `conv2`; weights are untouched."""
    for stage in ("layer2", "layer3", "layer4"):
        block = getattr(backbone, stage)[0]
        block.conv1.stride = (2, 2) if stride_on == "conv1" else (1, 1)
        block.conv2.stride = (1, 1) if stride_on == "conv1" else (2, 2)
