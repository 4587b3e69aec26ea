"""Recipes: every choice of a build, typed, with unknown keys refused and all errors reported together."""

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, field_validator

from calibration.policies import parse
from inspector.errors import RecipeError
from inspector.optional import require
from inspector.preprocess import InputSpec
from trainer.generator_sections import (
    GateSection,
    InDomainSection,
    InpaintSection,
    StableDiffusionSection,
    StrokesSection,
)
from trainer.section import Section

yaml = require("yaml", "reading a recipe")

Scenario = Literal["zero_shot", "few_shot", "full_shot"]
Supervision = Literal["image", "mixed", "pixel"]
Generator = Literal["stable_diffusion", "inpaint", "in_domain", "strokes"]
Level = Literal["layer1", "layer2", "layer3", "layer4"]


def _in_order(levels: tuple[str, ...]) -> tuple[str, ...]:
    """Check a list of the network's stages: each once, from fine to coarse."""
    if list(levels) != sorted(set(levels)):
        raise ValueError("give each level once, in the network's order, e.g. [layer3, layer4]")
    return levels


Levels = Annotated[tuple[Level, ...], AfterValidator(_in_order)]


class DataSection(Section):
    """How the folder is read and split.

    Attributes:
        resplit: forget the splits the data set brings (MVTec's training split, for one, holds no defect).
        val_fraction, test_fraction: of splits that the data set does not bring.
        few_shot: real defects that the scenario `few_shot` trains on.
    """

    layout: Literal["auto", "ksdd2", "ksdd", "mvtec", "folders", "manifest"] = "auto"
    resplit: bool = False
    val_fraction: float = Field(0.2, gt=0, lt=0.6)
    test_fraction: float = Field(0.2, ge=0, lt=0.6)
    few_shot: int = Field(5, ge=1)


class AugmentSection(Section):
    """Synthetic defects added to the training split.

    Attributes:
        kind: `memseg` (out of distribution), `diffusion` (in distribution: `generator`), `in_and_out` (both), `none`;
            `auto` is `in_and_out` in zero_shot; in few_shot too, with `n` picked on validation images unless it is
            given; and `none` in full_shot.
        generator: where in-distribution defects come from.
        n: how many in all; `auto` picks number and share on real validation images, or takes 100 where these lack a
            class.
        share: of in-distribution defects in `in_and_out`.
        textures: folder of texture pictures for `memseg`; None draws them by rule.
        line_share: share of `memseg` masks that are thin and winding as cracks.
    """

    kind: Literal["auto", "none", "memseg", "diffusion", "in_and_out"] = "auto"
    generator: Generator = "in_domain"
    n: Annotated[int, Field(ge=0)] | Literal["auto"] = 100
    share: float = Field(0.5, ge=0, le=1)
    textures: Path | None = None
    line_share: float = Field(0.0, ge=0, le=1)


class HeadSection(Section):
    """A head: the map's pooling (`models.pooling.pool`) and the features it reads (`models.head.HeadConfig`)."""

    pooling: Literal["mean", "lse", "topk"] = "mean"
    sharpness: float = Field(4.0, gt=0)
    share: float = Field(0.05, gt=0, le=1)
    levels: Levels = Field(("layer4",), min_length=1)
    feature_norm: bool = False
    hidden: int = Field(0, ge=0)


class ModelSection(HeadSection):
    """Which evidence judges an image, and the settings of the head `plain`.

    Attributes:
        head: `plain` (a map pooled over the whole image, the paper's), `dense` (section `dense`: a fine map, taught
            wherever a mask is known for free), `memory` (section `memory`: distance to patches of good images),
            `fused` (all three), or `auto` (the one, or the sum of several, that validation favours).
    """

    head: Literal["plain", "dense", "memory", "fused", "auto"] = "plain"


class DenseSection(HeadSection):
    """The head `dense`.

    Attributes:
        pixel_loss: weight of the loss on single cells (`trainer.pixel_truth`) beside that on the image's label.
        noise: strength of the noise that turns copies of good images into defects (`trainer.feature_noise`), in
            standard deviations of a feature; 0 shows none.
        supervision: `image` uses no mask of a real defect, `mixed` those that are there, `pixel` demands one for each.
    """

    pooling: Literal["mean", "lse", "topk"] = "topk"
    share: float = Field(0.01, gt=0, le=1)
    levels: Levels = Field(("layer2", "layer3"), min_length=1)
    feature_norm: bool = True
    hidden: int = Field(128, ge=0)
    pixel_loss: float = Field(1.0, ge=0)
    noise: float = Field(1.0, ge=0)
    supervision: Supervision = "image"


