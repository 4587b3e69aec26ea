"""The first classifier: a linear map on frozen features, trained in seconds, to look at images before the real one."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from models.pooling import narrowed, pool
from trainer.augment import Pixels
from trainer.augment.features import FeatureMaps, Features

_SHARE = 0.1
_WARM_UP = 0.25
_STEPS = 400
_HALF_BATCH = 8
_RATE = 1e-3


class FirstClassifier:
    """Batch normalisation and a 1x1 convolution on frozen features, top-k pooled: the default recipe's head alone.

    Args:
        features: where images become feature maps.
        head: `nn.Module` that `train_head` made.
    """

    def __init__(self, features: Features, head: nn.Module) -> None:
        self._features = features
        self._head = head

    def maps(self, images: Iterable[Pixels]) -> npt.NDArray[np.float32]:
        """Class-activation maps of `(H, W, 3)` uint8 RGB images: `(N, h, w)`, higher is more like a defect."""
        return apply(self._head, self._features.of(images))

    def logits(self, images: Iterable[Pixels]) -> npt.NDArray[np.float32]:
        """Pooled maps, `(N,)`."""
        return pooled(self.maps(images))


def train_head(
    good: FeatureMaps,
    defects: Sequence[tuple[FeatureMaps, float]],
    seed: int,
    steps: int = _STEPS,
) -> nn.Module:
    """Train a head to tell good images from defects.

    Args:
        good: `(N, h, w, C)`.
        defects: groups of defects with the weight of each group; a batch draws its defects from the groups in
            proportion to their weights.
        seed: of the draws.
        steps: of AdamW with a cosine schedule, each on as many good images as defects.

    Returns:
        A module from `(N, C, h, w)` float features to `(N, 1, h, w)`, in evaluation mode.
    """
    channels = good.shape[-1]
    convolution = nn.Conv2d(channels, 1, kernel_size=1)
    nn.init.zeros_(convolution.weight)
    nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
    head = nn.Sequential(nn.BatchNorm2d(channels), convolution)
    optimiser = torch.optim.AdamW(head.parameters(), lr=_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    rng = np.random.default_rng(seed)
    groups = [(maps, weight) for maps, weight in defects if len(maps) and weight > 0]
    shares = np.array([weight for _, weight in groups])
    shares = shares / shares.sum()
    targets = torch.tensor([0.0] * _HALF_BATCH + [1.0] * _HALF_BATCH)
    for step in range(steps):
        chosen = rng.choice(len(groups), _HALF_BATCH, p=shares)
        batch = [good[index] for index in rng.integers(len(good), size=_HALF_BATCH)]
        batch += [groups[group][0][rng.integers(len(groups[group][0]))] for group in chosen]
        maps = head(torch.from_numpy(np.stack(batch)).float().permute(0, 3, 1, 2))
        share = narrowed(_SHARE, step, _WARM_UP * steps)
        loss = binary_cross_entropy_with_logits(pool(maps[:, 0], "topk", 1.0, share), targets)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
    return head.eval()


@torch.inference_mode()
def apply(head: nn.Module, features: FeatureMaps) -> npt.NDArray[np.float32]:
    """A head's maps, `(N, h, w)`, of `(N, h, w, C)` features."""
    parts = [
        head(torch.from_numpy(features[start : start + 32]).float().permute(0, 3, 1, 2))[:, 0].numpy()
        for start in range(0, len(features), 32)
    ]
    return np.concatenate(parts)


@torch.inference_mode()
def pooled(maps: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Top-k pooled maps: `(N, h, w)` to `(N,)`."""
    return pool(torch.from_numpy(maps), "topk", 1.0, _SHARE).numpy()
