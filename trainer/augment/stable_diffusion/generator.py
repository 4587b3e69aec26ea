"""Stable Diffusion taught the user's surface: learn it, merge the adapters, draw defects by prompt."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from inspector import imagefile, preprocess
from inspector.errors import DataError, InandoutError
from trainer.augment import Commission, Material, Pixels, Steering, SyntheticImage
from trainer.augment.stable_diffusion import adapters, precision, regularisation, sampling, text, training
from trainer.augment.stable_diffusion import pipeline as pipelines
from trainer.augment.stable_diffusion.progress import bar
from trainer.augment.textures import grey, is_grey
from trainer.generator_sections import StableDiffusionSection

if TYPE_CHECKING:
    from accelerate import Accelerator
    from rich.console import Console

_REGULARISATION = "regularisation"
_LOOKED_AT = 8  # good images that tell whether the surface is grey
_CLASS_STREAM = 1


class StableDiffusion:
    """DreamBooth with LoRA-C3Lier (In&Out, VISAPP 2024): whole images by prompt, without a mask.

    Args:
        material: what to learn from; in zero_shot good images stand in for the defects that nobody has.
        section: the recipe's.
    """

    def __init__(self, material: Material, section: StableDiffusionSection) -> None:
        self.material = material
        self.section = section
        self.merge_alpha: float = getattr(section.merge_alpha, material.scenario)
        self._batches = sampling.Batches(section.generation_batch, "stable_diffusion.generation_batch")
        self._pipeline: Any = None
        self._grey: bool | None = None

    @property
    def steered_by(self) -> frozenset[Steering]:
        """A commission's prompt."""
        return frozenset({"prompt"})

    def instances(self) -> list[Path]:
        """The images shown under the instance prompt: real defects, or random good images in zero_shot.

        Raises:
            DataError: there are none.
        """
        scenario = self.material.scenario
        if scenario != "zero_shot":
            if not self.material.defects:
                raise DataError(
                    f"stable_diffusion in {scenario} learns from real defects, and the training split has none: "
                    "add some, or build with --scenario zero_shot"
                )
            return list(self.material.defects)
        normals = list(self.material.normals)
        if not normals:
            raise DataError("stable_diffusion in zero_shot learns from good images, and the training split has none")
        count = min(self.section.zero_shot_normals, len(normals))
        chosen = np.random.default_rng(self.material.seed).permutation(len(normals))[:count]
        return [normals[index] for index in sorted(chosen)]

    def fit(self, folder: Path, accelerator: "Accelerator", console: "Console") -> None:
        """Draw the regularisation images and train the adapters; see `trainer.augment.Learner.fit`.

        Raises:
            DataError: nothing to learn from, or a prompt is too long for the text encoder.
            InandoutError: the base model or the device is not up to it.
        """
        section, instances = self.section, self.instances()
        pipeline = pipelines.load(section.base)
        prompts = [section.instance_prompt, section.class_prompt, *section.defect_prompts, section.negative_prompt]
        text.tokenise(pipeline, prompts)
        folder.mkdir(parents=True, exist_ok=True)
        with bar(console, "regularisation images", accelerator.is_main_process) as on_image:
            if accelerator.is_main_process:
                self._regularise(folder, accelerator.device, on_image)
        accelerator.wait_for_everyone()
        files = [folder / _REGULARISATION / f"{number:05d}.png" for number in range(section.regularisation_images)]
        with bar(console, "fine-tuning", accelerator.is_main_process) as on_step:
            training.fine_tune(
                pipeline,
                instances,
                files,
                section,
                self.material.spec,
                int(getattr(section.epochs, self.material.scenario)),
                self.material.seed,
                folder,
                accelerator,
                on_step=on_step,
            )

    def load(self, folder: Path, device: str) -> None:
        """Merge the adapters of `folder` into the base model at the scenario's alpha; see `Learner.load`.

        Raises:
            InandoutError: the adapters are missing or damaged, or what is drawn is the same with and without them.
        """
        pipeline = pipelines.ready(pipelines.load(self.section.base), "cpu", torch.float32)
        prompt = self.section.defect_prompts[0]
        before = sampling.probe(pipeline, prompt, self.section)
        adapters.load_into(pipeline, folder / training.ADAPTERS)
        pipeline.fuse_lora(lora_scale=self.merge_alpha)
        pipeline.unload_lora_weights()
        after = sampling.probe(pipeline, prompt, self.section)
        unchanged = torch.equal(before, after)
        if unchanged or not after.isfinite().all():
            raise InandoutError(
                f"the adapters in {folder / training.ADAPTERS}, merged at {self.merge_alpha}, "
                f"{'change nothing in' if unchanged else 'spoil'} what {self.section.base} draws: train longer, "
                "check stable_diffusion.merge_alpha and learning_rate, and fine-tune again"
            )
        self._pipeline = pipelines.ready(
            pipeline, device, precision.resolve(self.section.precision, torch.device(device))
        )

    def generate(self, n: int, seed: int, first: int = 0) -> Iterator[SyntheticImage]:
        """Draw defect prompts in turn; see `trainer.augment.Augmenter`."""
        prompts = self.section.defect_prompts
        jobs = [(k, seed, prompts[k % len(prompts)]) for k in range(first, first + n)]
        return self._batches.run(jobs, self._draw)

    def draw_for(self, commission: Commission) -> SyntheticImage:
        """Draw the commission's prompt, or the first defect prompt where it has none.

        Raises:
            DataError: the prompt is too long for the text encoder.
        """
        job = (0, commission.seed, commission.prompt or self.section.defect_prompts[0])
        return next(self._batches.run([job], self._draw))

    def _draw(self, jobs: Sequence[tuple[int, int, str]]) -> list[SyntheticImage]:
        if self._pipeline is None:
            raise InandoutError("stable_diffusion cannot draw before its adapters are loaded: fine-tune first")
        sources = [sampling.random_source(seed, k) for k, seed, _ in jobs]
        prompts = [prompt for *_, prompt in jobs]
        pictures = sampling.draw(self._pipeline, prompts, sources, self.section, self.material.spec)
        if self._surface_is_grey():
            pictures = [grey(picture) for picture in pictures]
        return [
            SyntheticImage(
                picture,
                None,
                {
                    "generator": "stable_diffusion",
                    "seed": seed,
                    "index": k,
                    "source": None,
                    "prompt": prompt,
                    "negative_prompt": self.section.negative_prompt,
                    "guidance": self.section.guidance,
                    "steps": self.section.sampler_steps,
                    "merge_alpha": self.merge_alpha,
                    "base": self.section.base,
                },
            )
            for picture, (k, seed, prompt) in zip(pictures, jobs, strict=True)
        ]

    def _surface_is_grey(self) -> bool:
        """Whether the real images are grey, so that a tint would give the drawn ones away."""
        if self._grey is None:
            looked_at = list(self.material.normals or self.material.defects)[:_LOOKED_AT]
            fitted = [preprocess.fit(imagefile.read(path), self.material.spec) for path in looked_at]
            self._grey = bool(fitted) and all(is_grey(picture) for picture in fitted)
        return self._grey

    def _regularise(self, folder: Path, device: torch.device, on_image: Any) -> None:
        section, spec = self.section, self.material.spec
        dtype = precision.resolve(section.precision, device)
        pipeline: list[Any] = []

        def draw(numbers: Sequence[int]) -> Iterator[Pixels]:
            if numbers:  # a full cache needs no second pipeline
                pipeline.append(pipelines.ready(pipelines.load(section.base), device, dtype))
            return self._batches.run(numbers, batch)

        def batch(numbers: Sequence[int]) -> list[Pixels]:
            sources = [sampling.random_source(self.material.seed, number, _CLASS_STREAM) for number in numbers]
            return sampling.draw(pipeline[0], [section.class_prompt] * len(numbers), sources, section, spec)

        origin = {
            "base": section.base,
            "prompt": section.class_prompt,
            "negative_prompt": section.negative_prompt,
            "clip_skip": section.clip_skip,
            "steps": section.sampler_steps,
            "guidance": section.guidance,
            "size": [spec.width, spec.height],
            "seed": self.material.seed,
        }
        regularisation.complete(folder / _REGULARISATION, section.regularisation_images, origin, draw, on_image)
