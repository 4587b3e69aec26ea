"""Latency of each head at the edge: ONNX Runtime on the CPU, batch 1, 200 x 600, beside plain ResNet-50.

    python benchmarks/head_latency.py

The networks have random weights, are exported as a build exports them, and take turns image by image in one process,
so that a change of the machine's speed meets all alike.
"""

import argparse
import dataclasses
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn

from inspector.backends.onnxruntime import OnnxRuntimeBackend
from models.classifier import Classifier
from models.head import CHANNELS
from models.memory import MemoryConfig, PatchMemory
from models.network import MEMORY, Fusion, Network, Part
from trainer import heads, patch_memory
from trainer.build import export
from trainer.recipe import Recipe, resolve

REFERENCE = "plain, paper"
RECIPES = {
    REFERENCE: ("paper", "plain"),
    "plain, default": ("default", "plain"),
    "dense": ("default", "dense"),
    "memory": ("default", "memory"),
    "fused": ("default", "fused"),
}
"""Each network's preset and head; the first one is ResNet-50 under a map of `layer4`, pooled by its mean."""


def network(recipe: Recipe) -> Network:
    """The recipe's network, all of its evidence in use."""
    classifier = Classifier(heads.config(recipe))
    for module in classifier.modules():
        if isinstance(module, nn.BatchNorm2d) and module.affine:
            nn.init.constant_(module.weight, 0.5)  # residual branches start at zero
    memory = filled(classifier, recipe) if heads.memory_levels(recipe) else None
    names = [*classifier.heads, *([] if memory is None else [MEMORY])]
    return Network(classifier, memory, Fusion(dict.fromkeys(names, Part(1 / len(names))))).eval()


def filled(classifier: Classifier, recipe: Recipe) -> PatchMemory:
    """A memory of random patches, as many as the recipe asks for or the backbone's cost allows."""
    section = recipe.memory
    channels = tuple(CHANNELS[level] for level in section.levels)
    config = MemoryConfig(section.levels, channels, section.grid, section.dimensions)
    affordable = patch_memory.affordable_patches(classifier.backbone, recipe.input.height, recipe.input.width, config)
    memory = PatchMemory(dataclasses.replace(config, patches=min(section.patches, affordable)))
    nn.init.orthogonal_(memory.projection)
    memory.bank.normal_(std=section.dimensions**-0.5)
    memory.squares.copy_(memory.bank.square().sum(1))
    return memory


def in_turns(calls: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 5) -> dict[str, list[float]]:
    """Milliseconds of each call, by name; every round calls each once, starting with another one."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    names = list(calls)
    for number in range(warm_up + rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            begun = time.perf_counter()
            calls[name]()
            if number >= warm_up:
                times[name].append(1000 * (time.perf_counter() - begun))
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--threads", type=int, default=0, help="of ONNX Runtime; 0 leaves it to the runtime")
    parser.add_argument("--width", type=int, default=200)
    parser.add_argument("--height", type=int, default=600)
    options = parser.parse_args()
    torch.manual_seed(0)
    size = {"input.width": options.width, "input.height": options.height}
    image = np.random.default_rng(0).integers(0, 255, (1, options.height, options.width, 3), dtype=np.uint8)
    backends, notes = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (preset, head) in RECIPES.items():
            recipe = resolve(preset, {**size, "model.head": head})
            made = network(recipe)
            notes[name] = "" if made.memory is None else f"{made.memory.config.patches} patches"
            export.to_onnx(made, recipe, Path(folder) / export.MODEL)
            backends[name] = OnnxRuntimeBackend(Path(folder) / export.MODEL, options.threads)
    times = in_turns({name: lambda b=backend: b.run(image) for name, backend in backends.items()}, options.rounds)
    runtime = next(iter(backends.values())).name
    print(
        f"{runtime}, {options.width} x {options.height}, batch 1, {options.rounds} rounds in turns; "
        f"ratio to '{REFERENCE}', round by round"
    )
    for name, own in times.items():
        ratio = statistics.median(a / b for a, b in zip(own, times[REFERENCE], strict=True))
        print(
            f"  {name:<16} median {statistics.median(own):7.1f} ms   p95 {np.percentile(own, 95):7.1f} ms   "
            f"ratio {ratio:.2f}   {notes[name]}".rstrip()
        )


if __name__ == "__main__":
    main()
