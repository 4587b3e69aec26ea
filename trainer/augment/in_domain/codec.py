"""Images to latents and back: TAESDXL where it can be had, else a small autoencoder of the user's own images."""

import logging
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from diffusers import AutoencoderTiny
from diffusers.utils import logging as diffusers_logging
from torch.nn.functional import pad

from inspector.errors import InandoutError
from trainer.augment import Pixels

logger = logging.getLogger(__name__)
FACTOR = 8
_HUB = "madebyollin/taesdxl"


class Codec(Protocol):
    """Maps `(N, 3, H, W)` in -1..1 to `(N, 4, H/8, W/8)` and back; sides are multiples of 8."""

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """Latents of images."""
        ...

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Images of latents, not clipped."""
        ...


class TinyCodec:
    """An `AutoencoderTiny` with pretrained weights (TAESDXL: Ollin Boer Bohan, MIT)."""

    def __init__(self, network: AutoencoderTiny) -> None:
        self._network = network.eval().requires_grad_(False)

    @torch.inference_mode()
    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """See `Codec`."""
        return self._network.encode(images).latents

    @torch.inference_mode()
    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """See `Codec`."""
        return self._network.decode(latents).sample


def open_tiny(choice: str, device: str) -> TinyCodec | None:
    """Open the pretrained codec that `InDomainSection.codec` names.

    Returns:
        The codec; None for `small`, and for `auto` where the hub cannot be reached (one logged line).

    Raises:
        InandoutError: a named codec is missing, damaged, or of another shape.
    """
    if choice == "small":
        return None
    wanted = _HUB if choice == "auto" else choice
    diffusers_logging.set_verbosity_error()  # it says that TAESDXL's configuration has a key too many
    try:
        network = AutoencoderTiny.from_pretrained(wanted, use_safetensors=True)
    except (OSError, ValueError, RuntimeError) as error:
        if choice == "auto":
            logger.warning("%s cannot be had: a small autoencoder is trained on the images instead", _HUB)
            return None
        reason = str(error).strip().splitlines()[0]
        raise InandoutError(
            f"cannot open codec {wanted} ({reason}): give in_domain.codec a folder in diffusers' layout, or 'small'"
        ) from None
    config = network.config
    factor = 2 ** (len(config.encoder_block_out_channels) - 1)
    if config.latent_channels != 4 or factor != FACTOR:
        raise InandoutError(
            f"codec {wanted} has {config.latent_channels} latent channels at 1/{factor} of the size, and the "
            f"denoiser needs 4 at 1/{FACTOR}: use TAESDXL or in_domain.codec=small"
        )
    return TinyCodec(network.to(device))


def to_tensor(images: Sequence[Pixels], device: str) -> torch.Tensor:
    """`(H, W, 3)` uint8 RGB images of one size to `(N, 3, H', W')` in -1..1, edges repeated up to multiples of 8."""
    batch = torch.from_numpy(np.stack(images)).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
    height, width = batch.shape[2:]
    return pad(batch, (0, -width % FACTOR, 0, -height % FACTOR), mode="replicate")


def to_pixels(images: torch.Tensor, height: int, width: int) -> Pixels:
    """`(N, 3, H', W')` in -1..1 to `(N, height, width, 3)` uint8, what was padded cut off."""
    scaled = ((images[:, :, :height, :width].float() + 1) * 127.5).clamp(0, 255).round()
    return scaled.permute(0, 2, 3, 1).to(torch.uint8).cpu().numpy()
