"""Images as the autoencoder sees them, computed once and kept on the disk under a checksum."""

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from diffusers import AutoencoderKL
from safetensors import SafetensorError, safe_open

from inspector.errors import DataError
from inspector.preprocess import Image
from trainer.augment.stable_diffusion.buckets import Bucket, Crop, crops, cut
from trainer.checkpoint import save_tensors

if TYPE_CHECKING:
    from accelerate import Accelerator

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Latents:
    """The autoencoder's posterior of one crop of an image: `mean` and `std`, `(C, h, w)` float32 on the CPU."""

    mean: torch.Tensor
    std: torch.Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A training image in a bucket.

    Attributes:
        path: the file it came from, for messages.
        bucket: its training size.
        latents: one for each crop that it takes to show all of it.
    """

    path: Path
    bucket: Bucket
    latents: tuple[Latents, ...]


class LatentCache:
    """Encodes images, or reads what an earlier run encoded.

    A file's name is the digest of pixels, crop and autoencoder, and its checksum lies inside, so that neither another
    image or model nor a damaged file is ever mistaken for the right one.

    Args:
        vae: the autoencoder, on the device to encode on; used in float32.
        folder: of the cached files; made where absent.
    """

    def __init__(self, vae: AutoencoderKL, folder: Path) -> None:
        self.vae, self.folder = vae, folder
        folder.mkdir(parents=True, exist_ok=True)
        self._model = _fingerprint(vae)

    def encode_all(self, images: Sequence[tuple[Path, Image, Bucket]], accelerator: "Accelerator") -> list[Picture]:
        """Encode images `(path, (H, W, 3) uint8 RGB, bucket)`; several processes divide the work."""
        rank, ranks = accelerator.process_index, accelerator.num_processes
        if ranks > 1:
            for path, pixels, bucket in images[rank::ranks]:
                self.encode(path, pixels, bucket)
            accelerator.wait_for_everyone()
        return [self.encode(path, pixels, bucket) for path, pixels, bucket in images]

    def encode(self, path: Path, pixels: Image, bucket: Bucket) -> Picture:
        """The posteriors of an image's crops, from the cache where they are there and sound.

        Raises:
            OSError: the cache cannot be written.
        """
        places = crops(pixels.shape[1], pixels.shape[0], bucket)
        return Picture(path, bucket, tuple(self._one(path, pixels, place, bucket) for place in places))

    def _one(self, path: Path, pixels: Image, crop: Crop, bucket: Bucket) -> Latents:
        key = hashlib.sha256(pixels.tobytes())
        key.update(json.dumps([pixels.shape, asdict(crop), asdict(bucket), self._model]).encode())
        file = self.folder / f"{key.hexdigest()[:32]}.safetensors"
        if file.exists():
            try:
                return _read(file)
            except DataError as error:
                logger.warning("%s; encoded again from %s", error, path)
        latents = self._encode(cut(pixels, crop, bucket))
        _write(latents, file)
        return latents

    @torch.no_grad()
    def _encode(self, pixels: Image) -> Latents:
        scaled = torch.from_numpy(pixels).permute(2, 0, 1)[None].to(self.vae.device, torch.float32) / 127.5 - 1.0
        posterior = self.vae.encode(scaled).latent_dist
        return Latents(posterior.mean[0].float().cpu(), posterior.std[0].float().cpu())


def _write(latents: Latents, file: Path) -> None:
    tensors = {"mean": latents.mean.contiguous(), "std": latents.std.contiguous()}
    staging = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        save_tensors(tensors | {"sha256": _checksum(tensors)}, staging)
        staging.replace(file)
    finally:
        with suppress(OSError):
            staging.unlink()


def _read(file: Path) -> Latents:
    """Read a cached file; raises `DataError` where it is damaged."""
    try:
        with safe_open(file, framework="pt") as handle:
            tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError) as error:
        raise DataError(f"cached latents {file} cannot be read ({str(error).splitlines()[0]})") from None
    sealed = tensors.pop("sha256", None)
    if tensors.keys() != {"mean", "std"} or sealed is None or not torch.equal(sealed, _checksum(tensors)):
        raise DataError(f"cached latents {file} do not match their checksum")
    return Latents(tensors["mean"], tensors["std"])


def _checksum(tensors: dict[str, torch.Tensor]) -> torch.Tensor:
    """SHA-256 of named tensors as 32 bytes."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        total.update(f"{name}{tuple(tensors[name].shape)}".encode())
        total.update(tensors[name].numpy().tobytes())
    return torch.frombuffer(bytearray(total.digest()), dtype=torch.uint8)


def _fingerprint(vae: AutoencoderKL) -> str:
    """SHA-256 of an autoencoder's encoding half, whatever type its weights are kept in."""
    total = hashlib.sha256()
    for name, tensor in _encoder_weights(vae):
        total.update(name.encode())
        total.update(tensor.detach().to("cpu", torch.float32).numpy().tobytes())
    return total.hexdigest()


def _encoder_weights(vae: AutoencoderKL) -> Iterator[tuple[str, torch.Tensor]]:
    return ((name, tensor) for name, tensor in vae.state_dict().items() if not name.startswith(("decoder", "post_")))
