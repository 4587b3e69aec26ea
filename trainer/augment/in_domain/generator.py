"""The in-domain generator: learns the user's surface, and paints defects into real good images of it."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from accelerate import Accelerator
from rich.console import Console
from safetensors.torch import load_file

from inspector import imagefile, preprocess
from inspector.errors import DataError
from models.denoiser import Denoiser
from trainer import checkpoint
from trainer.augment import Commission, Material, Pixels, Steering, SyntheticImage, strokes
from trainer.augment.compositing import feathered, lay_over
from trainer.augment.features import Features
from trainer.augment.foreground import foreground
from trainer.augment.in_domain import latents as latent_store
from trainer.augment.in_domain import sampling, training, transplant
from trainer.augment.in_domain.codec import Codec, open_tiny, to_pixels, to_tensor
from trainer.augment.in_domain.regions import locate
from trainer.augment.in_domain.window import Window, around
from trainer.augment.perlin import Mask
from trainer.augment.progress import steps_progress
from trainer.generator_sections import InDomainSection

_CODEC = "codec"
_FACTS = "facts.safetensors"
_GROW = 13
_FEATHER = 5
_GRAIN = 1.0  # pixels; a codec invents the grain below this scale, and two layers of it would betray the place


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """One drawing before it is denoised: part, start, where to draw, where the defect shall lie, how strongly."""

    part: Pixels
    start: Pixels
    region: Mask
    told: Mask
    strength: float
    noise_seed: int
    provenance: dict[str, Any]


class InDomain:
    """Latent diffusion trained from scratch on the training images (the embedded generator).

    A painted image starts from a real good one. Where real defects are known, one of them is moved onto it and
    partly noised, or the region is drawn from noise under the defect class; without them a painted stroke is partly
    noised. The model denoises the region, so that the defect sits in the surface. What is laid over the good image is
    the moved or painted defect itself and the decoded difference that denoising made to it, without its finest grain:
    what the codec loses or invents marks no place and thins no crack.

    Args:
        material: what to learn from and to draw on.
        section: the recipe's section.

    Raises:
        DataError: no good image.
    """

    def __init__(self, material: Material, section: InDomainSection) -> None:
        if not material.normals:
            raise DataError("the in-domain generator needs good images to learn the surface from, and there are none")
        self._material = material
        self._section = section

    @property
    def steered_by(self) -> frozenset[Steering]:
        """It heeds the region."""
        return frozenset({"region"})

    def fit(self, folder: Path, accelerator: Accelerator, console: Console) -> None:
        """Train codec (unless a pretrained one is at hand) and denoiser; see `trainer.augment.Learner`."""
        if not accelerator.is_main_process:
            return
        device = str(accelerator.device)
        normals = [self._read(path) for path in self._material.normals]
        defects = [self._read(path) for path in self._material.defects]
        codec = self._codec(folder, device, [*normals, *defects], accelerator, console)
        good = latent_store.encode(normals, codec, folder / "normals.safetensors", device)
        regions = np.zeros((0, *normals[0].shape[:2]), np.uint8)
        bad = np.zeros((0, *good.shape[1:]), np.float16)
        if defects:
            bad = latent_store.encode(
                list(latent_store.mirrored(defects)), codec, folder / "defects.safetensors", device
            )
            features = Features(self._material.weights, device)
            regions = np.stack(locate(normals, defects, features, self._material.seed))
        standard = self._scale(good)
        checkpoint.save_tensors(
            {"mean": standard.mean, "std": standard.std, "regions": torch.from_numpy(regions)}, folder / _FACTS
        )
        told = [latent_store.cells(region) for region in latent_store.mirrored(list(regions))]
        with steps_progress(console, "in-domain denoiser") as on_step:
            training.train(
                training.LatentSet(_scaled(good, standard), np.zeros((len(good), *good.shape[2:]), bool)),
                training.LatentSet(_scaled(bad, standard), np.array(told, bool)),
                self._section,
                self._material.seed,
                folder,
                accelerator,
                on_step,
            )

    def _scale(self, good: npt.NDArray[np.float16]) -> latent_store.Standard:
        """The latents' scale: of the fit that this one goes on from, else measured on good images."""
        if self._section.start is None:
            return latent_store.standard(good)
        facts = load_file(self._section.start / _FACTS)
        return latent_store.Standard(facts["mean"], facts["std"])

    def load(self, folder: Path, device: str) -> None:
        """See `trainer.augment.Learner`."""
        self._device = device
        self._decoder = self._opened(folder, device)
        network = Denoiser(self._section.channels)
        network.load_state_dict(load_file(folder / training.WEIGHTS))
        self._network = network.to(device).to(memory_format=torch.channels_last).eval()
        facts = load_file(folder / _FACTS)
        self._standard = latent_store.Standard(facts["mean"].to(device), facts["std"].to(device))
        self._regions = list(facts["regions"].numpy())

    def generate(self, n: int, seed: int, first: int = 0) -> Iterator[SyntheticImage]:
        """See `trainer.augment.Augmenter`."""
        for start in range(first, first + n, self._section.batch_drawn):
            numbers = range(start, min(start + self._section.batch_drawn, first + n))
            plans = [self._plan(number, seed) for number in numbers]
            for whole, group in groupby(plans, key=lambda plan: bool(plan.region.all())):
                yield from self._draw(list(group), whole)

    def draw_for(self, commission: Commission) -> SyntheticImage:
        """See `trainer.augment.Steerable`; without a part one is drawn, without a region one is found."""
        rng = np.random.default_rng([commission.seed, 7])
        part = commission.part
        if part is None:
            part = self._read(self._material.normals[int(rng.integers(len(self._material.normals)))])
        if part.shape[:2] != (self._material.spec.height, self._material.spec.width):
            raise DataError(f"the part is {part.shape[1]} x {part.shape[0]} pixels, not the model's size")
        if commission.region is not None and commission.region.shape != part.shape[:2]:
            raise DataError(
                f"the region is {commission.region.shape[1]} x {commission.region.shape[0]} pixels, the part is not"
            )
        if commission.region is not None and not commission.region.any():
            raise DataError("the region is empty: draw one on the part")
        provenance = {"generator": "in_domain", "seed": commission.seed}
        plan = self._planned(part, commission.region, rng, provenance)
        return self._draw([plan], bool(plan.region.all()))[0]

    def _plan(self, number: int, seed: int) -> _Plan:
        rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, number])))
        path = self._material.normals[int(rng.integers(len(self._material.normals)))]
        provenance = {"generator": "in_domain", "seed": seed, "index": number, "source": str(path)}
        return self._planned(self._read(path), None, rng, provenance)

    def _planned(
        self, part: Pixels, region: Mask | None, rng: np.random.Generator, provenance: dict[str, Any]
    ) -> _Plan:
        where = foreground(part) if region is None else np.where(region > 0, np.uint8(255), np.uint8(0))
        strength = float(rng.uniform(*self._section.strength))
        noise_seed = int(rng.integers(2**63))
        if not self._regions or rng.random() < self._section.painted:
            start, painted, kind = strokes.paint(part, where, rng)
            region = _grown(painted, region)
            told = np.zeros_like(region)
            return _Plan(
                part, start, region, told, strength, noise_seed, provenance | {"mode": kind, "strength": strength}
            )
        chosen = int(rng.integers(len(self._regions)))
        path = self._material.defects[chosen]
        start, landed = transplant.move(self._read(path), self._regions[chosen], part, where, rng)
        provenance = provenance | {"defect": str(path)}
        if not landed.any():
            landed = where
        if rng.random() < self._section.whole and region is None:
            everywhere = np.full_like(landed, 255)
            return _Plan(part, part, everywhere, landed, 1.0, noise_seed, provenance | {"mode": "whole"})
        if rng.random() < self._section.transplant:
            more = {"mode": "transplant", "strength": strength}
            return _Plan(part, start, _grown(landed, region), landed, strength, noise_seed, provenance | more)
        return _Plan(part, part, _grown(landed, region), landed, 1.0, noise_seed, provenance | {"mode": "noise"})

    @torch.inference_mode()
    def _draw(self, plans: Sequence[_Plan], whole: bool) -> list[SyntheticImage]:
        everywhere = Window(0, 0, *plans[0].part.shape[:2])
        windows = [everywhere if whole else around(plan.region, self._section.crop) for plan in plans]
        window = windows[0]
        original = self._encoded([w.of(plan.part) for w, plan in zip(windows, plans, strict=True)])
        start = self._encoded([w.of(plan.start) for w, plan in zip(windows, plans, strict=True)])
        cells = torch.from_numpy(
            np.stack(
                [
                    np.stack([latent_store.cells(w.of(plan.region)), latent_store.cells(w.of(plan.told))])
                    for w, plan in zip(windows, plans, strict=True)
                ]
            )
        )
        noise = torch.stack(
            [
                torch.randn(original.shape[1:], generator=torch.Generator().manual_seed(plan.noise_seed))
                for plan in plans
            ]
        )
        drawn = sampling.paint(
            self._network,
            original,
            start,
            cells[:, :1].float().to(self._device),
            cells[:, 1:].float().to(self._device),
            torch.tensor([plan.strength for plan in plans]),
            noise.to(self._device),
            steps=self._section.sampler_steps,
            guidance=self._section.guidance,
        )
        before, after = (self._decoded(x, window) for x in (start, drawn))
        images = []
        for number, (plan, place) in enumerate(zip(plans, windows, strict=True)):
            change = plan.start.astype(np.float32) - plan.part
            place.of(change)[:] += cv2.GaussianBlur(after[number].astype(np.float32) - before[number], (0, 0), _GRAIN)
            pixels, mask = lay_over(plan.part, change, feathered(_shrunk(plan.region), _FEATHER, plan.region))
            images.append(SyntheticImage(pixels, mask, plan.provenance))
        return images

    def _encoded(self, images: Sequence[Pixels]) -> torch.Tensor:
        return self._standard.forward(self._decoder.encode(to_tensor(images, self._device)))

    def _decoded(self, latents: torch.Tensor, window: Window) -> Pixels:
        return to_pixels(self._decoder.decode(self._standard.back(latents)), window.height, window.width)

    def _read(self, path: Path) -> Pixels:
        return preprocess.fit(imagefile.read(path), self._material.spec)

    def _opened(self, folder: Path, device: str) -> Codec:
        from trainer.augment.in_domain import small_codec

        return small_codec.load(folder / _CODEC, device) or open_tiny(self._section.codec, device)  # type: ignore[return-value]

    def _codec(
        self, folder: Path, device: str, images: Sequence[Pixels], accelerator: Accelerator, console: Console
    ) -> Codec:
        from trainer.augment.in_domain import small_codec

        if self._section.start is not None and (self._section.start / _CODEC).is_dir():
            shutil.copytree(self._section.start / _CODEC, folder / _CODEC, dirs_exist_ok=True)
        tiny = None if (folder / _CODEC).exists() else open_tiny(self._section.codec, device)
        if tiny is not None:
            return tiny
        with steps_progress(console, "image codec") as on_step:
            return small_codec.train(images, self._section, self._material.seed, folder / _CODEC, accelerator, on_step)


def _scaled(latents: np.ndarray, standard: latent_store.Standard) -> np.ndarray:
    if not len(latents):
        return latents
    return standard.forward(torch.from_numpy(latents).float()).half().numpy()


def _shrunk(region: Mask) -> Mask:
    """The region less a margin for the feather, so that no change ends abruptly at its edge."""
    return cv2.erode(region, np.ones((_FEATHER + 1, _FEATHER + 1), np.uint8))  # type: ignore[return-value]


def _grown(mask: Mask, bounds: Mask | None) -> Mask:
    """The mask and what lies near it, within `bounds` where they are given."""
    grown = cv2.dilate(mask, np.ones((_GROW, _GROW), np.uint8))
    return grown if bounds is None else np.where(bounds > 0, grown, np.uint8(0))  # type: ignore[return-value]
