"""Denoise latents in few steps: whole pieces, or a region of a real image whose surroundings stay."""

import torch

from models.denoiser import DEFECT, NORMAL, UNKNOWN, Denoiser, noise_schedule


@torch.inference_mode()
def paint(
    network: Denoiser,
    original: torch.Tensor,
    start: torch.Tensor,
    region: torch.Tensor,
    told: torch.Tensor,
    strength: torch.Tensor,
    noise: torch.Tensor,
    *,
    steps: int,
    guidance: float,
) -> torch.Tensor:
    """Noise `start`, denoise it inside `region`, and keep the surroundings those of `original` at every step.

    Args:
        network: the denoiser, in evaluation mode.
        original: `(N, 4, h, w)` latents of the real images.
        start: `(N, 4, h, w)` latents to begin with: a painted defect, or `original` where all is to be drawn anew.
        region: `(N, 1, h, w)`, 1 where to draw, else 0.
        told: `(N, 1, h, w)`, 1 where the defect shall lie, else 0; all 0 draws under the normal class.
        strength: `(N,)` in 0..1, the share of the noise range that `start` goes through; 1 forgets it.
        noise: `(N, 4, h, w)` standard normal.
        steps: denoising steps over the whole noise range.
        guidance: classifier-free guidance (Ho & Salimans, 2022) towards the defect; 1 is none.

    Returns:
        `(N, 4, h, w)` latents, equal to `original` outside the region.
    """
    schedule = noise_schedule()
    schedule.set_timesteps(steps, device=original.device)
    times = schedule.timesteps
    begins = (steps - torch.clamp((strength * steps).round().long(), min=1)).to(original.device)
    count = len(original)
    defect = told.flatten(1).any(1)
    guided = guidance != 1 and bool(defect.any())
    scale = torch.where(defect, guidance, 1.0)[:, None, None, None]
    classes = torch.where(defect, DEFECT, NORMAL)
    unknown = torch.full_like(classes, UNKNOWN)
    x = start
    for number, time in enumerate(times):
        at = time.repeat(count)
        x = torch.where((begins == number)[:, None, None, None], schedule.add_noise(start, noise, at), x)
        if not bool((begins <= number).any()):
            continue
        velocity = network(x, told, at, classes)
        if guided:
            free = network(x, torch.zeros_like(told), at, unknown)
            velocity = free + scale * (velocity - free)
        stepped = schedule.step(velocity, time, x).prev_sample
        around = (
            original if number + 1 == steps else schedule.add_noise(original, noise, times[number + 1].repeat(count))
        )
        stepped = torch.where(region > 0, stepped, around)
        x = torch.where((begins <= number)[:, None, None, None], stepped, x)
    return x
