"""Features of the frozen start network: what the gate, the first classifier and the mix search compare images by."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from inspector.errors import InandoutError
from models import weights
from models.classifier import Classifier, ClassifierConfig
from trainer.augment import Pixels

FeatureMaps = npt.NDArray[np.float16]
LEVEL = "layer3"
_BATCH = 16


class Features:
    """Maps images to the activations of the backbone's `layer3`, with the weights a build starts from.

    Args:
        choice: `imagenet`, `none` (random weights of a fixed seed), or a safetensors file.
        device: torch's name of it.

    Raises:
        InandoutError: the weights cannot be had.
    """

    def __init__(self, choice: str, device: str = "cpu") -> None:
        try:
            start = None
            if choice != "none":
                start = weights.download() if choice == "imagenet" else weights.read(Path(choice))
            with torch.random.fork_rng():
                torch.manual_seed(0)
                layout = "conv2" if start is None else start.stride_on
                network = Classifier(ClassifierConfig(heads={}, last=LEVEL, stride_on=layout))
            if start is not None:
                weights.load(network.backbone, start)
        except weights.WeightsError as error:
            raise InandoutError(str(error)) from None
        self._network = network.to(device).to(memory_format=torch.channels_last).eval()
        self._device = device

    def of(self, images: Iterable[Pixels]) -> FeatureMaps:
        """Compute the features of one or more `(H, W, 3)` uint8 RGB images of one size: `(N, h, w, C)` float16."""
        parts = list(self._batches(iter(images)))
        if not parts:
            raise ValueError("features of no image")
        return np.concatenate(parts)

    @torch.inference_mode()
    def _batches(self, images: Iterator[Pixels]) -> Iterator[FeatureMaps]:
        while batch := list(islice(images, _BATCH)):
            x = self._network.stages(torch.from_numpy(np.stack(batch)).to(self._device))[LEVEL]
            yield x.permute(0, 2, 3, 1).half().cpu().numpy()
