"""Fine-tune Stable Diffusion by DreamBooth with LoRA-C3Lier: one plain loop that any kill may interrupt."""

import logging
import math
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from diffusers import DDPMScheduler, StableDiffusionPipeline
from peft.helpers import disable_input_dtype_casting
from torch.nn.parallel import DistributedDataParallel

from inspector.errors import InandoutError
from inspector.preprocess import InputSpec
from models import lora
from trainer.augment.stable_diffusion import adapters, dataset, losses, optimiser, precision, preflight, resume, text
from trainer.augment.stable_diffusion.dataset import TrainingSet, share
from trainer.augment.stable_diffusion.denoising import Denoiser, Noisy, noise_scheduler, noisy
from trainer.augment.stable_diffusion.latents import LatentCache
from trainer.augment.stable_diffusion.resume import Saved
from trainer.augment.stable_diffusion.step import Progress, Step
from trainer.generator_sections import StableDiffusionSection
from trainer.interruption import Interrupted, stop_requested

logger = logging.getLogger(__name__)
ADAPTERS, CHECKPOINT, LATENTS, LOSSES = "adapters", "checkpoint", "latents", "losses.csv"
_INSTANCE_PROMPT, _CLASS_PROMPT = 0, 1
_NOISE = 2


def fine_tune(
    pipeline: StableDiffusionPipeline,
    instances: Sequence[Path],
    regularisation: Sequence[Path],
    section: StableDiffusionSection,
    spec: InputSpec,
    epochs: int,
    seed: int,
    folder: Path,
    accelerator: Accelerator,
    on_step: Callable[[int, int], None] = lambda step, steps: None,
) -> None:
    """Teach `pipeline` the surface on `instances` and leave `adapters/` and `losses.csv` in `folder`.

    Called on every process. A rerun in the same folder continues at the last checkpoint and ends at the weights of an
    uninterrupted run; after the end it only loads the adapters. The pipeline is left with its adapters in, its frozen
    weights in the type that they were trained in.

    Args:
        pipeline: Stable Diffusion 1.x or 2.x.
        instances: images of what is to be drawn, under `section.instance_prompt`.
        regularisation: images of the class, under `section.class_prompt`; with none nothing is preserved.
        section: the recipe's.
        spec: the classifier's input, which instance images are fitted to.
        epochs: over `section.repeats` times the instance images.
        seed: of adapters, order and noise.
        folder: existing; holds cached latents and the checkpoint too.
        accelerator: device and processes. Precision is the section's.
        on_step: called on the main process with the steps done and the steps in all.

    Raises:
        Interrupted: SIGINT or SIGTERM came; a checkpoint was written.
        DataError: an image, prompt or model that cannot be used.
        InandoutError: out of memory even for a single image, or the loss is no longer finite.
        OSError: the disk refuses.
    """
    identity = resume.identity([section, spec, epochs, seed], [*instances, *regularisation])
    resume.forget_other(folder, identity, [folder / ADAPTERS, folder / CHECKPOINT], accelerator)
    if (folder / ADAPTERS).is_dir():
        adapters.load_into(pipeline, folder / ADAPTERS)
        logger.info("fine-tuning is done already: %s", folder / ADAPTERS)
        return
    device = accelerator.device
    ids = text.tokenise(pipeline, [section.instance_prompt, section.class_prompt]).to(device)
    scheduler = noise_scheduler(pipeline.scheduler)
    adapters.place(pipeline, section, seed)
    cache = LatentCache(pipeline.vae.to(device).float(), folder / LATENTS)
    data = dataset.load(instances, regularisation, section, spec, seed, cache, accelerator)
    pipeline.vae.to("cpu")
    if not data.priors:
        logger.warning("no regularisation images, or prior_weight 0: nothing preserves the class")

    dtype = precision.resolve(section.precision, device)
    progress = Progress(0, preflight.check(pipeline, data, section, dtype, device, accelerator.num_processes))
    if section.gradient_checkpointing:
        pipeline.unet.enable_gradient_checkpointing()
    denoiser = Denoiser(pipeline.unet, pipeline.text_encoder, ids, section.clip_skip)
    weights = [
        parameter
        for network in adapters.networks(pipeline, section.text_encoder).values()
        for parameter in lora.parameters(network)
    ]
    optimizer = optimiser.make(weights, section, device)
    scaler = torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)
    saved = Saved(folder / CHECKPOINT, weights, optimizer, scaler)
    saved.restore(progress)
    network: torch.nn.Module = denoiser
    if accelerator.num_processes > 1:
        network = DistributedDataParallel(denoiser, device_ids=[device] if device.type == "cuda" else None)
    step = Step(network, weights, optimizer, scaler, dtype, section.prior_weight, accelerator)

    steps = epochs * data.per_epoch
    last_save = time.monotonic()
    with ExitStack() as stack:
        stop = stack.enter_context(stop_requested())
        # Autocast rounds what adapters are given anyway: peft need not blow it up to float32 first.
        stack.enter_context(disable_input_dtype_casting(denoiser, active=dtype != torch.float32))
        write = lambda row: None  # noqa: E731
        if accelerator.is_main_process:
            write = stack.enter_context(losses.table(folder / LOSSES, progress.step))
        while progress.step < steps:
            rate = optimiser.learning_rate(section, progress.step, steps)
            for group in optimizer.param_groups:
                group["lr"] = rate
            parts = batch(data, section, scheduler, pipeline.vae.config.scaling_factor, progress.step, accelerator)
            instance_loss, prior_loss = step(parts, progress)
            progress.step += 1
            write(losses.LossRow(progress.step, instance_loss, prior_loss, rate))
            if not math.isfinite(instance_loss + (prior_loss or 0.0)):
                raise InandoutError(
                    f"the fine-tuning loss is no longer finite at step {progress.step}: lower "
                    "stable_diffusion.learning_rate, or set stable_diffusion.precision to bf16 or no"
                )
            if accelerator.is_main_process:
                on_step(progress.step, steps)
            stopped = _any_rank(stop(), accelerator) and progress.step < steps
            due = time.monotonic() - last_save > section.checkpoint_seconds
            if stopped or (accelerator.is_main_process and due):
                if accelerator.is_main_process:
                    saved.store(progress)
                last_save = time.monotonic()
            if stopped:
                accelerator.wait_for_everyone()
                raise Interrupted(f"interrupted at step {progress.step}; run the same command to go on")
    _finish(pipeline, section, folder, accelerator)


