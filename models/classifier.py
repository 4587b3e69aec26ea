"""The paper's classifier: torchvision's ResNet-50 with one logit, pooled from its class-activation map."""

from dataclasses import asdict, dataclass

import torch
from torch import nn
from torchvision.models import resnet50

from models.pooling import Pooling, pool

STAGES = ("conv1", "layer1", "layer2", "layer3", "layer4")


@dataclass(frozen=True, slots=True)
class ClassifierConfig:
    """What it takes to build the network again.

    Attributes:
        pooling, sharpness, share: see `models.pooling.pool`.
        stride_on: convolution of each stage's first block that carries the stride: `conv2` is torchvision's
            layout (v1.5), `conv1` the original one (v1), which some published weights were trained with.
        mean, std: per RGB channel on the 0..1 scale.
    """

    pooling: Pooling = "mean"
    sharpness: float = 4.0
    share: float = 0.05
    stride_on: str = "conv2"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def as_dict(self) -> dict[str, object]:
        """JSON-serialisable form."""
        return asdict(self)


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
        features = backbone.fc.in_features
        del backbone.fc, backbone.avgpool
        self.backbone = backbone
        self.head = nn.Conv2d(features, 1, kernel_size=1)
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]
        self.register_buffer("mean", 255.0 * torch.tensor(config.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", 255.0 * torch.tensor(config.std).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Score images.

        Args:
            images: `(N, H, W, 3)` uint8 RGB.

        Returns:
            `logit (N,)` and `cam (N, H/32, W/32)`; the logit is the pooled map.
        """
        x = (images.permute(0, 3, 1, 2).float() - self.mean) / self.std
        net = self.backbone
        x = net.maxpool(net.relu(net.bn1(net.conv1(x))))
        x = net.layer4(net.layer3(net.layer2(net.layer1(x))))
        cam = self.head(x).squeeze(1)
        return pool(cam, self.config.pooling, self.config.sharpness, self.config.share), cam


def place_stride(backbone: nn.Module, stride_on: str) -> None:
    """Move the stride of layer2-4's first blocks to `conv1` or `conv2`; weights are untouched."""
    for stage in ("layer2", "layer3", "layer4"):
        block = getattr(backbone, stage)[0]
        block.conv1.stride = (2, 2) if stride_on == "conv1" else (1, 1)
        block.conv2.stride = (1, 1) if stride_on == "conv1" else (2, 2)
