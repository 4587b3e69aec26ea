"""What each step of fine-tuning sees: instance and regularisation images, in batches of one size."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from inspector import imagefile, preprocess
from inspector.errors import DataError
from inspector.preprocess import Image, InputSpec
from trainer.augment.stable_diffusion.buckets import Bucket, buckets, choose
from trainer.augment.stable_diffusion.latents import LatentCache, Picture
from trainer.generator_sections import StableDiffusionSection

if TYPE_CHECKING:
    from accelerate import Accelerator

INSTANCES, PRIORS = 0, 1
"""The two kinds of training images."""


@dataclass(frozen=True, slots=True)
class Draw:
    """One image of a batch: its index, and which of its crops."""

    picture: int
    crop: int


class TrainingSet:
    """Instance images and regularisation images in their buckets; which of them a step sees depends on the seed alone.

    Args:
        instances, priors: encoded images; without priors there is no prior preservation.
        repeats: times that an epoch sees each instance image.
        batch: instance images a step, over all processes; as many regularisation images go with them.
        seed: of the order.

    Raises:
        DataError: no instance image.
    """

    def __init__(
        self, instances: Sequence[Picture], priors: Sequence[Picture], repeats: int, batch: int, seed: int
    ) -> None:
        if not instances:
            raise DataError("fine-tuning needs at least one image, and there is none: add defects, or use zero_shot")
        self.instances, self.priors = instances, priors
        self.repeats, self.batch, self.seed = repeats, batch, seed
        self._passes: dict[int, tuple[int, list[list[Draw]]]] = {}
        self.per_epoch = len(self._batches(INSTANCES, 0))
        self.prior_turn = len(self._batches(PRIORS, 0))

    def instance_batch(self, step: int) -> list[Draw]:
        """The instance images of a step, all of one bucket."""
        epoch, index = divmod(step, self.per_epoch)
        return self._batches(INSTANCES, epoch)[index]

    def prior_batch(self, step: int, count: int) -> list[Draw]:
        """Up to `count` regularisation images for a step, all of one bucket; none where there are none."""
        if not self.priors:
            return []
        turn, index = divmod(step, self.prior_turn)
        return self._batches(PRIORS, turn)[index][:count]

    def latents(self, kind: int, draws: Sequence[Draw]) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation `(N, C, h, w)` of the posteriors drawn; `kind` is `INSTANCES` or `PRIORS`."""
        pictures = self.priors if kind == PRIORS else self.instances
        chosen = [pictures[draw.picture].latents[draw.crop] for draw in draws]
        return torch.stack([one.mean for one in chosen]), torch.stack([one.std for one in chosen])

    def _batches(self, kind: int, turn: int) -> list[list[Draw]]:
        """All batches of one pass; the last pass of each kind is kept."""
        if kind not in self._passes or self._passes[kind][0] != turn:
            self._passes[kind] = turn, self._shuffled(kind, turn)
        return self._passes[kind][1]

    def _shuffled(self, kind: int, turn: int) -> list[list[Draw]]:
        """Crops take turns, from repeat to repeat and from pass to pass."""
        pictures, repeats = (self.priors, 1) if kind == PRIORS else (self.instances, self.repeats)
        rng = np.random.default_rng([self.seed, kind, turn])
        by_bucket: dict[Bucket, list[Draw]] = {}
        for index, picture in enumerate(pictures):
            drawn = by_bucket.setdefault(picture.bucket, [])
            drawn += [Draw(index, (turn * repeats + k) % len(picture.latents)) for k in range(repeats)]
        batches: list[list[Draw]] = []
        for bucket in sorted(by_bucket):
            drawn = [by_bucket[bucket][index] for index in rng.permutation(len(by_bucket[bucket]))]
            batches += [drawn[start : start + self.batch] for start in range(0, len(drawn), self.batch)]
        return [batches[index] for index in rng.permutation(len(batches))]


def share(count: int, rank: int, ranks: int) -> list[int]:
    """Which items of a batch of `count` process `rank` of `ranks` works on; a short batch is filled from its start."""
    size = math.ceil(count / ranks)
    return [index % count for index in range(rank * size, (rank + 1) * size)]


def load(
    instances: Sequence[Path],
    regularisation: Sequence[Path],
    section: StableDiffusionSection,
    spec: InputSpec,
    seed: int,
    cache: LatentCache,
    accelerator: "Accelerator",
) -> TrainingSet:
    """Read, fit, scale and encode the images of a fine-tuning.

    Instance images are fitted to the model's input first, so that what is learned has the aspect of what is inspected;
    regularisation images keep their own aspect.

    Raises:
        DataError: an image cannot be read, there is no instance image, or a file is in both lists.
    """
    both = {path.resolve() for path in instances} & {path.resolve() for path in regularisation}
    if both:
        raise DataError(
            f"{min(both)} is both an instance and a regularisation image, which would undo prior preservation: "
            "keep them in separate folders"
        )
    sizes = buckets(section.bucket_base, section.bucket_min, section.bucket_max, section.bucket_step)

    def placed(path: Path, pixels: Image) -> tuple[Path, Image, Bucket]:
        return path, pixels, choose(pixels.shape[1], pixels.shape[0], sizes)

    wanted = [placed(path, preprocess.fit(imagefile.read(path), spec)) for path in instances]
    priors = [placed(path, _own_size(path, spec)) for path in regularisation if section.prior_weight > 0]
    return TrainingSet(
        cache.encode_all(wanted, accelerator),
        cache.encode_all(priors, accelerator),
        section.repeats,
        section.batch,
        seed,
    )


def _own_size(path: Path, spec: InputSpec) -> Image:
    pixels = imagefile.read(path)
    own = spec.model_copy(update={"width": pixels.shape[1], "height": pixels.shape[0], "crop": "none"})
    return preprocess.fit(pixels, own)
