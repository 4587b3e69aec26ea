"""Draw with a Stable Diffusion pipeline: one random source an image, batches that shrink where memory is short."""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from inspector.errors import InandoutError
from inspector.preprocess import InputSpec
from trainer import out_of_memory
from trainer.augment import Pixels
from trainer.augment.stable_diffusion import text
from trainer.generator_sections import StableDiffusionSection

logger = logging.getLogger(__name__)
_MULTIPLE = 8
_PROBE_SIDE, _PROBE_STEPS = 64, 2
Job = TypeVar("Job")
Drawn = TypeVar("Drawn")


def random_source(*numbers: int) -> torch.Generator:
    """A generator for one image, seeded by `numbers` (>= 0) alone; on the CPU, so that devices draw the same noise."""
    seed = np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(seed))


class Batches:
    """Draws jobs in batches; out of memory halves the batch from then on, with one log line each time.

    Args:
        size: jobs at once.
        setting: the recipe's key that lowers it, for the message.
    """

    def __init__(self, size: int, setting: str) -> None:
        self.size = size
        self._setting = setting

    def run(self, jobs: Sequence[Job], draw: Callable[[Sequence[Job]], Sequence[Drawn]]) -> Iterator[Drawn]:
        """Yield what `draw` makes of each job, in order.

        Raises:
            InandoutError: memory is short for a single job.
        """
        done = 0
        while done < len(jobs):
            try:
                drawn = draw(jobs[done : done + self.size])
            except RuntimeError as error:
                if not out_of_memory.ran_out(error):
                    raise
                if self.size == 1:
                    raise InandoutError(
                        f"out of memory while drawing a single image ({self._setting} is down to 1 already): "
                        "lower input.width and input.height, or use a larger device"
                    ) from None
                self.size //= 2
                logger.warning("out of memory while drawing: going on with %d image(s) at once", self.size)
            else:
                done += len(drawn)
                yield from drawn
                continue
            out_of_memory.release()  # outside the handler, whose traceback would hold the batch's tensors


def draw(
    pipeline: Any,
    prompts: Sequence[str],
    sources: Sequence[torch.Generator],
    section: StableDiffusionSection,
    spec: InputSpec,
) -> list[Pixels]:
    """Draw one image a prompt, `(spec.height, spec.width, 3)` uint8 RGB.

    Sides are drawn at the next multiple of 8 and the centre is kept. Each image follows from its prompt and its
    source; the batch it is in matters to the last bit of the arithmetic only.

    Raises:
        DataError: a prompt is too long.
        InandoutError: the arithmetic overflowed.
    """
    width, height = (-(-side // _MULTIPLE) * _MULTIPLE for side in (spec.width, spec.height))
    images = _sample(pipeline, prompts, sources, section, width, height, section.sampler_steps, "np")
    if not np.isfinite(images).all():
        raise InandoutError(
            f"{section.base} draws numbers that are not finite: set stable_diffusion.precision to bf16 or no"
        )
    top, left = (height - spec.height) // 2, (width - spec.width) // 2
    cut = images[:, top : top + spec.height, left : left + spec.width]
    return list(np.rint(cut * 255).clip(0, 255).astype(np.uint8))


def probe(pipeline: Any, prompt: str, section: StableDiffusionSection) -> torch.Tensor:
    """A small drawing's latents under a fixed seed, to tell whether two pipelines draw alike."""
    return _sample(pipeline, [prompt], [random_source(0)], section, _PROBE_SIDE, _PROBE_SIDE, _PROBE_STEPS, "latent")


@torch.inference_mode()
def _sample(
    pipeline: Any,
    prompts: Sequence[str],
    sources: Sequence[torch.Generator],
    section: StableDiffusionSection,
    width: int,
    height: int,
    steps: int,
    output: str,
) -> Any:
    # One prompt at a time: its states are then the same whatever else is in the batch.
    states = {
        prompt: text.prompt_states(pipeline, [prompt], section.clip_skip)
        for prompt in dict.fromkeys([*prompts, section.negative_prompt])
    }
    images: npt.NDArray[np.float32] | torch.Tensor = pipeline(
        prompt_embeds=torch.cat([states[prompt] for prompt in prompts]),
        negative_prompt_embeds=torch.cat([states[section.negative_prompt]] * len(prompts)),
        width=width,
        height=height,
        num_inference_steps=steps,
        guidance_scale=section.guidance,
        generator=list(sources),
        output_type=output,
    ).images
    return images
