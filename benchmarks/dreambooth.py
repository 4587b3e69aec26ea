"""Measure a fine-tuning step of LoRA-C3Lier on Stable Diffusion 1.5's architecture, ours and the usual way.

    python benchmarks/dreambooth.py [--batch 4 --precision bf16 --width 512 --height 512]
    python benchmarks/dreambooth.py --tiny

Both loops get the same networks with random weights, the same adapters on UNet and text encoder, the same optimiser,
batch (that many instance images and as many regularisation images), precision and gradient checkpointing. `example`
goes about it as diffusers' DreamBooth-LoRA example does: it encodes the pixels in every step and the prompt of every
image, and lets peft convert what adapters are given. The bar: ours takes at most 1/1.2 of its time.
"""

import gc
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import torch
from accelerate import Accelerator
from diffusers import AutoencoderKL, DDPMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from peft.helpers import disable_input_dtype_casting
from transformers import CLIPTextConfig, CLIPTextModel

from models import lora
from trainer.augment.stable_diffusion import adapters, optimiser, precision, preflight, training
from trainer.augment.stable_diffusion.buckets import Bucket
from trainer.augment.stable_diffusion.dataset import TrainingSet
from trainer.augment.stable_diffusion.denoising import Denoiser
from trainer.augment.stable_diffusion.latents import LatentCache
from trainer.augment.stable_diffusion.step import Progress, Step
from trainer.generator_sections import StableDiffusionSection

_TOKENS = 77
_NOISE = {
    "steps_offset": 1,
    "clip_sample": False,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
}


def make_pipeline(tiny: bool, device: torch.device) -> StableDiffusionPipeline:
    """Stable Diffusion 1.5's architecture, or a small one of the same parts, with random weights and no tokenizer."""
    torch.manual_seed(0)
    widths = (16, 32) if tiny else (320, 640, 1280, 1280)
    down = ("CrossAttnDownBlock2D",) * (len(widths) - 1) + ("DownBlock2D",)
    up = ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * (len(widths) - 1)
    channels = 32 if tiny else 768
    text = {"num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64, "vocab_size": 1000}
    full_text = {"num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
    special = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    with device:
        return StableDiffusionPipeline(
            vae=AutoencoderKL(
                block_out_channels=(8, 8, 16, 16) if tiny else (128, 256, 512, 512),
                layers_per_block=1 if tiny else 2,
                down_block_types=("DownEncoderBlock2D",) * 4,
                up_block_types=("UpDecoderBlock2D",) * 4,
                latent_channels=4,
                norm_num_groups=4 if tiny else 32,
            ),
            text_encoder=CLIPTextModel(
                CLIPTextConfig(hidden_size=channels, **special, **(text if tiny else full_text))
            ).eval(),
            tokenizer=None,
            unet=UNet2DConditionModel(
                sample_size=64,
                block_out_channels=widths,
                layers_per_block=1 if tiny else 2,
                down_block_types=down,
                up_block_types=up,
                cross_attention_dim=channels,
                attention_head_dim=4 if tiny else 8,
                norm_num_groups=8 if tiny else 32,
            ),
            scheduler=DDPMScheduler(**_NOISE),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )


def trained_weights(pipeline: StableDiffusionPipeline) -> list[torch.nn.Parameter]:
    """The adapters of both networks."""
    return [weight for net in adapters.networks(pipeline).values() for weight in lora.parameters(net)]


def ours(
    pipeline: StableDiffusionPipeline, section: StableDiffusionSection, bucket: Bucket, folder: Path
) -> Callable[[], None]:
    """The product's own parts, as `training.fine_tune` puts them together; images come from the cache of latents."""
    accelerator = Accelerator()
    device = accelerator.device
    adapters.place(pipeline, section, 0)
    cache = LatentCache(pipeline.vae, folder)
    rng = np.random.default_rng(0)
    images = [
        (Path(f"{k}.png"), rng.integers(0, 255, (bucket.height, bucket.width, 3), dtype=np.uint8), bucket)
        for k in range(2 * section.batch)
    ]
    pictures = cache.encode_all(images, accelerator)
    data = TrainingSet(pictures[::2], pictures[1::2], section.repeats, section.batch, 0)
    pipeline.vae.to("cpu")
    dtype = precision.resolve(section.precision, device)
    progress = Progress(0, preflight.check(pipeline, data, section, dtype, device, 1))
    if section.gradient_checkpointing:
        pipeline.unet.enable_gradient_checkpointing()
    ids = torch.randint(2, 1000, (2, _TOKENS), device=device)
    denoiser = Denoiser(pipeline.unet, pipeline.text_encoder, ids, section.clip_skip)
    weights = trained_weights(pipeline)
    optimizer = optimiser.make(weights, section, device)
    scaler = torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)
    step = Step(denoiser, weights, optimizer, scaler, dtype, section.prior_weight, accelerator)
    scaling = pipeline.vae.config.scaling_factor

    def take() -> None:
        with disable_input_dtype_casting(denoiser, active=dtype != torch.float32):
            step(training.batch(data, section, pipeline.scheduler, scaling, progress.step, accelerator), progress)
        progress.step += 1

    return take


def example(
    pipeline: StableDiffusionPipeline, section: StableDiffusionSection, bucket: Bucket, folder: Path
) -> Callable[[], None]:
    """The way of diffusers' DreamBooth-LoRA example, without reading image files."""
    del folder
    device = Accelerator().device
    adapters.place(pipeline, section, 0)
    dtype = precision.resolve(section.precision, device)
    for part in (*adapters.networks(pipeline).values(), pipeline.vae):
        preflight.move(part, dtype, device)
    unet, text_encoder, vae, scheduler = pipeline.unet, pipeline.text_encoder, pipeline.vae, pipeline.scheduler
    if section.gradient_checkpointing:
        unet.enable_gradient_checkpointing()
    weights = trained_weights(pipeline)
    optimizer = optimiser.make(weights, section, device)
    scaler = torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)
    batch = 2 * section.batch
    pixels = torch.rand(batch, 3, bucket.height, bucket.width) * 2 - 1
    ids = torch.randint(2, 1000, (2, _TOKENS)).repeat_interleave(section.batch, 0)

    def take() -> None:
        latents = vae.encode(pixels.to(device, dtype)).latent_dist.sample() * vae.config.scaling_factor
        noise = torch.randn_like(latents)
        times = torch.randint(0, scheduler.config.num_train_timesteps, (batch,), device=device)
        noised = scheduler.add_noise(latents, noise, times)
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            states = text_encoder(ids.to(device)).last_hidden_state
            answer = unet(noised, times, encoder_hidden_states=states).sample
        drawn, prior = (answer.float() - noise.float()).square().chunk(2)
        loss = drawn.mean() + section.prior_weight * prior.mean()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=True)
        loss.detach().item()

    return take


