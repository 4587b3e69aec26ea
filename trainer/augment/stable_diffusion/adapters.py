"""LoRA-C3Lier adapters in a pipeline: placed, saved, loaded, and exported to the kohya format."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline
from peft import get_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file

from inspector import atomic
from inspector.errors import DataError
from models import lora
from trainer.checkpoint import save_tensors
from trainer.generator_sections import StableDiffusionSection

WEIGHTS = "pytorch_lora_weights.safetensors"
"""The file's name in diffusers' format."""
_PREFIXES = {"unet": "lora_unet", "text_encoder": "lora_te_text_model"}


def networks(pipeline: StableDiffusionPipeline, text_encoder: bool = True) -> dict[str, Any]:
    """The networks that take adapters, by their names in the pipeline."""
    return {"unet": pipeline.unet} | ({"text_encoder": pipeline.text_encoder} if text_encoder else {})


def place(pipeline: StableDiffusionPipeline, section: StableDiffusionSection, seed: int) -> None:
    """Freeze the pipeline and put fresh float32 adapters in it, the same ones for the same seed.

    Raises:
        DataError: the model is no Stable Diffusion 1.x or 2.x; names what is missing.
    """
    if any(True for network in networks(pipeline).values() for _ in lora.adapters(network)):
        pipeline.unload_lora_weights()
    ranks = lora.Ranks(section.linear_rank, section.linear_alpha, section.conv_rank, section.conv_alpha)
    try:
        placements = {"unet": lora.unet_placement(pipeline.unet)}
        if section.text_encoder:
            placements["text_encoder"] = lora.text_placement(pipeline.text_encoder, skipped=section.clip_skip - 1)
        for part in (pipeline.unet, pipeline.text_encoder, pipeline.vae):
            part.requires_grad_(False)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            for name, placement in placements.items():
                network = getattr(pipeline, name)
                lora.place(network, placement, ranks)
                for parameter in lora.parameters(network):
                    parameter.data = parameter.data.float()
    except lora.ArchitectureError as error:
        raise DataError(f"cannot fine-tune {section.base}: {error}") from None


def save(pipeline: StableDiffusionPipeline, folder: Path) -> None:
    """Write the adapters to `folder` in diffusers' format, whole or not at all.

    Alphas travel in the file's metadata: without them a reader takes them for the ranks.

    Raises:
        OSError: the disk refuses.
    """
    held = {name: net for name, net in networks(pipeline).items() if any(True for _ in lora.adapters(net))}
    states = {f"{name}_lora_layers": _state(network) for name, network in held.items()}
    metadata = {
        f"{name}_lora_adapter_metadata": network.peft_config[lora.ADAPTER].to_dict() for name, network in held.items()
    }
    staging = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        staging.mkdir(parents=True)
        try:
            StableDiffusionPipeline.save_lora_weights(staging, weight_name=WEIGHTS, **states, **metadata)
        except SafetensorError as error:
            raise OSError(f"{error}") from error
        atomic.sync(staging / WEIGHTS)
        atomic.swap_in(staging, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def load_into(pipeline: StableDiffusionPipeline, folder: Path) -> None:
    """Put the adapters that `save` wrote into a pipeline, in place of any it holds.

    Raises:
        DataError: no adapters there, a damaged file, or adapters of another model.
    """
    file = folder / WEIGHTS
    if not file.is_file():
        raise DataError(f"no adapters in {folder}: fine-tune first")
    if any(True for network in networks(pipeline).values() for _ in lora.adapters(network)):
        pipeline.unload_lora_weights()
    try:
        stored = load_file(file)
        pipeline.load_lora_weights(str(folder), weight_name=WEIGHTS, adapter_name=lora.ADAPTER)
    except (SafetensorError, OSError) as error:
        raise DataError(f"the adapters {file} are damaged ({_first_line(error)}): fine-tune again") from None
    except (RuntimeError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"the adapters {file} do not fit this model ({_first_line(error)})") from None
    held = {
        f"{name}.{key}": tensor
        for name, network in networks(pipeline).items()
        if any(True for _ in lora.adapters(network))
        for key, tensor in get_peft_model_state_dict(network, adapter_name=lora.ADAPTER).items()
    }
    different = [key for key in sorted(stored.keys() | held.keys()) if not _same(stored.get(key), held.get(key))]
    if different:
        raise DataError(
            f"the adapters {file} do not fit this model: {len(different)} of {len(stored)} tensors did not "
            f"arrive, {different[0]} for one"
        )


def export_kohya(pipeline: StableDiffusionPipeline, file: Path) -> None:
    """Write the adapters as one file in the key format of kohya's scripts and the web interfaces that read it.

    Every adapter carries its own alpha, in float32.

    Raises:
        OSError: the disk refuses.
    """
    tensors: dict[str, torch.Tensor] = {}
    for name, network in networks(pipeline).items():
        for module, layer in lora.adapters(network):
            # The text encoder's layers lie under `text_model` there, whatever transformers calls them.
            key = f"{_PREFIXES[name]}_{module.removeprefix('text_model.').replace('.', '_')}"
            tensors[f"{key}.lora_down.weight"] = _plain(layer.lora_A[lora.ADAPTER].weight)
            tensors[f"{key}.lora_up.weight"] = _plain(layer.lora_B[lora.ADAPTER].weight)
            tensors[f"{key}.alpha"] = torch.tensor(float(layer.lora_alpha[lora.ADAPTER]))
    staging = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        save_tensors(tensors, staging)
        staging.replace(file)
    finally:
        staging.unlink(missing_ok=True)


def _state(network: torch.nn.Module) -> Mapping[str, torch.Tensor]:
    """An adapter's tensors under peft's own keys; any conversion loses some of them when they are read."""
    state = get_peft_model_state_dict(network, adapter_name=lora.ADAPTER)
    return {key: _plain(tensor) for key, tensor in state.items()}


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().to("cpu", torch.float32).contiguous().clone()


def _same(one: torch.Tensor | None, other: torch.Tensor | None) -> bool:
    """Whether a tensor of the file arrived; diffusers leaves those that the file lacks without data."""
    return one is not None and other is not None and not other.is_meta and torch.equal(one.float(), _plain(other))


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__
