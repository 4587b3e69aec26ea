"""LoRA-C3Lier: which modules of a Stable Diffusion 1.x or 2.x model get an adapter, of which rank.

LierLa adapts the Linear layers and 1x1 projections of transformer blocks; C3Lier the 3x3 convolutions as well. The
list is read from the network itself and checked, because a trainer that silently adapts less still seems to work.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.downsampling import Downsample2D
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from diffusers.models.upsampling import Upsample2D
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import nn

ADAPTER = "default"
_ATTENTION = tuple(f"attn{n}.{part}" for n in (1, 2) for part in ("to_q", "to_k", "to_v", "to_out.0"))
_TRANSFORMER_BLOCK = (*_ATTENTION, "ff.net.0.proj", "ff.net.2")
_TEXT_LAYER = (
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.out_proj",
    "mlp.fc1",
    "mlp.fc2",
)


class ArchitectureError(ValueError):
    """A network lacks what its adapters would sit on; the message names it."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """Rank and alpha by kind of layer; an adapter's delta is scaled by alpha / rank."""

    linear_rank: int = 32
    linear_alpha: float = 16.0
    conv_rank: int = 4
    conv_alpha: float = 1.0


@dataclass(frozen=True, slots=True)
class Placement:
    """Names of the modules that get an adapter.

    Attributes:
        linear: Linear layers and 1x1 convolutions of transformer blocks.
        conv: 3x3 convolutions of ResNet blocks and samplers.
    """

    linear: tuple[str, ...]
    conv: tuple[str, ...] = ()

    def config(self, ranks: Ranks) -> LoraConfig:
        """The adapters' configuration, each module by its full name."""
        return LoraConfig(
            r=ranks.linear_rank,
            lora_alpha=ranks.linear_alpha,
            target_modules=[*self.linear, *self.conv],
            rank_pattern={f"^{name}": ranks.conv_rank for name in self.conv},
            alpha_pattern={f"^{name}": ranks.conv_alpha for name in self.conv},
            init_lora_weights=True,
        )


def unet_placement(unet: nn.Module) -> Placement:
    """Where C3Lier's adapters sit in a UNet.

    Raises:
        ArchitectureError: not a Stable Diffusion 1.x or 2.x UNet; names what is missing.
    """
    if not isinstance(unet, UNet2DConditionModel):
        raise ArchitectureError(
            f"a {type(unet).__name__} is not the UNet of Stable Diffusion 1.x or 2.x (UNet2DConditionModel)"
        )
    linear: list[str] = []
    conv: list[str] = []
    missing: list[str] = []
    seen: set[type[nn.Module]] = set()
    for name, module in unet.named_modules():
        if isinstance(module, Transformer2DModel):
            seen.add(Transformer2DModel)
            linear += [f"{name}.{inner}" for inner, layer in module.named_modules() if _is_projection(layer)]
            missing += _absent(name, module, ("proj_in", "proj_out"))
        elif isinstance(module, BasicTransformerBlock):
            missing += _absent(name, module, _TRANSFORMER_BLOCK)
        elif isinstance(module, ResnetBlock2D):
            seen.add(ResnetBlock2D)
            conv += [f"{name}.{inner}" for inner, layer in module.named_modules() if _is_three_by_three(layer)]
            missing += _absent(name, module, ("conv1", "conv2"))
        elif isinstance(module, Downsample2D | Upsample2D):
            seen.add(Downsample2D if isinstance(module, Downsample2D) else Upsample2D)
            conv += [f"{name}.{inner}" for inner, layer in module.named_modules() if _is_three_by_three(layer)]
            missing += _absent(name, module, ("conv",))
    wanted = {
        Transformer2DModel: "transformer blocks",
        ResnetBlock2D: "ResNet blocks",
        Downsample2D: "downsamplers",
        Upsample2D: "upsamplers",
    }
    missing += [f"any {words}" for kind, words in wanted.items() if kind not in seen]
    if missing:
        raise ArchitectureError(f"the UNet lacks {_listed(missing)}, which LoRA-C3Lier adapts")
    return Placement(tuple(linear), tuple(conv))


