"""Load a diffusion pipeline, whole or not at all: from a folder in diffusers' layout or from the hub."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from inspector.errors import InandoutError
from inspector.optional import require

diffusers = require("diffusers", "drawing with Stable Diffusion")
transformers = require("transformers", "drawing with Stable Diffusion")

# Bars over the reading of local files; downloads keep theirs.
diffusers.utils.logging.disable_progress_bar()
transformers.utils.logging.disable_progress_bar()

_PARTS = {
    "unet": "UNet2DConditionModel",
    "vae": "AutoencoderKL",
    "text_encoder": "CLIPTextModel",
    "tokenizer": "CLIPTokenizer",
}
_BEYOND = ("transformer", "text_encoder_2", "text_encoder_3")
_LIBRARIES = {"diffusers": diffusers, "transformers": transformers}
_REFUSALS = (OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError, SafetensorError)
_TOKENIZER_FILES = (("tokenizer.json",), ("vocab.json", "merges.txt"), ("spiece.model",))
_FEWEST_TOKENS = 256  # byte-level BPE knows every byte; a tokenizer whose files are missing knows two tokens


def load(base: str) -> Any:
    """Load a Stable Diffusion 1.x or 2.x pipeline for text to image, in full precision, on the CPU.

    Weights come from safetensors files only, the safety checker stays out, and a tensor that the files lack is an
    error; diffusers and transformers would fill it with noise.

    Args:
        base: a folder in diffusers' layout, or a hub id.

    Returns:
        `diffusers.StableDiffusionPipeline`.

    Raises:
        InandoutError: no such folder, hub out of reach, weights missing or damaged, another architecture.
    """
    folder = _local(base)
    index = _index(folder, base)
    wrong = [
        f"its {name} is {_class(index, name) or 'missing'}"
        for name, kind in _PARTS.items()
        if _class(index, name).removesuffix("Fast") != kind
    ]
    wrong += [f"it has a {name}" for name in _BEYOND if _class(index, name)]
    if wrong:
        raise InandoutError(f"{base} is not a Stable Diffusion 1.x or 2.x model ({', '.join(wrong)}): name one that is")
    pipeline = _assemble(diffusers.StableDiffusionPipeline, folder, index, base)
    channels = pipeline.unet.config.in_channels
    if channels != 4:
        raise InandoutError(
            f"{base} is not a text-to-image model (its UNet takes {channels} channels instead of 4): "
            "name the model it was made from; inpainting models serve the generator 'inpaint'"
        )
    return pipeline


def load_inpainting(base: str) -> Any:
    """Load an inpainting pipeline: one made for it (9-channel UNet), or any that diffusers can inpaint with.

    Args, Raises: as `load`.
    """
    folder = _local(base)
    index = _index(folder, base)
    return _assemble(diffusers.AutoPipelineForInpainting, folder, index, base)


def ready(pipeline: Any, device: str | torch.device, dtype: torch.dtype) -> Any:
    """Move a pipeline to where it draws, silence its bars, and return it."""
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            torch.nn.Module.to(part, device=device, dtype=dtype)  # diffusers' own warns at every change of type
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _local(base: str) -> Path:
    """The pipeline's folder on this machine, downloaded where `base` is a hub id."""
    path = Path(base).expanduser()
    if path.is_dir():
        return path
    if path.is_absolute() or base.startswith((".", "~")) or base.count("/") != 1 or path.exists():
        raise InandoutError(f"no folder {base}: name a Stable Diffusion folder in diffusers' layout, or a hub id")
    try:
        return Path(diffusers.DiffusionPipeline.download(base, use_safetensors=True))
    except _REFUSALS as error:
        raise InandoutError(
            f"{base} is no folder here and cannot be fetched from the hub ({_short(error)}): "
            "download it where there is a network and name its folder as 'base'"
        ) from None


def _index(folder: Path, base: str) -> dict[str, Any]:
    try:
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InandoutError(
            f"{base} is not a pipeline in diffusers' layout (model_index.json: {_short(error)}): "
            "convert a single-file checkpoint with diffusers' from_single_file and save_pretrained"
        ) from None
    if not isinstance(index, dict):
        raise InandoutError(f"{base} is not a pipeline in diffusers' layout (model_index.json is not a mapping)")
    return index


def _assemble(pipeline: Any, folder: Path, index: Mapping[str, Any], base: str) -> Any:
    """Load every network strictly, then the pipeline around them."""
    parts: dict[str, Any] = {}
    for name in index:
        kind = getattr(_LIBRARIES.get(_library(index, name)), _class(index, name), None)
        if name != "safety_checker" and isinstance(kind, type) and issubclass(kind, torch.nn.Module):
            parts[name] = _network(kind, folder / name, base)
    if "tokenizer" in index and not _has_words(folder / "tokenizer"):
        raise InandoutError(f"{base} lacks its tokenizer's files in {folder / 'tokenizer'}: fetch the model again")
    if "safety_checker" in index:
        parts |= {"safety_checker": None, "requires_safety_checker": False}
    try:
        made = pipeline.from_pretrained(folder, use_safetensors=True, local_files_only=True, **parts)
    except _REFUSALS as error:
        raise InandoutError(f"cannot load {base} ({_short(error)}): fetch the model again") from None
    if getattr(made, "tokenizer", None) is not None and len(made.tokenizer) < _FEWEST_TOKENS:
        raise InandoutError(f"{base} has a tokenizer of {len(made.tokenizer)} tokens: fetch the model again")
    return made


def _network(kind: Any, folder: Path, base: str) -> torch.nn.Module:
    """One network, float32, with every tensor from the file."""
    files = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    if not files:
        pickled = [path.name for path in folder.glob("*.bin")] if folder.is_dir() else []
        hint = f"{pickled[0]} could run code when opened and is never read; " if pickled else ""
        raise InandoutError(f"{base} lacks weights: no safetensors file in {folder}: {hint}fetch it with safetensors")
    half = all(".fp16." in path.name for path in files)
    options = {"variant": "fp16"} if half else {}
    try:
        network, report = kind.from_pretrained(
            folder, use_safetensors=True, local_files_only=True, output_loading_info=True, **options
        )
    except _REFUSALS as error:
        raise InandoutError(f"the weights in {folder} cannot be loaded ({_short(error)}): fetch them again") from None
    missing = sorted(report["missing_keys"])
    if missing:
        raise InandoutError(
            f"the weights in {folder} lack {len(missing)} tensor(s), {missing[0]} for one: fetch them again"
        )
    return network.float().eval()


def _has_words(folder: Path) -> bool:
    return any(all((folder / name).is_file() for name in names) for names in _TOKENIZER_FILES)


def _library(index: Mapping[str, Any], name: str) -> str:
    entry = index.get(name)
    return str(entry[0]) if isinstance(entry, list) and len(entry) == 2 else ""


def _class(index: Mapping[str, Any], name: str) -> str:
    """The component's class name; empty where the pipeline has none."""
    entry = index.get(name)
    return str(entry[1] or "") if isinstance(entry, list) and len(entry) == 2 else ""


def _short(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."
