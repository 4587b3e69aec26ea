"""A generator as the page uses it: made for a run, made ready, and asked for one image at a time."""

from dataclasses import dataclass, replace

from inspector import imagefile, preprocess
from inspector.errors import DataError
from inspector.optional import require
from inspector.preprocess import Image
from trainer.augment import Augmenter, Commission, Learner, Steerable, Steering, SyntheticImage, registry
from trainer.recipe import Recipe
from trainer.review.run_folder import RunFolder
from trainer.stages import read_json

_FINE_TUNE = "fine_tune"


@dataclass(frozen=True, slots=True, eq=False)
class Order:
    """What a person asked for.

    Attributes:
        wanted: how many images.
        seed: of the first; each further one has the next.
        prompt: for generators steered by prompts, else None.
        normal: index of the good image to paint on, for generators steered by regions, else None.
        region: `(H, W)` uint8, non-zero where to paint; None leaves it to the generator.
        vary: each further image is painted on the next good image.
    """

    wanted: int
    seed: int
    prompt: str | None = None
    normal: int | None = None
    region: Image | None = None
    vary: bool = False


class Painter:
    """A generator bound to a run's images.

    Raises:
        RecipeError: unknown generator.
        DataError: it has not been trained in this run, or refuses its images or options.
    """

    def __init__(self, name: str, folder: RunFolder) -> None:
        self.name = name
        self.folder = folder
        self._augmenter = registry.create(name, folder.material(), folder.recipe)
        if isinstance(self._augmenter, Learner):
            _require_trained(name, folder)

    @property
    def steered_by(self) -> frozenset[Steering]:
        """What of an order it heeds."""
        return self._augmenter.steered_by if isinstance(self._augmenter, Steerable) else frozenset()

    @property
    def prompts(self) -> tuple[str, ...]:
        """Prompts of the recipe, to start from; none for generators that take none."""
        return _prompts(self.name, self.folder.recipe) if "prompt" in self.steered_by else ()

    def get_ready(self) -> None:
        """Load what training left; may take a while.

        Raises:
            InandoutError: it cannot be loaded.
        """
        if isinstance(self._augmenter, Learner):
            torch = require("torch", "drawing with a trained generator")
            device = "cuda" if torch.cuda.is_available() else "cpu"
            self._augmenter.load(self.folder.path / _FINE_TUNE, device)

    def part(self, normal: int) -> Image:
        """A good image of the training split as the model sees it, `(H, W, 3)` uint8 RGB.

        Raises:
            DataError: no such image, or it cannot be read.
        """
        if not 0 <= normal < len(self.folder.normals):
            raise DataError(f"no good image {normal}: the training split has {len(self.folder.normals)}")
        return preprocess.fit(imagefile.read(self.folder.normals[normal]), self.folder.recipe.input)

    def checked(self, order: Order) -> Order:
        """The order without what the generator does not heed.

        Raises:
            DataError: it lacks what the generator needs, or the region is empty or of another size.
        """
        prompt, normal, region = order.prompt, order.normal, order.region
        if "prompt" not in self.steered_by:
            prompt = None
        elif prompt is None or not prompt.strip():
            raise DataError("the prompt is empty: say what to draw")
        if "region" not in self.steered_by:
            return replace(order, prompt=prompt, normal=None, region=None, vary=False)
        self.part(0 if normal is None else normal)
        spec = self.folder.recipe.input
        if region is not None and region.shape != (spec.height, spec.width):
            raise DataError(
                f"the region is {region.shape[1]} x {region.shape[0]} pixels and the model's input "
                f"{spec.width} x {spec.height}: reload the page"
            )
        if region is not None and not region.any():
            raise DataError("the region is empty: paint it larger, or clear it and leave the place to the generator")
        return replace(order, prompt=prompt, normal=normal or 0, region=region)

    def draw(self, order: Order, index: int) -> SyntheticImage:
        """Image `index` of a checked order.

        Raises:
            InandoutError: it cannot be drawn.
        """
        if not isinstance(self._augmenter, Steerable):
            return _only(self._augmenter, order.seed, index)
        seed = order.seed + index
        part, source = None, {}
        if order.normal is not None:
            normal = (order.normal + (index if order.vary else 0)) % len(self.folder.normals)
            part, source = self.part(normal), {"source": str(self.folder.normals[normal])}
        drawn = self._augmenter.draw_for(Commission(seed, order.prompt, part, order.region))
        return replace(drawn, provenance={**drawn.provenance, **source})


def _only(augmenter: Augmenter, seed: int, index: int) -> SyntheticImage:
    (image,) = augmenter.generate(1, seed, index)
    return image


def _require_trained(name: str, folder: RunFolder) -> None:
    again = f"run 'inandout-train build --output {folder.path} --augment diffusion --generator {name}' first"
    if not (folder.path / _FINE_TUNE / "done.json").is_file():
        raise DataError(f"{name} has not been trained in {folder.path}: {again}, or review with --generator memseg")
    trained = read_json(folder.path / _FINE_TUNE / "inputs.json")["generator"]
    if trained != name:
        raise DataError(f"the build in {folder.path} trained {trained}, not {name}: {again}, or name {trained}")


def _prompts(name: str, recipe: Recipe) -> tuple[str, ...]:
    known = {"stable_diffusion": recipe.stable_diffusion.defect_prompts, "inpaint": recipe.inpaint.prompts}
    return known.get(name, ())
