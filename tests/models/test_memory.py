"""The memory of normal patches: its geometry and distances by hand, fp16, and the exported graph."""

import dataclasses
import json
import logging

import numpy as np
import onnxruntime
import pytest
import torch
from torch.nn import functional

from models.memory import MemoryConfig, PatchMemory

SMALL = MemoryConfig(levels=("layer2", "layer3"), channels=(6, 10), dimensions=8, patches=40)


def filled(config, seed=0):
    """A memory of random patches of a mean squared length near 1, as those of `features` are."""
    generator = torch.Generator().manual_seed(seed)
    channels = sum(config.channels)
    memory = PatchMemory(config).eval()
    memory.projection = (
        torch.randn(config.dimensions, channels, generator=generator) * (3 / channels / config.dimensions) ** 0.5
    )
    memory.offset = 0.01 * torch.randn(config.dimensions, generator=generator)
    memory.bank = torch.randn(config.patches, config.dimensions, generator=generator) / config.dimensions**0.5
    memory.squares = memory.bank.square().sum(1)
    memory.spacing = 0.5 + torch.rand(config.patches, generator=generator)
    memory.location, memory.scale = torch.tensor(0.9), torch.tensor(0.25)
    return memory


def features(config, n, height, width, seed=1):
    generator = torch.Generator().manual_seed(seed)
    strides = {"layer1": 4, "layer2": 8, "layer3": 16, "layer4": 32}
    return [
        torch.rand(n, c, -(-height // strides[level]), -(-width // strides[level]), generator=generator)
        for level, c in zip(config.levels, config.channels, strict=True)
    ]


def mean_3x3(level, row, column):
    """The mean of the cells around one, by slicing; cells outside do not count."""
    return level[:, max(0, row - 1) : row + 2, max(0, column - 1) : column + 2].mean((1, 2))


@pytest.mark.parametrize("grid", ["coarse", "fine"])
def test_a_patch_is_the_projected_mean_of_its_neighbourhood_on_each_level(grid):
    memory = filled(dataclasses.replace(SMALL, grid=grid))
    levels = features(SMALL, 1, 72, 40)
    fine, coarse = levels[0][0], levels[1][0]
    with torch.inference_mode():
        found = memory.embed(levels)[0]
    if grid == "coarse":
        cells = [(r, c, mean_3x3(fine, 2 * r, 2 * c), mean_3x3(coarse, r, c)) for r in range(5) for c in range(3)]
    else:
        means = torch.stack([torch.stack([mean_3x3(coarse, r, c) for c in range(3)], 1) for r in range(5)], 1)
        enlarged = functional.interpolate(means[None], (9, 5), mode="bilinear")[0]
        cells = [(r, c, mean_3x3(fine, r, c), enlarged[:, r, c]) for r in range(9) for c in range(5)]
    assert found.shape[1:] == {"coarse": (5, 3), "fine": (9, 5)}[grid]
    for row, column, *parts in cells:
        expected = memory.projection @ torch.cat(parts) + memory.offset
        torch.testing.assert_close(found[:, row, column], expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("reweight", [False, True])
def test_the_map_is_the_standardised_distance_to_the_nearest_patch(reweight):
    memory = filled(dataclasses.replace(SMALL, reweight=reweight))
    levels = features(SMALL, 2, 72, 40)
    with torch.inference_mode():
        patches = memory.embed(levels).permute(0, 2, 3, 1)
        distance, nearest = torch.cdist(patches.reshape(-1, 8).double(), memory.bank.double()).min(1)
        if reweight:
            distance = distance / memory.spacing[nearest]
        expected = ((distance - 0.9) / 0.25).reshape(2, 5, 3).float()
        torch.testing.assert_close(memory(levels), expected, atol=1e-5, rtol=1e-4)


def test_many_patches_are_taken_a_part_at_a_time_without_a_difference():
    memory = filled(SMALL)
    patches = torch.randn(5000, 8, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        whole = memory.distance(patches)
        torch.testing.assert_close(whole[4090:4100], memory.distance(patches[4090:4100]))


def test_what_the_memory_holds_is_at_distance_zero():
    memory = filled(SMALL)
    with torch.inference_mode():
        torch.testing.assert_close(memory.distance(memory.bank), torch.zeros(40), atol=0, rtol=0)


@pytest.mark.parametrize("outlier", [1.0, 100.0], ids=["normal", "hundred times as far"])
def test_half_precision_neither_overflows_nor_loses_small_distances(outlier):
    config = MemoryConfig(patches=2000)
    memory = filled(config)
    levels = [outlier * level for level in features(config, 1, 96, 64)]
    with torch.inference_mode():
        exact, half = memory(levels), memory.half()([level.half() for level in levels]).float()
    assert bool(half.isfinite().all())
    torch.testing.assert_close(half, exact, atol=0.05, rtol=0.02)


@pytest.mark.parametrize(
    ("config", "height", "width"),
    [
        (SMALL, 72, 40),
        (dataclasses.replace(SMALL, grid="fine"), 72, 40),
        (dataclasses.replace(SMALL, grid="fine", reweight=False), 64, 96),
        (dataclasses.replace(SMALL, levels=("layer1", "layer3")), 64, 96),
        (MemoryConfig(levels=("layer3",), channels=(10,), dimensions=8, patches=40), 50, 33),
        (MemoryConfig(patches=500), 96, 64),
    ],
    ids=["coarse", "fine", "fine, plain distances", "two strides apart", "one level", "real sizes"],
)
def test_the_exported_graph_agrees(tmp_path, monkeypatch, config, height, width):
    monkeypatch.setattr(logging.getLogger("torch.onnx"), "level", logging.ERROR)
    memory = filled(config)
    with torch.inference_mode():
        torch.onnx.export(
            memory,
            (features(config, 2, height, width),),
            tmp_path / "m.onnx",
            input_names=list(config.levels),
            output_names=["map"],
            dynamic_shapes=([{0: torch.export.Dim("batch", min=1)}] * len(config.levels),),
            opset_version=20,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
        for n in (1, 3):
            levels = features(config, n, height, width, seed=n)
            fed = {name: level.numpy() for name, level in zip(config.levels, levels, strict=True)}
            (found,) = session.run(None, fed)
            np.testing.assert_allclose(found, memory(levels).numpy(), atol=1e-4)


def test_a_fresh_memory_of_the_stored_config_takes_the_stored_tensors():
    memory = filled(SMALL)
    again = PatchMemory(MemoryConfig.from_dict(json.loads(json.dumps(SMALL.as_dict()))))
    assert again.config == SMALL
    again.load_state_dict(memory.state_dict())
    levels = features(SMALL, 1, 72, 40)
    with torch.inference_mode():
        torch.testing.assert_close(again(levels), memory(levels), atol=0, rtol=0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"levels": ("layer3", "layer2")},
        {"levels": ("layer2", "head")},
        {"channels": (6,)},
        {"levels": (), "channels": ()},
        {"grid": "middle"},
        {"dimensions": 17},
        {"patches": 0},
    ],
    ids=str,
)
def test_a_config_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match="levels|memory"):
        dataclasses.replace(SMALL, **wrong)
