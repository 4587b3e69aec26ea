"""The in-domain denoiser: a small UNet on latents, told the class of the image and the region of the defect."""

from collections.abc import Sequence

import torch
from diffusers import DDIMScheduler, UNet2DModel
from torch import nn
from torch.nn.functional import pad

NORMAL, DEFECT, UNKNOWN = 0, 1, 2
LATENT_CHANNELS = 4


class Denoiser(nn.Module):
    """Predicts the velocity (Salimans & Ho, 2022) of noisy latents.

    Args:
        channels: of the levels; each has half the resolution of the one before. The last one attends to itself.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        levels = len(channels)
        self.multiple = 2 ** (levels - 1)
        self.net = UNet2DModel(
            in_channels=LATENT_CHANNELS + 1,
            out_channels=LATENT_CHANNELS,
            block_out_channels=tuple(channels),
            layers_per_block=1,
            down_block_types=("DownBlock2D",) * (levels - 1) + ("AttnDownBlock2D",),
            up_block_types=("AttnUpBlock2D",) + ("UpBlock2D",) * (levels - 1),
            norm_num_groups=16,
            attention_head_dim=32,
            num_class_embeds=3,
        )

    def forward(
        self, noisy: torch.Tensor, region: torch.Tensor, time: torch.Tensor, classes: torch.Tensor
    ) -> torch.Tensor:
        """Predict.

        Args:
            noisy: `(N, 4, h, w)`; inside, edges are repeated up to multiples of `multiple`.
            region: `(N, 1, h, w)`, 1 where the defect is, else 0.
            time: `(N,)` int64 time steps, 0..999.
            classes: `(N,)` int64: `NORMAL`, `DEFECT` or `UNKNOWN`.

        Returns:
            `(N, 4, h, w)` velocity.
        """
        height, width = noisy.shape[2:]
        told = torch.cat([noisy, 2 * region - 1], 1)
        told = pad(told, (0, -width % self.multiple, 0, -height % self.multiple), mode="replicate")
        return self.net(told, time, class_labels=classes).sample[:, :, :height, :width]


def noise_schedule() -> DDIMScheduler:
    """The noise schedule and few-step sampler of the denoiser (cosine; Nichol & Dhariwal, 2021; Song et al., 2021)."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
        steps_offset=0,
    )
