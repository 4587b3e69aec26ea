"""Stage `generate`: pools of synthetic defects for training, and for calibration where no real defect is at hand."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import Accelerator

from inspector import imagefile, preprocess
from trainer.augment import Augmenter, Learner, Material, feature_space, registry
from trainer.augment.features import Features
from trainer.augment.gate import Gate
from trainer.augment.mix import CANDIDATES, split
from trainer.build import pools
from trainer.data.samples import Sample
from trainer.recipe import Recipe
from trainer.report.generation import GenerationFigures
from trainer.stages import read_json, write_json

logger = logging.getLogger(__name__)
FIGURES = "figures.json"
CALIBRATION = "calibration"
_CALIBRATION_DEFECTS = 60
_CALIBRATION_SEED = 1_000_003
_IMITATIONS = 60
_FEWEST_SHOWN, _MOST_SHOWN = 3, 100


def generators(recipe: Recipe) -> dict[str, str]:
    """The generators that training pools come from, by the half of the mix they serve: `memseg`, `diffusion`."""
    halves = {"memseg": ("memseg",), "diffusion": ("diffusion",), "in_and_out": ("memseg", "diffusion")}
    names = {"memseg": "memseg", "diffusion": recipe.augment.generator}
    return {half: names[half] for half in halves.get(recipe.augment.kind, ())}


def wanted(recipe: Recipe) -> dict[str, int]:
    """How many gated images each training pool needs; `auto` needs enough for its largest candidate."""
    names, chosen = generators(recipe), recipe.augment
    if chosen.n == "auto":
        return dict.fromkeys(names.values(), max(CANDIDATES))
    share = chosen.share if len(names) == 2 else float("diffusion" in names)
    counts = split(chosen.n, share)
    return {name: counts[half] for half, name in names.items() if counts[half]}


def inputs(recipe: Recipe, weights: str, divided: str, fine_tuned: str | None) -> dict[str, Any]:
    """What the stage depends on."""
    gate = recipe.gate.model_dump()
    section = getattr(recipe, recipe.augment.generator).model_dump(mode="json") if fine_tuned else None
    return {
        "split": divided,
        "fine_tune": fine_tuned,
        "augment": recipe.augment.model_dump(mode="json"),
        "section": section,
        "gate": gate | {"weights": weights},
        "input": recipe.input.model_dump(),
        "seed": recipe.seed,
    }


def work(
    train: Material,
    calibration: Material | None,
    recipe: Recipe,
    fine_tuned: Path | None,
    folder: Path,
    accelerator: Accelerator,
    on_kept: Callable[[str, int, int], None] = lambda name, kept, wanted: None,
) -> None:
    """Fill one pool a generator, one for calibration if `calibration` is given, and `figures.json`.

    Raises:
        DataError: no image of a pool passed the gate, or a generator refuses its images.
    """
    gate = features = None
    if wanted(recipe) and recipe.gate.enabled and train.weights == "none":
        logger.warning("the gate compares trained features, and start weights are 'none': every image drawn is kept")
    elif wanted(recipe) and recipe.gate.enabled:
        features = Features(train.weights, str(accelerator.device))
        imitation = list(registry.create("memseg", train, recipe).generate(_IMITATIONS, recipe.seed + 1))
        gate = Gate.learn(train, features, recipe.gate, imitation)
    for name, count in wanted(recipe).items():
        pools.fill(
            _ready(name, train, recipe, fine_tuned, accelerator),
            count,
            recipe.seed,
            folder / name,
            gate,
            recipe.gate.attempts,
            lambda kept, count, name=name: on_kept(name, kept, count),  # type: ignore[misc]
        )
    if calibration is not None:
        # MemSeg whatever the recipe trains on: it asks for good images alone
        augmenter = registry.create("memseg", calibration, recipe)
        pools.fill(augmenter, _CALIBRATION_DEFECTS, recipe.seed + _CALIBRATION_SEED, folder / CALIBRATION, None, 1)
    figures: dict[str, Any] = {"thresholds": None, "space": None}
    if gate is not None and features is not None:
        figures = {"thresholds": gate.figures(), "space": _space(train, recipe, features, folder)}
    write_json(folder / FIGURES, figures)
    write_json(
        folder / pools.RECORDS,
        [
            record | {"path": f"{name}/{record['path']}", "split": "val" if name == CALIBRATION else "train"}
            for name in (*wanted(recipe), *([] if calibration is None else [CALIBRATION]))
            for record in read_json(folder / name / pools.RECORDS)
            if record["kept"]
        ],
    )


def figures(folder: Path, recipe: Recipe, searched: Sequence[Mapping[str, Any]] | None) -> GenerationFigures | None:
    """What the report tells of the synthetic defects; None where training has none."""
    rows = []
    for name in wanted(recipe):
        records = read_json(folder / name / pools.RECORDS)
        reasons = Counter(record["reason"] for record in records if not record["kept"])
        rows.append({"generator": name, "drawn": len(records), "kept": len(records) - reasons.total(), **reasons})
    if not rows:
        return None
    space = read_json(folder / FIGURES)["space"]
    return GenerationFigures(
        gate=rows,
        features=None if space is None else {name: np.array(points) for name, points in space.items()},
        chosen=searched,
    )


def _space(train: Material, recipe: Recipe, features: Features, folder: Path) -> dict[str, list[list[float]]] | None:
    """Real and synthetic images in the plane of `trainer.augment.feature_space`, some of each group."""
    groups: dict[str, Sequence[Path]] = {"real normal": train.normals, "real defect": train.defects}
    for name in wanted(recipe):
        groups["memseg" if name == "memseg" else "diffusion"] = pools.kept(folder / name)
    if sum(map(len, groups.values())) < _FEWEST_SHOWN:
        return None
    maps = {}
    for name, paths in groups.items():
        chosen = (
            [paths[index] for index in np.unique(np.linspace(0, len(paths) - 1, _MOST_SHOWN).astype(int))]
            if paths
            else []
        )
        if chosen:
            maps[name] = features.of(preprocess.fit(imagefile.read(path), recipe.input) for path in chosen)
    return {name: points.round(3).tolist() for name, points in feature_space.project(maps).items()}


def calibration_material(train: Material, samples: Sequence[Sample]) -> Material | None:
    """The good validation images to paint defects on, where validation holds no real one; else None."""
    if any(sample.label == 1 for sample in samples if sample.split == "val"):
        return None
    normals = [sample.path for sample in samples if sample.split == "val" and sample.label == 0]
    if not normals:
        return None
    return Material(normals, [], train.spec, train.scenario, train.seed, train.weights)


def _ready(
    name: str, material: Material, recipe: Recipe, fine_tuned: Path | None, accelerator: Accelerator
) -> Augmenter:
    augmenter = registry.create(name, material, recipe)
    if isinstance(augmenter, Learner):
        assert fine_tuned is not None  # a learner's pool comes after its fine-tuning
        augmenter.load(fine_tuned, str(accelerator.device))
    return augmenter
