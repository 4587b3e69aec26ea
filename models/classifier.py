"""The trained network: torchvision's ResNet-50 under one or more heads."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import torch
from torch import nn
from torchvision.models import resnet50

from models.head import DENSE, Disturbance, Evidence, Head, HeadConfig
from models.stored import fields_of

STAGES = ("conv1", "layer1", "layer2", "layer3", "layer4")


@dataclass(frozen=True, slots=True)
class ClassifierConfig:
    """What it takes to build the network again.

    Attributes:
        heads: by name.
        last: the backbone's last stage; None takes the last one that a head reads.
        stride_on: convolution of each stage's first block that carries the stride: `conv2` is torchvision's
            layout (v1.5), `conv1` the original one (v1), which some published weights were trained with.
        mean, std: per RGB channel on the 0..1 scale.
    """

    heads: Mapping[str, HeadConfig] = field(default_factory=lambda: {"plain": HeadConfig()})
    last: str | None = None
    stride_on: str = "conv2"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def as_dict(self) -> dict[str, object]:
        """JSON-serialisable form; `from_dict` reads it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Read what `as_dict` gave, lists in place of tuples included."""
        heads = {name: HeadConfig.from_dict(head) for name, head in stored["heads"].items()}
        return cls(**fields_of(stored) | {"heads": heads})


class Classifier(nn.Module):
    """Images in, each head's logit and class-activation map out; normalisation is part of the network."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        # Residual branches start at zero: a freshly initialised stage then passes its input on undisturbed.
        backbone = resnet50(weights=None, zero_init_residual=True)
        place_stride(backbone, config.stride_on)
        del backbone.fc, backbone.avgpool
        read = [level for head in config.heads.values() for level in head.levels]
        last = config.last or max(read, key=STAGES.index)
        for stage in STAGES[STAGES.index(last) + 1 :]:
            delattr(backbone, stage)
        self.backbone = backbone
        self.heads = nn.ModuleDict({name: Head(head) for name, head in config.heads.items()})
        self.register_buffer("mean", 255.0 * torch.tensor(config.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", 255.0 * torch.tensor(config.std).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: torch.Tensor, disturbance: Disturbance | None = None) -> dict[str, Evidence]:
        """Each head's logit and map of `(N, H, W, 3)` uint8 RGB images; see `models.head.Head`.

        Args:
            images: to look at.
            disturbance: shown to the head `dense` alone, which then answers with more images than came in.
        """
        stages = self.stages(images)
        return {name: head(stages, disturbance if name == DENSE else None) for name, head in self.heads.items()}

    def stages(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Outputs `(N, C, h, w)` of the backbone's stages from `layer1` on, by name."""
        net = self.backbone
        x = (images.permute(0, 3, 1, 2).float() - self.mean) / self.std
        x = net.maxpool(net.relu(net.bn1(net.conv1(x))))
        found = {}
        for stage in STAGES[1:]:
            if not hasattr(net, stage):
                break
            x = found[stage] = getattr(net, stage)(x)
        return found


def place_stride(backbone: nn.Module, stride_on: str) -> None:
    """Move the stride of layer2-4's first blocks to `conv1` or `conv2`; weights are untouched."""
    for stage in ("layer2", "layer3", "layer4"):
        block = getattr(backbone, stage)[0]
        block.conv1.stride = (2, 2) if stride_on == "conv1" else (1, 1)
        block.conv2.stride = (1, 1) if stride_on == "conv1" else (2, 2)
