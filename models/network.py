"""The network that is evaluated and exported: the evidence of all heads, and of a memory, as one logit and one map."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import torch
from torch import nn
from torch.nn import functional

from models.classifier import Classifier
from models.head import Evidence
from models.memory import PatchMemory
from models.pooling import pool

MEMORY = "memory"
_STRANGEST = 0.05


@dataclass(frozen=True, slots=True)
class Part:
    """One kind of evidence's part in the fused logit: `weight * (logit - shift)`."""

    weight: float
    shift: float = 0.0


@dataclass(frozen=True, slots=True)
class Fusion:
    """The parts by name, and a constant.

    Attributes:
        parts: of heads and of `memory`; evidence without a part is not computed.
        bias: added to the sum.
    """

    parts: Mapping[str, Part]
    bias: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """JSON-serialisable form; `from_dict` reads it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Read what `as_dict` gave."""
        return cls({name: Part(**part) for name, part in stored["parts"].items()}, stored["bias"])


class Network(nn.Module):
    """Images in, logit and map out.

    The logit is the fusion's sum over the parts' logits. The map is the same sum over their maps, enlarged to the
    finest grid among them: it shows what moved the logit, and for a single part its pooled value is the logit.

    Args:
        classifier: its heads are parts.
        memory: of normal patches; its logit is the mean distance of the strangest twentieth of the cells.
        fusion: None takes the mean over the classifier's heads.
    """

    def __init__(self, classifier: Classifier, memory: PatchMemory | None = None, fusion: Fusion | None = None) -> None:
        super().__init__()
        self.classifier = classifier
        self.memory = memory
        share = Part(1.0 / max(1, len(classifier.heads)))
        self.fusion = fusion or Fusion(dict.fromkeys(classifier.heads, share))

    def forward(self, images: torch.Tensor) -> Evidence:
        """`(N, H, W, 3)` uint8 RGB images to `logit (N,)` and `cam (N, h, w)`."""
        evidence = self.evidence(images, list(self.fusion.parts))
        if len(evidence) == 1 and self.fusion == Fusion({next(iter(evidence)): Part(1.0)}):
            return next(iter(evidence.values()))
        finest = max((cam.shape[1:] for _, cam in evidence.values()), key=lambda shape: shape[0] * shape[1])
        logits, cams = [], []
        for name, part in self.fusion.parts.items():
            logit, cam = evidence[name]
            if cam.shape[1:] != finest:
                cam = functional.interpolate(cam[:, None], finest, mode="bilinear").squeeze(1)
            logits.append(part.weight * (logit - part.shift))
            cams.append(part.weight * (cam - part.shift))
        return torch.stack(logits).sum(0) + self.fusion.bias, torch.stack(cams).sum(0) + self.fusion.bias

    def evidence(self, images: torch.Tensor, names: Sequence[str]) -> dict[str, Evidence]:
        """The named kinds of evidence."""
        stages = self.classifier.stages(images)
        found = {}
        for name in names:
            if name == MEMORY:
                assert self.memory is not None  # a fusion with a memory comes with one
                cam = self.memory([stages[level] for level in self.memory.config.levels])
                found[name] = pool(cam, "topk", 1.0, _STRANGEST), cam
            else:
                found[name] = self.classifier.heads[name](stages)
        return found