class MemorySection(Section):
    """The memory of normal patches (`models.memory.PatchMemory`).

    Attributes:
        levels: stages whose features make a patch.
        grid: the map's cells are those of the first (`fine`) or of the last level (`coarse`).
        dimensions: of a patch after projection.
        patches: at most; fewer where they would cost more than 30 % of the backbone.
    """

    levels: Levels = Field(("layer2", "layer3"), min_length=1)
    grid: Literal["fine", "coarse"] = "coarse"
    dimensions: int = Field(256, ge=1)
    patches: int = Field(10_000, ge=1)


class TrainSection(Section):
    """The classifier's training.

    Attributes:
        batch: images a step, over all processes.
        learning_rate: of freshly initialised parts; loaded parts get `learning_rate * loaded_scale`.
        schedule: `cosine` to zero after a linear warm-up of `warmup_epochs`, or `constant`.
        pool_warmup: part of the training in which top-k pooling narrows from all cells to its share.
        defect_share: defects are repeated until they are this share of an epoch; None leaves the data as it is.
        synthetic_worth: where real and synthetic defects meet, all synthetic ones together are drawn as often as so
            many real ones, so that they step back where real ones are many; None leaves the data as it is.
        frozen: stages before and including this one keep their weights and batch statistics.
        ema: decay a step of the weights' moving average that is evaluated and exported; 0 switches it off.
        flips: mirror at random, horizontally and vertically.
        jitter: largest relative change of brightness and contrast.
        precision: `auto` is bf16 where the device computes in it, full precision on a CPU.
        checkpoint_seconds: a checkpoint is written at the end of each epoch, and in between this often.
    """

    epochs: int = Field(20, ge=1)
    batch: int = Field(8, ge=1)
    optimiser: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = Field(0.01, gt=0)
    loaded_scale: float = Field(1.0, ge=0, le=1)
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(1e-4, ge=0)
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup_epochs: float = Field(0.0, ge=0)
    pool_warmup: float = Field(0.25, ge=0, le=1)
    defect_share: float | None = Field(None, gt=0, lt=1)
    synthetic_worth: float | None = Field(None, gt=0)
    frozen: Literal["none", "conv1", "layer1", "layer2", "layer3"] = "none"
    ema: float = Field(0.0, ge=0, lt=1)
    flips: bool = True
    jitter: float = Field(0.0, ge=0, lt=1)
    precision: Literal["auto", "no", "fp16", "bf16"] = "auto"
    workers: int = Field(1, ge=0)
    checkpoint_seconds: float = Field(120.0, gt=0)


class CalibrateSection(Section):
    """The operating point, see `inandout-calibrate --help`; `guarantee: false` waives the finite-sample guarantee."""

    policy: str = "max-f1"
    confidence: float = Field(0.95, gt=0.5, lt=1)
    guarantee: bool = True

    @field_validator("policy")
    @classmethod
    def _known(cls, policy: str) -> str:
        try:
            parse(policy)
        except RecipeError as error:
            raise ValueError(str(error)) from None
        return policy


class ExportSection(Section):
    """The export gate: largest allowed |difference| of probabilities between torch and the exported model."""

    tolerance: float = Field(1e-3, gt=0)


class Recipe(Section):
    """A resolved recipe; written into the run and into the bundle's provenance."""

    name: str = Field("default", pattern=r"^[A-Za-z0-9_.-]+$")
    description: str = ""
    scenario: Scenario = "full_shot"
    seed: int = Field(0, ge=0)
    input: InputSpec = InputSpec()  # type: ignore[call-arg]
    data: DataSection = DataSection()  # type: ignore[call-arg]
    augment: AugmentSection = AugmentSection()  # type: ignore[call-arg]
    stable_diffusion: StableDiffusionSection = StableDiffusionSection()  # type: ignore[call-arg]
    inpaint: InpaintSection = InpaintSection()  # type: ignore[call-arg]
    in_domain: InDomainSection = InDomainSection()  # type: ignore[call-arg]
    strokes: StrokesSection = StrokesSection()
    gate: GateSection = GateSection()  # type: ignore[call-arg]
    model: ModelSection = ModelSection()  # type: ignore[call-arg]
    dense: DenseSection = DenseSection()  # type: ignore[call-arg]
    memory: MemorySection = MemorySection()  # type: ignore[call-arg]
    train: TrainSection = TrainSection()  # type: ignore[call-arg]
    calibrate: CalibrateSection = CalibrateSection()  # type: ignore[call-arg]
    export: ExportSection = ExportSection()  # type: ignore[call-arg]


