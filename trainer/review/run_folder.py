"""What the review takes from a build's run folder."""

import json
import logging
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from inspector import bundle
from inspector.errors import BundleError, DataError
from trainer import stages
from trainer.augment import Material
from trainer.build.index import load_samples
from trainer.recipe import Recipe

logger = logging.getLogger(__name__)
RECIPE = "recipe.json"
WEIGHTS = "weights.json"
FOLDER = "review"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A build's run.

    Attributes:
        path: the folder.
        recipe: as the last build resolved it.
        normals: good images of its training split, in the split's order; at least one.
        defects: real defects of its training split.
        data: the folder of labelled images it was built from, None where the run does not tell.
        weights: the classifier's start weights as `--weights` named them, None where the run does not tell.
    """

    path: Path
    recipe: Recipe
    normals: Sequence[Path]
    defects: Sequence[Path]
    data: Path | None
    weights: str | None

    def material(self) -> Material:
        """What its generators may learn from and draw on."""
        return Material(
            normals=self.normals,
            defects=self.defects,
            spec=self.recipe.input,
            scenario=self.recipe.scenario,
            seed=self.recipe.seed,
            weights=self.weights or "none",
        )

    def default_generator(self) -> str:
        """The build's in-distribution generator; MemSeg for builds without one."""
        chosen = self.recipe.augment
        return chosen.generator if chosen.kind in ("diffusion", "in_and_out") else "memseg"

    def next_build(self) -> str:
        """The command line that builds this run again, with the recipe it has now."""
        words = ["inandout-train", "build"]
        if self.data is not None:
            words += ["--data", str(self.data)]
        words += ["--output", str(self.path), "--recipe", str(recipe_file(self.path))]
        if self.weights is not None:
            words += ["--weights", self.weights]
        return shlex.join(words)


def open_run(path: Path) -> RunFolder:
    """Read a run folder; one of a build without `recipe.json` gets a copy of its recipe in `review/`.

    Raises:
        DataError: it is missing, is no run of a build, or the build has not got as far as its split.
        BundleError: only a damaged bundle could tell the recipe.
        SinkError: the recipe cannot be written.
    """
    if not path.is_dir():
        raise DataError(f"no run at {path}: make one with 'inandout-train build --output {path}'")
    told = (path / RECIPE).is_file()
    provenance = _provenance(path, needed=not told)
    document = _json(path / RECIPE) if told else provenance.get("recipe")
    if document is None:
        raise DataError(f"{path} is not the run of a build: make one with 'inandout-train build --output {path}'")
    if not (path / "split" / "samples.json").is_file():
        raise DataError(f"the build in {path} has not split its images yet: run it again, then review")
    try:
        recipe = Recipe.model_validate(document)
        samples = load_samples(path / "split" / "samples.json")
    except (ValidationError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path} was built by another release ({_first_line(error)}): build it again") from None
    train = [sample for sample in samples if sample.split == "train"]
    normals = [sample.path for sample in train if sample.label == 0]
    missing = next((normal for normal in normals if not normal.is_file()), None)
    if missing is not None:
        raise DataError(f"{missing} of the training split is gone: put the images back where {path} was built from")
    if not normals:
        raise DataError(f"the training split of {path} holds no good image to draw on: build it again with some")
    if not recipe_file(path).is_file():
        recipe_file(path).parent.mkdir(exist_ok=True)
        stages.write_json(recipe_file(path), recipe.model_dump(mode="json"))
    root = _json(path / "index" / "inputs.json").get("root") if (path / "index" / "inputs.json").is_file() else None
    return RunFolder(
        path=path,
        recipe=recipe,
        normals=normals,
        defects=[sample.path for sample in train if sample.label == 1],
        data=None if root is None else Path(root).resolve(),
        weights=(_json(path / WEIGHTS) if (path / WEIGHTS).is_file() else provenance).get("weights"),
    )


def recipe_file(path: Path) -> Path:
    """Where the run's recipe lies: as the build left it, else where `open_run` put it."""
    return path / RECIPE if (path / RECIPE).is_file() else path / FOLDER / RECIPE


def _provenance(path: Path, needed: bool) -> dict[str, Any]:
    """What the run's bundle says of its making; empty where a build on its way has none yet."""
    if not (path / "bundle" / bundle.MANIFEST).is_file():
        return {}
    try:
        return bundle.load(path / "bundle").manifest.provenance
    except BundleError as error:
        if needed:
            raise
        logger.warning("start weights not known: %s", error)
        return {}


def _json(path: Path) -> Any:
    try:
        return stages.read_json(path)
    except (OSError, json.JSONDecodeError) as error:
        raise DataError(f"cannot read {path} ({_first_line(error)}): run the build again") from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
