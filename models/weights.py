"""Start weights of the backbone: torchvision's ImageNet set, or a local safetensors file."""

import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torchvision.models import ResNet50_Weights

logger = logging.getLogger(__name__)


class WeightsError(ValueError):
    """Start weights cannot be used; the message says which file, why, and what to do."""


@dataclass(frozen=True, slots=True)
class StartWeights:
    """Weights to begin with.

    Attributes:
        tensors: by torchvision's parameter names, without `fc`.
        stride_on: the stride layout they were trained with, see `models.classifier.ClassifierConfig`.
        origin: for provenance: a file name or torchvision's name of the set.
    """

    tensors: dict[str, torch.Tensor]
    stride_on: str
    origin: str


def read(path: Path) -> StartWeights:
    """Read a local safetensors file in torchvision's names.

    The file's metadata may say `variant: v1 ...` (stride on each first block's `conv1`); without it
    torchvision's own layout (v1.5) is assumed.

    Raises:
        WeightsError: missing, not safetensors, or holding no ResNet-50 tensor.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            variant = (file.metadata() or {}).get("variant", "v1.5")
            tensors = {name: file.get_tensor(name) for name in file.keys() if not name.startswith("fc.")}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"cannot read weights {path}: {error}; give a safetensors file") from None
    return StartWeights(tensors, "conv1" if variant.split()[0] == "v1" else "conv2", path.name)


def download() -> StartWeights:
    """Fetch torchvision's ImageNet weights (cached by torch.hub).

    Raises:
        WeightsError: no network and nothing cached.
    """
    weights = ResNet50_Weights.IMAGENET1K_V2
    try:
        state = weights.get_state_dict(progress=True, check_hash=True)
    except OSError as error:
        raise WeightsError(
            f"cannot download ImageNet weights from {weights.url} ({error}): "
            "give a local file with --weights PATH, or start from random weights with --weights none"
        ) from None
    tensors = {name: tensor for name, tensor in state.items() if not name.startswith("fc.")}
    return StartWeights(tensors, "conv2", f"torchvision {weights}")


def load(backbone: torch.nn.Module, start: StartWeights) -> list[str]:
    """Copy weights into a backbone whose stride layout matches.

    Returns:
        Names of the backbone's modules that stay freshly initialised, shortest common form (`layer4`).

    Raises:
        WeightsError: a tensor's shape differs, or none belongs to this network.
    """
    own = backbone.state_dict()
    unknown = sorted(set(start.tensors) - set(own))
    wrong = [name for name in start.tensors if name in own and start.tensors[name].shape != own[name].shape]
    if wrong or len(unknown) == len(start.tensors):
        detail = f"{wrong[0]} has shape {tuple(start.tensors[wrong[0]].shape)}" if wrong else "no tensor matches"
        raise WeightsError(f"{start.origin} does not fit a ResNet-50 ({detail}): use torchvision's parameter names")
    if unknown:
        ignored = sorted({name.split(".")[0] for name in unknown})
        logger.info("%s: not part of this network, ignored: %s", start.origin, ", ".join(ignored))
    backbone.load_state_dict({name: start.tensors[name] for name in start.tensors if name in own}, strict=False)
    counters = ".num_batches_tracked"  # of no use to a network that keeps running averages; some files lack them
    return sorted({name.split(".")[0] for name in own if name not in start.tensors and not name.endswith(counters)})
