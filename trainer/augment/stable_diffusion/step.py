"""One optimiser step of fine-tuning, over as many passes as memory asks for."""

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from torch.nn.parallel import DistributedDataParallel

from inspector.errors import InandoutError
from trainer import out_of_memory
from trainer.augment.stable_diffusion.denoising import Noisy

logger = logging.getLogger(__name__)
# What both kohya's trainer and diffusers' examples do unless told otherwise.
_GRADIENT_NORM = 1.0


@dataclass(slots=True)
class Progress:
    """Where training stands; goes into the checkpoint.

    Attributes:
        step: steps done.
        micro_batch: images of each kind that go through the network at once.
    """

    step: int
    micro_batch: int


class Step:
    """One optimiser step over instance and regularisation images; returns the mean loss of each, over all processes.

    Out of memory halves `progress.micro_batch` (gradients are then accumulated, the step stays the same size) and says
    so, as often as needed.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        weights: Sequence[torch.nn.Parameter],
        optimizer: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler,
        dtype: torch.dtype,
        prior_weight: float,
        accelerator: Accelerator,
    ) -> None:
        self.network, self.weights, self.optimizer, self.scaler = network, weights, optimizer, scaler
        self.dtype, self.prior_weight, self.accelerator = dtype, prior_weight, accelerator

    def __call__(self, parts: Sequence[Noisy], progress: Progress) -> tuple[float, float | None]:
        """Raises `InandoutError` where memory is short even for one image."""
        while True:
            self.optimizer.zero_grad(set_to_none=True)
            size = min(progress.micro_batch, max(len(part) for part in parts))
            try:
                totals = self._gradients(parts, size)
            except RuntimeError as error:
                if not out_of_memory.ran_out(error):
                    raise
                if size == 1 or self.accelerator.num_processes > 1:
                    raise InandoutError(
                        f"out of memory with {size} image(s) of each kind at once: lower stable_diffusion.batch or "
                        "bucket_base, or switch gradient_checkpointing on"
                    ) from None
                progress.micro_batch = size // 2
                logger.warning("out of memory with %d images at once: going on with %d", size, size // 2)
                out_of_memory.release()
                continue
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.weights, _GRADIENT_NORM)
            self.scaler.step(self.optimizer)
            self.scaler.update()
            means = self.accelerator.reduce(totals, reduction="mean").tolist()
            return means[0], means[1] if len(parts) > 1 else None

    def _gradients(self, parts: Sequence[Noisy], size: int) -> torch.Tensor:
        """Add up the gradients of all images, `size` of each kind at a time; the loss of each kind."""
        totals = torch.zeros(len(parts), device=self.accelerator.device)
        longest = max(len(part) for part in parts)
        for start in range(0, longest, size):
            now = [(index, part[start : start + size]) for index, part in enumerate(parts) if start < len(part)]
            shares = torch.tensor([len(part) / len(parts[index]) for index, part in now], device=totals.device)
            weights = torch.tensor([self.prior_weight if index else 1.0 for index, _ in now], device=totals.device)
            last = start + size >= longest
            network = self.network
            with network.no_sync() if isinstance(network, DistributedDataParallel) and not last else nullcontext():
                with torch.autocast(totals.device.type, self.dtype, enabled=self.dtype != torch.float32):
                    means = torch.stack(self.network(*(part for _, part in now)))
                self.scaler.scale((means * shares * weights).sum()).backward()
            totals[[index for index, _ in now]] += (means * shares).detach()
        return totals