def text_placement(text_encoder: nn.Module, skipped: int = 0) -> Placement:
    """Where adapters sit in a CLIP text encoder.

    Args:
        text_encoder: transformer layers under `...layers.<number>`.
        skipped: layers at the end that clip skip leaves out; what they do reaches no image, so an adapter there
            would never learn.

    Raises:
        ArchitectureError: names what is missing.
    """
    layers = [(name, module) for name, module in text_encoder.named_modules() if _is_text_layer(name)]
    if not layers:
        raise ArchitectureError(f"the text encoder ({type(text_encoder).__name__}) lacks transformer layers as CLIP's")
    if skipped >= len(layers):
        raise ArchitectureError(f"the text encoder has {len(layers)} layers, of which {skipped} cannot be skipped")
    kept = layers[: len(layers) - skipped]
    missing = [part for name, layer in kept for part in _absent(name, layer, _TEXT_LAYER)]
    if missing:
        raise ArchitectureError(f"the text encoder lacks {_listed(missing)}, which LoRA adapts")
    return Placement(
        tuple(
            f"{name}.{inner}"
            for name, layer in kept
            for inner, part in layer.named_modules()
            if isinstance(part, nn.Linear)
        )
    )


def place(model: nn.Module, placement: Placement, ranks: Ranks) -> None:
    """Put fresh adapters in a network and check that they are those ordered.

    By peft's own function: the `add_adapter` of transformers asks for a newer peft than it uses (5.24 for 0.22, which
    was not out). The mark is what diffusers and transformers go by when they save, load and unload adapters.

    Raises:
        ArchitectureError: an adapter is missing, one too many, or of another rank or alpha.
    """
    inject_adapter_in_model(placement.config(ranks), model, ADAPTER)
    model._hf_peft_config_loaded = True  # type: ignore[assignment]
    check_placed(model, placement, ranks)


def adapters(model: nn.Module) -> Iterator[tuple[str, LoraLayer]]:
    """Every adapter in a network, by the name of the module it sits on."""
    for name, module in model.named_modules():
        if isinstance(module, LoraLayer) and ADAPTER in module.lora_A:
            yield name, module


def parameters(model: nn.Module) -> list[nn.Parameter]:
    """The adapters' weights, in the network's order."""
    return [
        parameter
        for _, layer in adapters(model)
        for pair in (layer.lora_A, layer.lora_B)
        for parameter in pair[ADAPTER].parameters()
    ]


def check_placed(model: nn.Module, placement: Placement, ranks: Ranks) -> None:
    """Compare the adapters in a network with what was asked for.

    Raises:
        ArchitectureError: an adapter is missing, one too many, or of another rank or alpha.
    """
    wanted = dict.fromkeys(placement.linear, (ranks.linear_rank, ranks.linear_alpha))
    wanted |= dict.fromkeys(placement.conv, (ranks.conv_rank, ranks.conv_alpha))
    placed = {name: (layer.r[ADAPTER], float(layer.lora_alpha[ADAPTER])) for name, layer in adapters(model)}
    wrong = sorted(name for name in wanted.keys() | placed.keys() if wanted.get(name) != placed.get(name))
    if wrong:
        raise ArchitectureError(f"adapters are not as ordered on {_listed(wrong)}")


def idle_adapters(model: nn.Module) -> list[str]:
    """Names of the modules whose adapter changes nothing, or holds values that are not finite."""
    return [name for name, layer in adapters(model) if not _acts(layer.get_delta_weight(ADAPTER))]


def check_trained(networks: Mapping[str, nn.Module]) -> None:
    """Every adapter of every network must have moved its module's weight.

    Raises:
        ArchitectureError: there is none, or some did not learn.
    """
    for name, network in networks.items():
        if not any(True for _ in adapters(network)):
            raise ArchitectureError(f"the {name} has no adapter")
        if idle := idle_adapters(network):
            raise ArchitectureError(f"after training the {name}'s adapters change nothing on {_listed(idle)}")


def _acts(delta: torch.Tensor) -> bool:
    return bool(delta.isfinite().all() and delta.count_nonzero() > 0)


def _is_projection(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1))


def _is_three_by_three(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3)


def _is_text_layer(name: str) -> bool:
    head, _, number = name.rpartition(".")
    return number.isdigit() and (head == "layers" or head.endswith(".layers"))


def _absent(name: str, module: nn.Module, parts: tuple[str, ...]) -> list[str]:
    """The parts that are no Linear layer or convolution of `module`, by their full names."""
    layers = {inner for inner, layer in module.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)}
    return [f"{name}.{part}" for part in parts if part not in layers]


def _listed(names: list[str], most: int = 3) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
