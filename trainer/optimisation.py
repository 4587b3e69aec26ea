"""What moves the weights, and how far: parameter groups, learning-rate schedule, frozen stages."""

import math
from collections.abc import Sequence
from typing import Any

import torch

from models.classifier import STAGES, Classifier
from models.head import Head
from models.pooling import narrowed
from trainer.recipe import TrainSection


def learning_rate(recipe: TrainSection, step: int, per_epoch: int) -> float:
    """The schedule: linear warm-up, then cosine to zero or constant."""
    warmup = recipe.warmup_epochs * per_epoch
    if step < warmup:
        return recipe.learning_rate * (step + 1) / warmup
    if recipe.schedule == "constant":
        return recipe.learning_rate
    done = (step - warmup) / max(1.0, recipe.epochs * per_epoch - warmup)
    return recipe.learning_rate * 0.5 * (1.0 + math.cos(math.pi * done))


def narrow_pooling(model: Classifier, recipe: TrainSection, done: float) -> None:
    """Set the heads' top-k pooling for the part `done`, 0..1, of the training; see `models.pooling.narrowed`."""
    for head in model.heads.children():
        assert isinstance(head, Head)
        head.share = narrowed(head.config.share, done, recipe.pool_warmup)


def make_optimiser(model: Classifier, recipe: TrainSection, fresh: Sequence[str]) -> torch.optim.Optimizer:
    """Two groups: freshly initialised parts at the full learning rate, loaded ones at `loaded_scale` of it."""
    slow: list[torch.nn.Parameter] = []
    fast: list[torch.nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            loaded = name.startswith("backbone.") and name.split(".")[1] not in fresh
            (slow if loaded else fast).append(parameter)
    groups: list[dict[str, Any]] = [{"params": fast, "scale": 1.0}, {"params": slow, "scale": recipe.loaded_scale}]
    groups = [group for group in groups if group["params"]]
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(
            groups,
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            nesterov=recipe.momentum > 0,
        )
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)


def frozen_modules(model: Classifier, frozen: str) -> list[torch.nn.Module]:
    """The backbone's modules up to and including the stage `frozen`."""
    if frozen == "none":
        return []
    names = [*STAGES[: STAGES.index(frozen) + 1], "bn1"]
    return [getattr(model.backbone, name) for name in names if hasattr(model.backbone, name)]


def freeze(model: Classifier, frozen: str) -> None:
    """Stop gradients into the frozen stages."""
    for module in frozen_modules(model, frozen):
        module.requires_grad_(False)


def keep_frozen_statistics(model: Classifier, frozen: str) -> None:
    """After `train()`: frozen stages keep their batch statistics."""
    for module in frozen_modules(model, frozen):
        module.eval()
