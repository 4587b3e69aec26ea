"""Latents of the training images, computed once and kept on the disk."""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from torch.nn.functional import adaptive_max_pool2d

from trainer import checkpoint
from trainer.augment import Pixels
from trainer.augment.in_domain.codec import FACTOR, Codec, to_tensor
from trainer.augment.perlin import Mask

logger = logging.getLogger(__name__)
_BATCH = 8


@dataclass(frozen=True, slots=True, eq=False)
class Standard:
    """Per-channel mean and standard deviation of latents, `(4,)` each."""

    mean: torch.Tensor
    std: torch.Tensor

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """`(N, 4, h, w)` to mean 0 and deviation 1."""
        return (latents - self.mean.view(1, -1, 1, 1)) / self.std.view(1, -1, 1, 1)

    def back(self, latents: torch.Tensor) -> torch.Tensor:
        """The inverse of `forward`."""
        return latents * self.std.view(1, -1, 1, 1) + self.mean.view(1, -1, 1, 1)


def mirrored(images: Sequence[Pixels]) -> Iterator[Pixels]:
    """Each image as it is, upside down, left to right, and both."""
    for image in images:
        for rows in (1, -1):
            for columns in (1, -1):
                yield np.ascontiguousarray(image[::rows, ::columns])


def encode(images: Sequence[Pixels], codec: Codec, path: Path, device: str) -> npt.NDArray[np.float16]:
    """Encode images; latents kept in `path` are used where they belong to these images.

    A file that is damaged or of other images is computed anew, with a logged line.

    Returns:
        `(N, 4, h, w)` float16.

    Raises:
        OSError: the disk refuses.
    """
    key = hashlib.sha256(b"".join(hashlib.sha256(image.tobytes()).digest() for image in images)).hexdigest()
    kept = _read(path, key)
    if kept is not None:
        return kept
    parts = [
        codec.encode(to_tensor(images[start : start + _BATCH], device)).half().cpu()
        for start in range(0, len(images), _BATCH)
    ]
    latents = torch.cat(parts).contiguous()
    digest = hashlib.sha256(latents.numpy().tobytes()).hexdigest()
    checkpoint.save_tensors({"latents": latents}, path, {"images": key, "sha256": digest})
    return latents.numpy()


def _read(path: Path, key: str) -> npt.NDArray[np.float16] | None:
    if not path.is_file():
        return None
    try:
        with safe_open(str(path), framework="pt") as file:
            known = file.metadata() or {}
            latents = file.get_tensor("latents").numpy()
    except (OSError, SafetensorError) as error:
        logger.warning("%s is damaged (%s): computed anew", path, str(error).splitlines()[0])
        return None
    if known.get("sha256") != hashlib.sha256(latents.tobytes()).hexdigest():
        logger.warning("%s is damaged (its checksum is wrong): computed anew", path)
        return None
    return latents if known.get("images") == key else None


def standard(latents: npt.NDArray[np.float16]) -> Standard:
    """Measure latents."""
    values = torch.from_numpy(latents.astype(np.float32))
    return Standard(values.mean((0, 2, 3)), values.std((0, 2, 3)).clamp(min=1e-4))


def cells(mask: Mask) -> npt.NDArray[np.bool_]:
    """A pixel mask on the grid of the latents: cells that it touches, `(ceil(H/8), ceil(W/8))`."""
    height, width = mask.shape
    padded = np.pad(mask > 0, ((0, -height % FACTOR), (0, -width % FACTOR)))
    size = padded.shape[0] // FACTOR, padded.shape[1] // FACTOR
    return adaptive_max_pool2d(torch.from_numpy(padded).float()[None], size)[0].numpy() > 0
