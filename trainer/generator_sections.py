"""Recipe sections of the generators that learn or use a diffusion model, and of the gate behind them."""

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from trainer.section import Section


class ByScenario(Section):
    """One value a scenario."""

    zero_shot: float
    few_shot: float
    full_shot: float


class StrokesSection(Section):
    """Painted defects have no setting."""

    DRAWING: ClassVar[frozenset[str]] = frozenset()


class StableDiffusionSection(Section):
    """DreamBooth with LoRA-C3Lier on a Stable Diffusion 1.x or 2.x model; defaults are In&Out's.

    Attributes:
        base: folder in diffusers' layout, or a hub id.
        instance_prompt, class_prompt: the surface with and without its identifier.
        defect_prompts: what generation asks for, in turn.
        negative_prompt: what generation avoids.
        regularisation_images: drawn with the class prompt before training, and cached.
        prior_weight: of the loss on them.
        text_encoder: adapt it too.
        linear_rank, linear_alpha: of adapters on Linear layers and 1x1 convolutions of transformer blocks.
        conv_rank, conv_alpha: of adapters on 3x3 convolutions of ResNet blocks and samplers.
        zero_shot_normals: good images that stand in for defects in zero_shot.
        epochs: over `repeats` times the images, by scenario.
        merge_alpha: strength of the adapters in generation, by scenario.
        schedule: `cosine` with `restarts`, or `constant`.
        optimiser: `adamw8bit` falls back to `adamw` where the device has none, with a logged line.
        min_snr: gamma of the min-SNR loss weight; None leaves the loss as it is.
        clip_skip: text layers left out at the end, counted as the field does (1: none).
        bucket_base, bucket_min, bucket_max, bucket_step: aspect-ratio buckets, pixels.
        precision: as in `train`.
        sampler_steps, guidance: of generation.
        generation_batch: images drawn at once.
    """

    DRAWING: ClassVar[frozenset[str]] = frozenset(
        {
            "defect_prompts",
            "negative_prompt",
            "merge_alpha",
            "sampler_steps",
            "guidance",
            "generation_batch",
            "checkpoint_seconds",
        }
    )
    """Settings without influence on what is learned."""

    base: str = "stable-diffusion-v1-5/stable-diffusion-v1-5"
    instance_prompt: str = Field("skt background", min_length=1)
    class_prompt: str = Field("background", min_length=1)
    defect_prompts: tuple[str, ...] = Field(("skt background cracked", "skt background scratched"), min_length=1)
    negative_prompt: str = ""
    regularisation_images: int = Field(200, ge=0)
    prior_weight: float = Field(1.0, ge=0)
    text_encoder: bool = True
    linear_rank: int = Field(32, ge=1)
    linear_alpha: float = Field(16.0, gt=0)
    conv_rank: int = Field(4, ge=1)
    conv_alpha: float = Field(1.0, gt=0)
    zero_shot_normals: int = Field(50, ge=1)
    epochs: ByScenario = ByScenario(zero_shot=5, few_shot=49, full_shot=25)
    repeats: int = Field(10, ge=1)
    merge_alpha: ByScenario = ByScenario(zero_shot=0.60, few_shot=0.95, full_shot=0.80)
    batch: int = Field(12, ge=1)
    optimiser: Literal["adamw8bit", "adamw"] = "adamw8bit"
    learning_rate: float = Field(1e-5, gt=0)
    schedule: Literal["cosine", "constant"] = "cosine"
    restarts: int = Field(3, ge=1)
    min_snr: float | None = Field(5.0, gt=0)
    clip_skip: int = Field(2, ge=1)
    gradient_checkpointing: bool = True
    bucket_base: int = Field(512, ge=64)
    bucket_min: int = Field(256, ge=8)
    bucket_max: int = Field(1024, ge=8)
    bucket_step: int = Field(64, ge=8, multiple_of=8)
    precision: Literal["auto", "no", "fp16", "bf16"] = "fp16"
    checkpoint_seconds: float = Field(600.0, gt=0)
    sampler_steps: int = Field(30, ge=1)
    guidance: float = Field(7.5, ge=1)
    generation_batch: int = Field(4, ge=1)