def presets() -> dict[str, str]:
    """The preset recipes' YAML text by name."""
    folder = resources.files("trainer.recipes")
    return {
        item.name.removesuffix(".yaml"): item.read_text(encoding="utf-8")
        for item in sorted(folder.iterdir(), key=lambda item: item.name)
        if item.name.endswith(".yaml")
    }


def resolve(name_or_path: str, overrides: Mapping[str, Any], assignments: Sequence[str] = ()) -> Recipe:
    """Load a preset or a YAML file and apply overrides.

    Args:
        name_or_path: a preset's name, or a file.
        overrides: dotted key -> value, from command-line options; None values are ignored.
        assignments: `key=value` strings of `--set`, values in YAML; they win over `overrides`.

    Raises:
        RecipeError: no such recipe, not YAML, unknown keys or wrong values - all of them in one message.
    """
    document = _read(name_or_path)
    for key, value in overrides.items():
        if value is not None:
            _place(document, key, value)
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key:
            raise RecipeError(f"--set {assignment!r} is not KEY=VALUE, for instance --set train.epochs=5")
        try:
            _place(document, key.strip(), yaml.safe_load(text))
        except yaml.YAMLError:
            raise RecipeError(f"--set {assignment!r}: the value is not valid YAML") from None
    try:
        recipe = Recipe.model_validate(document)
    except ValidationError as error:
        problems = [f"{'.'.join(str(part) for part in item['loc'])}: {_say(item)}" for item in error.errors()]
        raise RecipeError(f"recipe {name_or_path} has {len(problems)} error(s): " + "; ".join(problems)) from None
    needs_defects = recipe.scenario == "zero_shot" and recipe.model.head != "memory"
    if recipe.augment.kind == "auto":
        return recipe.model_copy(update={"augment": _by_scenario(recipe)})
    if needs_defects and (recipe.augment.kind == "none" or recipe.augment.n == 0):
        raise RecipeError(
            "zero_shot without synthetic defects has nothing to learn from: add --augment memseg or in_and_out, "
            "or judge by --head memory"
        )
    return recipe


def _by_scenario(recipe: Recipe) -> AugmentSection:
    """What `auto` stands for; see `AugmentSection`."""
    if recipe.scenario == "full_shot" or recipe.model.head == "memory":
        return recipe.augment.model_copy(update={"kind": "none"})
    searched = recipe.scenario == "few_shot" and "n" not in recipe.augment.model_fields_set
    return recipe.augment.model_copy(update={"kind": "in_and_out"} | ({"n": "auto"} if searched else {}))


def _say(item: Mapping[str, Any]) -> str:
    if item["type"] == "extra_forbidden":
        return "unknown key (see 'inandout-train recipes ls')"
    return f"{item['msg']} (got {item['input']!r})"


def _read(name_or_path: str) -> dict[str, Any]:
    known = presets()
    if name_or_path in known:
        text = known[name_or_path]
    else:
        try:
            text = Path(name_or_path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(
                f"no recipe {name_or_path!r} ({error.__class__.__name__}): "
                f"give a YAML file or one of {', '.join(known)}"
            ) from None
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"recipe {name_or_path} is not valid YAML: {' '.join(str(error).split())}") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise RecipeError(f"recipe {name_or_path} is not a mapping: see 'inandout-train recipes cp default'")
    return document


def _place(document: dict[str, Any], key: str, value: Any) -> None:
    *sections, last = key.split(".")
    for section in sections:
        inner = document.setdefault(section, {})
        if not isinstance(inner, dict):
            raise RecipeError(f"{key}: {section!r} is not a section of the recipe")
        document = inner
    document[last] = value