def batch(
    data: TrainingSet,
    section: StableDiffusionSection,
    scheduler: DDPMScheduler,
    scaling: float,
    step: int,
    accelerator: Accelerator,
) -> list[Noisy]:
    """This process's share of a step: noised instance images, and regularisation images where there are any.

    What an image is noised with depends on seed, step and its place in the whole batch, not on how many share it.
    """
    drawn = data.instance_batch(step)
    wanted = [
        (dataset.INSTANCES, _INSTANCE_PROMPT, drawn),
        (dataset.PRIORS, _CLASS_PROMPT, data.prior_batch(step, len(drawn))),
    ]
    parts = []
    for kind, prompt, draws in wanted:
        if draws:
            source = np.random.SeedSequence([data.seed, _NOISE, kind, step]).generate_state(1, np.uint64)[0]
            generator = torch.Generator().manual_seed(int(source))
            whole = noisy(*data.latents(kind, draws), scaling, scheduler, section.min_snr, prompt, generator)
            mine = share(len(draws), accelerator.process_index, accelerator.num_processes)
            parts.append(whole[mine].to(accelerator.device))
    return parts


def _finish(
    pipeline: StableDiffusionPipeline, section: StableDiffusionSection, folder: Path, accelerator: Accelerator
) -> None:
    """Check that every adapter learned, and write them all."""
    try:
        lora.check_trained(adapters.networks(pipeline, section.text_encoder))
    except lora.ArchitectureError as error:
        raise InandoutError(f"fine-tuning went wrong: {error}; check learning_rate, prompts and base") from None
    pipeline.unet.disable_gradient_checkpointing()
    if accelerator.is_main_process:
        adapters.save(pipeline, folder / ADAPTERS)
        shutil.rmtree(folder / CHECKPOINT, ignore_errors=True)
    accelerator.wait_for_everyone()


def _any_rank(flag: bool, accelerator: Accelerator) -> bool:
    """Whether any process was asked to stop."""
    if accelerator.num_processes == 1:
        return flag
    return bool(accelerator.reduce(torch.tensor([float(flag)], device=accelerator.device)).item() > 0)