class InpaintSection(Section):
    """Training-free inpainting of a prompt into a region (the idea of DIAG, 2024).

    Attributes:
        base: an inpainting pipeline: folder in diffusers' layout, or a hub id.
        prompts: painted in turn.
        negative_prompt: what painting avoids.
        regions: `perlin` shapes inside the foreground, or where a first classifier's map looks (`cam`).
        smallest, largest: region's share of the foreground.
        feather: pixels over which the painting fades into the part.
        sampler_steps, guidance, strength: of the pipeline.
        batch: images painted at once.
    """

    DRAWING: ClassVar[frozenset[str]] = frozenset(
        {
            "prompts",
            "negative_prompt",
            "smallest",
            "largest",
            "feather",
            "sampler_steps",
            "guidance",
            "strength",
            "batch",
        }
    )
    """Settings without influence on what is learned."""

    base: str = "stable-diffusion-v1-5/stable-diffusion-inpainting"
    prompts: tuple[str, ...] = Field(("a cracked surface", "a scratched surface"), min_length=1)
    negative_prompt: str = "smooth, plain, perfect"
    regions: Literal["perlin", "cam"] = "perlin"
    smallest: float = Field(0.005, gt=0, le=1)
    largest: float = Field(0.1, gt=0, le=1)
    feather: int = Field(4, ge=0)
    sampler_steps: int = Field(30, ge=1)
    guidance: float = Field(7.5, ge=1)
    strength: float = Field(1.0, gt=0, le=1)
    batch: int = Field(4, ge=1)

    @model_validator(mode="after")
    def _rising(self) -> "InpaintSection":
        if self.smallest > self.largest:
            raise ValueError("smallest is above largest")
        return self


class InDomainSection(Section):
    """Latent diffusion trained from scratch on the user's own images.

    Attributes:
        codec: a folder of an `AutoencoderTiny` with 4 latent channels and factor 8 (TAESDXL), a hub id, `small` for
            a KL autoencoder trained on the same images, or `auto`: TAESDXL from the hub where it can be had, else
            `small`.
        start: folder of an earlier fit of the same surface, whose denoiser and codec training goes on from: few
            steps then suffice to learn new defects.
        codec_steps: training steps of the small autoencoder.
        channels: of the denoiser's levels, each half the size of the one before.
        crop: side of the pieces the denoiser learns from, in latent cells of 8 pixels.
        steps, batch, learning_rate, ema: of the denoiser's training.
        sampler_steps: denoising steps over the whole noise range.
        guidance: classifier-free guidance towards the defect class; 1 is none.
        strength: lowest and highest share of the noise range that a painted defect goes through.
        painted: share of images that start from a painted stroke though real defects are known: a few real ones do
            not show what else may come. Without real defects all do.
        transplant: of the images that start from a real defect, the share where it is moved to another place; the
            others start from noise under the defect class.
        whole: share of images drawn as a whole, from noise; the others are painted into a real good image.
        batch_drawn: images drawn at once.
    """

    DRAWING: ClassVar[frozenset[str]] = frozenset(
        {"sampler_steps", "guidance", "strength", "painted", "transplant", "whole", "batch_drawn", "checkpoint_seconds"}
    )
    """Settings without influence on what is learned."""

    codec: str = "auto"
    start: Path | None = None
    codec_steps: int = Field(1500, ge=1)
    channels: tuple[int, ...] = Field((32, 64, 128), min_length=2, max_length=4)
    crop: int = Field(32, ge=8)
    steps: int = Field(1000, ge=1)
    batch: int = Field(16, ge=1)
    learning_rate: float = Field(4e-4, gt=0)
    ema: float = Field(0.995, ge=0, lt=1)
    sampler_steps: int = Field(20, ge=1)
    guidance: float = Field(1.5, ge=1)
    strength: tuple[float, float] = (0.05, 0.2)
    painted: float = Field(0.5, ge=0, le=1)
    transplant: float = Field(0.7, ge=0, le=1)
    whole: float = Field(0.0, ge=0, le=1)
    batch_drawn: int = Field(8, ge=1)
    checkpoint_seconds: float = Field(60.0, gt=0)

    @model_validator(mode="after")
    def _rising(self) -> "InDomainSection":
        if not 0 < self.strength[0] <= self.strength[1] <= 1:
            raise ValueError("strength is not a rising range within 0..1")
        return self


class GateSection(Section):
    """What a generated image must pass before training sees it (`trainer.augment.gate`).

    Attributes:
        enabled: False keeps every image but those whose mask is empty.
        visible: share of good images that the first classifier must find less defective than a kept image.
        texture: share of real good images whose distance to the others is allowed.
        attempts: images drawn for each one wanted, at most.
    """

    enabled: bool = True
    visible: float = Field(0.5, ge=0, lt=1)
    texture: float = Field(0.99, gt=0, le=1)
    attempts: int = Field(4, ge=1)
