"""Stage `fuse`: the memory of good patches, and how much each kind of evidence counts."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator

from inspector import imagefile, preprocess
from inspector.preprocess import InputSpec
from models.classifier import Classifier
from models.network import Fusion, Network, Part
from trainer import fusion
from trainer.recipe import Recipe
from trainer.stages import read_json, write_json
from trainer.training_set import TrainingImage

logger = logging.getLogger(__name__)
_FUSION = "fusion.json"
_BATCH = 16


def inputs(recipe: Recipe, trained: str) -> dict[str, Any]:
    """What the stage depends on."""
    return {"train": trained, "head": recipe.model.head, "seed": recipe.seed}


def work(
    classifier: Classifier,
    recipe: Recipe,
    validation: Sequence[TrainingImage],
    folder: Path,
    accelerator: Accelerator,
) -> None:
    """Write `fusion.json`: the parts, and what each kind of evidence is worth on validation images."""
    names = list(classifier.heads)
    if len(names) == 1:
        write_json(folder / _FUSION, {"fusion": Fusion({names[0]: Part(1.0)}).as_dict(), "table": {}})
        return
    network = Network(classifier.to(accelerator.device)).eval()
    evidence = _evidence(network, names, [image.path for image in validation], recipe.input, accelerator.device)
    labels = np.array([image.label for image in validation])
    chosen, table = fusion.choose(evidence, labels, recipe.seed)
    if recipe.model.head == "fused":
        chosen = names
    found = fusion.fit({name: evidence[name] for name in chosen}, labels)
    logger.info(
        "validation AP held out: %s; judging by %s",
        ", ".join(f"{name} {value:.3f}" for name, value in table.items()),
        " + ".join(f"{part.weight:.2f} {name}" for name, part in found.parts.items()),
    )
    write_json(folder / _FUSION, {"fusion": found.as_dict(), "table": table})


def load(classifier: Classifier, folder: Path) -> Network:
    """The network that a finished stage describes, in evaluation mode."""
    return Network(classifier, fusion=Fusion.from_dict(read_json(folder / _FUSION)["fusion"])).eval()


def table(folder: Path) -> dict[str, float]:
    """Average precision of each candidate on validation images its weights were not fitted on; empty for one head."""
    found: dict[str, float] = read_json(folder / _FUSION)["table"]
    return found


@torch.inference_mode()
def _evidence(
    network: Network, names: Sequence[str], paths: Sequence[Path], spec: InputSpec, device: torch.device
) -> dict[str, np.ndarray]:
    """Each kind's logits `(N,)` of image files."""
    parts = [network.evidence(images, names) for images in _batches(paths, spec, device)]
    return {name: np.concatenate([part[name][0].double().cpu().numpy() for part in parts]) for name in names}


def _batches(paths: Sequence[Path], spec: InputSpec, device: torch.device) -> Iterator[torch.Tensor]:
    for start in range(0, len(paths), _BATCH):
        fitted = [preprocess.fit(imagefile.read(path), spec) for path in paths[start : start + _BATCH]]
        yield torch.from_numpy(np.stack(fitted)).to(device)
