"""Stage `fuse`: the memory of good patches, and how much each kind of evidence counts."""

import dataclasses
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from rich.console import Console
from safetensors.torch import load_file

from inspector.preprocess import InputSpec
from models.classifier import Classifier
from models.head import CHANNELS
from models.memory import MemoryConfig, PatchMemory
from models.network import MEMORY, Fusion, Network, Part
from trainer import checkpoint, fusion, heads, patch_memory
from trainer.recipe import Recipe
from trainer.report.judges import Judges
from trainer.stages import read_json, write_json
from trainer.torch_scores import batches
from trainer.training_set import TrainingImage

logger = logging.getLogger(__name__)
_FUSION = "fusion.json"
_MEMORY = "memory.safetensors"


def inputs(recipe: Recipe, trained: str) -> dict[str, Any]:
    """What the stage depends on."""
    memory = recipe.memory.model_dump() if heads.memory_levels(recipe) else None
    return {"train": trained, "head": recipe.model.head, "memory": memory, "seed": recipe.seed}


def work(
    classifier: Classifier,
    recipe: Recipe,
    train: Sequence[TrainingImage],
    validation: Sequence[TrainingImage],
    folder: Path,
    accelerator: Accelerator,
    console: Console,
) -> None:
    """Write `fusion.json`, the parts and what the ways to weigh are worth on validation images, and a memory if asked.

    Raises:
        DataError: too few good images for a memory.
    """
    classifier.to(accelerator.device).eval()
    memory = None
    if heads.memory_levels(recipe):
        normals = [image.path for image in train if image.label == 0]
        with console.status("memory of good patches"):
            memory = _memory(classifier, recipe, normals, accelerator.device)
        tensors = {name: tensor.contiguous() for name, tensor in memory.state_dict().items()}
        checkpoint.save_tensors(tensors, folder / _MEMORY)
    names = [*classifier.heads, *([] if memory is None else [MEMORY])]
    made = fusion.Choice(Fusion({names[0]: Part(1.0)}), {names[0]: 1.0}, {})
    if len(names) > 1:
        network = Network(classifier, memory).to(accelerator.device).eval()
        evidence = _evidence(network, names, [image.path for image in validation], recipe.input, accelerator.device)
        labels = np.array([image.label for image in validation])
        made = fusion.choose(evidence, labels, heads.ways_to_weigh(recipe))
        logger.info(
            "validation AP: %s; judging by %s",
            ", ".join(f"{name} {value:.3f}" for name, value in made.table.items()),
            " + ".join(f"{share:.0%} {name}" for name, share in made.shares.items()),
        )
    stored = None if memory is None else memory.config.as_dict()
    document = {"fusion": made.fusion.as_dict(), "shares": made.shares, "memory": stored}
    write_json(folder / _FUSION, document | {"table": made.table, "compared": heads.compared(recipe)})


def load(classifier: Classifier, folder: Path) -> Network:
    """The network that a finished stage describes, in evaluation mode."""
    stored = read_json(folder / _FUSION)
    memory = None
    if MEMORY in stored["fusion"]["parts"]:
        memory = PatchMemory(MemoryConfig.from_dict(stored["memory"]))
        memory.load_state_dict(load_file(folder / _MEMORY))
    return Network(classifier, memory, Fusion.from_dict(stored["fusion"])).eval()


def judges(folder: Path, synthetic: bool) -> Judges | None:
    """What the report tells of a finished stage; None where a single kind of evidence was asked for."""
    stored = read_json(folder / _FUSION)
    return Judges(stored["table"], stored["shares"], synthetic) if stored["table"] else None


@torch.inference_mode()
def _memory(classifier: Classifier, recipe: Recipe, normals: Sequence[Path], device: torch.device) -> PatchMemory:
    section, spec = recipe.memory, recipe.input
    channels = tuple(CHANNELS[level] for level in section.levels)
    config = MemoryConfig(section.levels, channels, section.grid, section.dimensions)
    affordable = patch_memory.affordable_patches(classifier.backbone, spec.height, spec.width, config)

    def features() -> Iterator[list[torch.Tensor]]:
        for images in batches(normals, spec, device):
            stages = classifier.stages(images)
            yield [stages[level] for level in section.levels]

    limited = dataclasses.replace(config, patches=min(section.patches, affordable))
    made = patch_memory.build(features, limited, recipe.seed, device=device)
    logger.info("memory of good patches: %d from %d images", made.config.patches, len(normals))
    return made


@torch.inference_mode()
def _evidence(
    network: Network, names: Sequence[str], paths: Sequence[Path], spec: InputSpec, device: torch.device
) -> dict[str, fusion.Logits]:
    """Each kind's logits `(N,)` of image files."""
    parts = [network.evidence(images, names) for images in batches(paths, spec, device)]
    return {name: np.concatenate([part[name][0].double().cpu().numpy() for part in parts]) for name in names}
