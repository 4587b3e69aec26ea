"""Have a diffusers inpainting pipeline paint prompts into regions, and tell what it changed."""

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from inspector.errors import DataError, InandoutError
from trainer.augment import Pixels
from trainer.augment.inpaint.regions import whole_cells
from trainer.augment.perlin import Mask
from trainer.augment.stable_diffusion import pipeline as pipelines
from trainer.augment.stable_diffusion import text
from trainer.generator_sections import InpaintSection

_WANTED = {"prompt", "image", "mask_image", "generator"}

Change = npt.NDArray[np.float32]


def open_painter(base: str) -> Any:
    """Load an inpainting pipeline and make sure that it is steered by prompt, image and mask.

    Raises:
        InandoutError: it cannot be loaded, or takes something else.
    """
    pipeline = pipelines.load_inpainting(base)
    lacking = sorted(_WANTED - set(inspect.signature(pipeline.__call__).parameters))
    if lacking or not hasattr(getattr(pipeline, "vae", None), "encode"):
        raise InandoutError(
            f"{base} is not a latent inpainting model steered by a prompt ({type(pipeline).__name__}): name one that is"
        )
    return pipeline


def check_prompt(pipeline: Any, prompt: str) -> None:
    """Raise `DataError` where a prompt is too long for the text encoder, which would read its beginning only."""
    if hasattr(pipeline.text_encoder.config, "max_position_embeddings"):
        text.tokenise(pipeline, [prompt])


def paint(
    pipeline: Any,
    parts: Sequence[Pixels],
    regions: Sequence[Mask],
    prompts: Sequence[str],
    sources: Sequence[torch.Generator],
    section: InpaintSection,
) -> list[Change]:
    """Paint each prompt into its part's region.

    The autoencoder alone already blurs and shifts what it reproduces. The change is therefore taken against the part
    as the autoencoder reproduces it: grain and tone of the real part stay where the painting leaves them.

    Args:
        pipeline: of `open_painter`, on its device.
        parts: `(H, W, 3)` uint8 RGB, of one size.
        regions: `(H, W)` uint8, non-zero where to paint; the model may paint whole cells of its latent grid, so the
            change has to be limited to the region afterwards.
        prompts: one a part.
        sources: of randomness, one a part.
        section: the recipe's.

    Returns:
        `(H, W, 3)` float32 each: grey levels to add to the part.

    Raises:
        DataError: a prompt is too long.
        InandoutError: the arithmetic overflowed.
    """
    for prompt in dict.fromkeys([*prompts, section.negative_prompt]):
        check_prompt(pipeline, prompt)
    height, width = parts[0].shape[:2]
    cell = int(pipeline.image_processor.config.vae_scale_factor)
    more = (0, -height % cell), (0, -width % cell)
    padded = [np.pad(part, (*more, (0, 0)), mode="reflect") for part in parts]
    bare = [np.pad(region, more) for region in regions]
    masks = [whole_cells(region, section.feather, cell) for region in bare]
    options = {
        "negative_prompt": [section.negative_prompt] * len(parts),
        "num_inference_steps": section.sampler_steps,
        "guidance_scale": section.guidance,
        "strength": section.strength,
        "width": width + more[1][1],
        "height": height + more[0][1],
    }
    taken = inspect.signature(pipeline.__call__).parameters
    with torch.inference_mode():
        painted = pipeline(
            prompt=list(prompts),
            image=[Image.fromarray(part) for part in padded],
            mask_image=[Image.fromarray(mask) for mask in masks],
            generator=list(sources),
            output_type="np",
            **{name: value for name, value in options.items() if name in taken},
        ).images
        plain = _reproduced(pipeline, padded)
    change = (painted - plain)[:, :height, :width].astype(np.float32) * 255
    if not np.isfinite(change).all():
        raise InandoutError(f"{section.base} paints numbers that are not finite on this device: use another base")
    return list(change)


def enough_steps(section: InpaintSection) -> None:
    """Raise `DataError` where strength leaves no denoising step."""
    if int(section.sampler_steps * section.strength) < 1:
        raise DataError(
            f"inpaint.strength {section.strength:g} of {section.sampler_steps} sampler_steps leaves no step: raise one"
        )


def _reproduced(pipeline: Any, parts: Sequence[Pixels]) -> npt.NDArray[np.float32]:
    """The parts after the autoencoder, `(N, H, W, 3)` float32 within 0..1 as the pipeline's own output."""
    vae = pipeline.vae
    batch = torch.from_numpy(np.stack(parts)).to(vae.device).permute(0, 3, 1, 2)
    latents = vae.encode((batch.float() / 127.5 - 1).to(vae.dtype)).latent_dist.mode()
    images = vae.decode(latents).sample.float()
    return ((images / 2 + 0.5).clamp(0, 1)).permute(0, 2, 3, 1).cpu().numpy()
