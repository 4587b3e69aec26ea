"""The loss of DreamBooth: noise the latents, have the UNet undo it under a prompt, weight by min-SNR."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from diffusers import DDPMScheduler

from inspector.errors import DataError
from trainer.augment.stable_diffusion import text


@dataclass(frozen=True, slots=True, eq=False)
class Noisy:
    """Noised latents of one prompt.

    Attributes:
        latents: `(N, C, h, w)`.
        timesteps: `(N,)` of the noise schedule.
        target: what the UNet should answer, `(N, C, h, w)` float32.
        weight: of each image's loss, `(N,)` float32.
        prompt: row of the text states.
    """

    latents: torch.Tensor
    timesteps: torch.Tensor
    target: torch.Tensor
    weight: torch.Tensor
    prompt: int

    def __getitem__(self, part: slice | list[int]) -> "Noisy":
        return Noisy(self.latents[part], self.timesteps[part], self.target[part], self.weight[part], self.prompt)

    def __len__(self) -> int:
        return len(self.latents)

    def to(self, device: torch.device) -> "Noisy":
        """The same on a device."""
        tensors = (self.latents, self.timesteps, self.target, self.weight)
        latents, timesteps, target, weight = (tensor.to(device) for tensor in tensors)
        return Noisy(latents, timesteps, target, weight, self.prompt)


class Denoiser(torch.nn.Module):
    """Text encoder and UNet as one module, so that several processes add up their gradients once a step.

    Args:
        unet, text_encoder: with adapters; an encoder without any is read once and for all.
        ids: token ids `(prompts, L)` of the prompts that training uses, on the device.
        clip_skip: see `text.encode`.
    """

    def __init__(self, unet: torch.nn.Module, text_encoder: torch.nn.Module, ids: torch.Tensor, clip_skip: int) -> None:
        super().__init__()
        self.unet, self.ids, self.clip_skip = unet, ids, clip_skip
        learned = any(parameter.requires_grad for parameter in text_encoder.parameters())
        self.text_encoder = text_encoder if learned else None
        if not learned:
            with torch.no_grad():
                self.fixed = text.encode(text_encoder, ids, clip_skip)

    def forward(self, *parts: Noisy) -> list[torch.Tensor]:
        """The mean weighted loss of each part. Parts of one size go through the UNet together."""
        states = self.fixed if self.text_encoder is None else text.encode(self.text_encoder, self.ids, self.clip_skip)
        if len({part.latents.shape[1:] for part in parts}) == 1:
            answers = self._answer(parts, states).split([len(part) for part in parts])
        else:
            answers = tuple(self._answer([part], states) for part in parts)
        return [_loss(answer, part) for answer, part in zip(answers, parts, strict=True)]

    def _answer(self, parts: Sequence[Noisy], states: torch.Tensor) -> torch.Tensor:
        # Each prompt is encoded once, not once an image.
        rows = torch.cat([states[part.prompt].expand(len(part), -1, -1) for part in parts])
        latents = torch.cat([part.latents for part in parts])
        return self.unet(latents, torch.cat([part.timesteps for part in parts]), encoder_hidden_states=rows).sample


def _loss(answer: torch.Tensor, part: Noisy) -> torch.Tensor:
    each = (answer.float() - part.target).square().mean(dim=(1, 2, 3))
    return (each * part.weight).mean()


def noise_scheduler(scheduler: torch.nn.Module) -> DDPMScheduler:
    """The noise schedule that a pipeline's scheduler was made for.

    Raises:
        DataError: the model answers neither noise nor velocity.
    """
    made = DDPMScheduler.from_config(scheduler.config)
    if made.config.prediction_type not in ("epsilon", "v_prediction"):
        raise DataError(f"a model that predicts '{made.config.prediction_type}' cannot be fine-tuned: use another base")
    return made


def noisy(
    mean: torch.Tensor,
    std: torch.Tensor,
    scaling: float,
    scheduler: DDPMScheduler,
    min_snr: float | None,
    prompt: int,
    generator: torch.Generator,
) -> Noisy:
    """Draw latents from posteriors `(N, C, h, w)` on the CPU, and noise them at random times.

    Args:
        mean, std: of the autoencoder's posteriors.
        scaling: the autoencoder's scaling factor.
        scheduler: the noise schedule.
        min_snr: gamma of `snr_weight`; None weights all times alike.
        prompt: row of the text states.
        generator: all randomness.
    """
    latents = scaling * (mean + std * torch.randn(mean.shape, generator=generator))
    noise = torch.randn(latents.shape, generator=generator)
    timesteps = torch.randint(0, scheduler.config.num_train_timesteps, (len(mean),), generator=generator)
    velocity = scheduler.config.prediction_type == "v_prediction"
    target = scheduler.get_velocity(latents, noise, timesteps) if velocity else noise
    weight = torch.ones(len(mean))
    if min_snr is not None:
        weight = snr_weight(scheduler.alphas_cumprod[timesteps], min_snr, velocity)
    return Noisy(scheduler.add_noise(latents, noise, timesteps), timesteps, target, weight, prompt)


def snr_weight(alphas_cumprod: torch.Tensor, gamma: float, velocity: bool) -> torch.Tensor:
    """Min-SNR weights (Hang et al., ICCV 2023): min(SNR, gamma) / SNR for noise, / (SNR + 1) for velocity."""
    snr = alphas_cumprod / (1.0 - alphas_cumprod)
    if velocity:
        return snr.clamp(max=gamma) / (snr + 1.0)
    return (gamma / snr).clamp(max=1.0)