def measure(take: Callable[[], None], warm_up: int, steps: int, device: torch.device) -> tuple[float, float]:
    """Median seconds of a step, and the peak of memory while stepping in GiB: the GPU's, or the process's on a CPU."""
    for _ in range(warm_up):
        take()
    seconds = []
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    for _ in range(steps):
        _wait(device)
        started = time.perf_counter()
        take()
        _wait(device)
        seconds.append(time.perf_counter() - started)
    if device.type == "cuda":
        return statistics.median(seconds), torch.cuda.max_memory_allocated(device) / 2**30
    return statistics.median(seconds), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@click.command()
@click.option("--batch", default=4, show_default=True, help="Instance images a step; as many regularisation images.")
@click.option("--width", default=512, show_default=True)
@click.option("--height", default=512, show_default=True)
@click.option("--precision", "kind", type=click.Choice(["auto", "no", "fp16", "bf16"]), default="auto")
@click.option("--optimiser", "chosen", type=click.Choice(["adamw", "adamw8bit"]), default="adamw8bit")
@click.option("--checkpointing/--no-checkpointing", default=True, show_default=True)
@click.option("--warm-up", default=5, show_default=True)
@click.option("--steps", default=20, show_default=True)
@click.option("--only", type=click.Choice(["ours", "example"]), default=None)
@click.option("--tiny", is_flag=True, help="A network of a megabyte and 64 x 64 pixels: does it run?")
def main(
    batch: int,
    width: int,
    height: int,
    kind: str,
    chosen: str,
    checkpointing: bool,
    warm_up: int,
    steps: int,
    only: str | None,
    tiny: bool,
) -> None:
    """Print seconds a step and peak memory of both loops, and their ratio."""
    import logging
    import tempfile

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for noisy in ("httpx", "bitsandbytes"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    if tiny:
        width = height = 64
    section = StableDiffusionSection(
        batch=batch,
        clip_skip=1,  # the example has no other
        precision=kind,  # type: ignore[arg-type]
        optimiser=chosen,  # type: ignore[arg-type]
        gradient_checkpointing=checkpointing,
    )
    device = Accelerator().device
    taken = {}
    for name, loop in (("example", example), ("ours", ours)):
        if only in (None, name):
            with tempfile.TemporaryDirectory() as folder:
                take = loop(make_pipeline(tiny, device), section, Bucket(width, height), Path(folder))
                taken[name], peak = measure(take, warm_up, steps, device)
            click.echo(
                f"{name:8} {2 * batch} images of {width} x {height}: {taken[name] * 1000:8.1f} ms a step, "
                f"{2 * batch / taken[name]:7.2f} images/s, peak {peak:6.2f} GiB"
            )
            del take
            gc.collect()
            if device.type == "cuda":
                torch.cuda.empty_cache()
    if len(taken) == 2:
        click.echo(f"ours is {taken['example'] / taken['ours']:.2f} times as fast")


if __name__ == "__main__":
    main()
