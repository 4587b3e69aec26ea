"""The inpainting generator: picks a good image, a region and a prompt, has them painted, composites."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch

from inspector import imagefile, preprocess
from inspector.errors import DataError, InandoutError
from trainer.augment import Commission, Material, Pixels, Steering, SyntheticImage
from trainer.augment.compositing import feathered, lay_over
from trainer.augment.foreground import foreground
from trainer.augment.inpaint import first_look, painting
from trainer.augment.inpaint.regions import cam_region, perlin_region
from trainer.augment.perlin import Mask
from trainer.augment.stable_diffusion import pipeline as pipelines
from trainer.augment.stable_diffusion import precision, sampling
from trainer.generator_sections import InpaintSection

if TYPE_CHECKING:
    from accelerate import Accelerator
    from rich.console import Console

_TRIES = 3


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """One painting before it is painted; `within` is where the part may change, None for anywhere."""

    part: Pixels
    region: Mask
    within: Mask | None
    prompt: str
    source: torch.Generator
    provenance: dict[str, Any]


class Inpaint:
    """Training-free defects (the idea of DIAG, 2024): a prompt painted into a region of a real good image.

    Outside the feathered region the image is the real one, bit by bit; the mask tells where it visibly changed.

    Args:
        material: good images to paint on.
        section: the recipe's.
        looker: what says where images look defective, for regions by class-activation map (`regions: cam`); None
            trains a first classifier when the generator is loaded.

    Raises:
        DataError: no good image, or sampler steps and strength that leave nothing to do.
    """

    def __init__(self, material: Material, section: InpaintSection, looker: first_look.Looker | None = None) -> None:
        if not material.normals:
            raise DataError("inpainting needs at least one good image to paint on, and there is none")
        painting.enough_steps(section)
        self.material = material
        self.section = section
        self._looker = looker
        self._batches = sampling.Batches(section.batch, "inpaint.batch")
        self._pipeline: Any = None

    @property
    def steered_by(self) -> frozenset[Steering]:
        """A commission's prompt and region."""
        return frozenset({"prompt", "region"})

    def fit(self, folder: Path, accelerator: "Accelerator", console: "Console") -> None:
        """Learn nothing; make sure that the model is at hand and reads the prompts, see `trainer.augment.Learner`."""
        if accelerator.is_main_process:
            pipeline = painting.open_painter(self.section.base)
            for prompt in (*self.section.prompts, self.section.negative_prompt):
                painting.check_prompt(pipeline, prompt)
        accelerator.wait_for_everyone()

    def load(self, folder: Path, device: str) -> None:
        """Make ready to paint on `device`; nothing is read from `folder`."""
        pipeline = painting.open_painter(self.section.base)
        self._pipeline = pipelines.ready(pipeline, device, precision.resolve("auto", torch.device(device)))
        if self.section.regions == "cam" and self._looker is None:
            self._looker = first_look.train(self.material, device)

    def generate(self, n: int, seed: int, first: int = 0) -> Iterator[SyntheticImage]:
        """Paint prompts in turn on good images drawn at random; see `trainer.augment.Augmenter`.

        Where nothing is to be seen of a painting, image, region and noise are drawn again, three times in all.

        Raises:
            DataError: a good image cannot be read; a prompt is too long; nothing is to be seen of any try.
        """
        return self._batches.run(range(first, first + n), lambda numbers: self._numbered(numbers, seed))

    def draw_for(self, commission: Commission) -> SyntheticImage:
        """Paint to order. Without a part a good image is drawn, without a region one is found on it.

        Raises:
            DataError: the part or the region is of the wrong size, the region is empty, the prompt is too long, or
                nothing is to be seen of the painting.
        """
        rng = np.random.default_rng([commission.seed, 0])
        part, source = commission.part, "commission"
        if part is None:
            path = self._good(rng)
            part, source = self._read(path), str(path)
        prompt = commission.prompt or self.section.prompts[0]
        plan = self._plan(part, commission.region, prompt, rng, (commission.seed, 0), {"source": source})
        made = next(self._batches.run([plan], self._paint))
        if made is None:
            raise DataError(
                f'nothing is to be seen of "{prompt}" in this region: try another prompt or seed, a larger region, '
                "or a higher inpaint.strength"
            )
        return made

    def _numbered(self, numbers: Sequence[int], seed: int) -> list[SyntheticImage]:
        prompts = self.section.prompts
        made: dict[int, SyntheticImage] = {}
        for attempt in range(_TRIES):
            missing = [k for k in numbers if k not in made]
            plans = []
            for k in missing:
                rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, k, attempt])))
                path = self._good(rng)
                told = {"source": str(path), "attempt": attempt}
                plans.append(
                    self._plan(self._read(path), None, prompts[k % len(prompts)], rng, (seed, k, attempt), told)
                )
            images = self._paint(plans) if plans else []
            made |= {k: image for k, image in zip(missing, images, strict=True) if image is not None}
        unseen = [k for k in numbers if k not in made]
        if unseen:
            raise DataError(
                f'nothing is to be seen of "{prompts[unseen[0] % len(prompts)]}" in image {unseen[0]} of seed {seed}, '
                f"painted {_TRIES} times: raise inpaint.strength, guidance or smallest, or change inpaint.prompts"
            )
        return [made[k] for k in numbers]

    def _plan(
        self,
        part: Pixels,
        region: Mask | None,
        prompt: str,
        rng: np.random.Generator,
        seeds: tuple[int, ...],
        told: dict[str, Any],
    ) -> _Plan:
        self._check(part, region)
        within, kind = None, "drawn"
        if region is None:
            within, kind = foreground(part), self.section.regions
            region = self._sampled(part, within, rng)
        region = np.where(region > 0, np.uint8(255), np.uint8(0))
        provenance = {
            "generator": "inpaint",
            "seed": seeds[0],
            "index": seeds[1],
            **told,
            "prompt": prompt,
            "negative_prompt": self.section.negative_prompt,
            "region": kind,
            "region_share": cv2.countNonZero(region) / region.size,
            "guidance": self.section.guidance,
            "steps": self.section.sampler_steps,
            "strength": self.section.strength,
            "base": self.section.base,
        }
        return _Plan(part, region, within, prompt, sampling.random_source(*seeds), provenance)

    def _sampled(self, part: Pixels, where: Mask, rng: np.random.Generator) -> Mask:
        share = self.section.smallest, self.section.largest
        if self.section.regions == "perlin":
            return perlin_region(where, share, rng)
        if self._looker is None:
            raise InandoutError("inpaint cannot look for regions before it is loaded")
        return cam_region(self._looker.maps([part])[0], where, share, rng)

    def _paint(self, plans: Sequence[_Plan]) -> list[SyntheticImage | None]:
        """Paint and composite; None where nothing is to be seen."""
        if self._pipeline is None:
            raise InandoutError("inpaint cannot paint before its model is loaded")
        changes = painting.paint(
            self._pipeline,
            [plan.part for plan in plans],
            [plan.region for plan in plans],
            [plan.prompt for plan in plans],
            [plan.source for plan in plans],
            self.section,
        )
        made: list[SyntheticImage | None] = []
        for plan, change in zip(plans, changes, strict=True):
            weight = feathered(plan.region, self.section.feather, plan.within)
            pixels, mask = lay_over(plan.part, change, weight)
            made.append(SyntheticImage(pixels, mask, plan.provenance) if mask.any() else None)
        return made

    def _check(self, part: Pixels, region: Mask | None) -> None:
        size = self.material.spec.height, self.material.spec.width
        for name, picture, shape in (("part", part, (*size, 3)), ("region", region, size)):
            if picture is not None and picture.shape != shape:
                raise DataError(
                    f"the {name} has the shape {picture.shape}, and the model's input is {size[1]} x {size[0]} pixels: "
                    "fit it first"
                )
        if region is not None and not region.any():
            raise DataError("the region is empty: draw one on the part")

    def _good(self, rng: np.random.Generator) -> Path:
        return self.material.normals[int(rng.integers(len(self.material.normals)))]

    def _read(self, path: Path) -> Pixels:
        return preprocess.fit(imagefile.read(path), self.material.spec)
