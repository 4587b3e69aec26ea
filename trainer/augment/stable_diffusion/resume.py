"""Going on where fine-tuning was stopped, and only there."""

import hashlib
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import BaseModel

from inspector.errors import DataError
from trainer import checkpoint
from trainer.augment.stable_diffusion import optimiser
from trainer.augment.stable_diffusion.step import Progress
from trainer.stages import digest, read_json, write_json

if TYPE_CHECKING:
    from accelerate import Accelerator

logger = logging.getLogger(__name__)
_SETTINGS = "fine_tuning.json"
# What a recipe says about drawing, and about how training runs rather than what it ends at.
_WITHOUT_EFFECT = {
    "defect_prompts",
    "negative_prompt",
    "regularisation_images",
    "zero_shot_normals",
    "epochs",
    "merge_alpha",
    "gradient_checkpointing",
    "checkpoint_seconds",
    "sampler_steps",
    "guidance",
    "generation_batch",
}


def identity(settings: Sequence[Any], files: Sequence[Path]) -> str:
    """Digest of what a fine-tuning ends at depends on: settings, and the images' contents.

    Raises:
        DataError: a file cannot be read.
    """
    described = [
        one.model_dump(mode="json", exclude=_WITHOUT_EFFECT) if isinstance(one, BaseModel) else one for one in settings
    ]
    try:
        return digest([described, [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]])
    except OSError as error:
        raise DataError(f"cannot read {error.filename}: {error.strerror}") from error


def forget_other(folder: Path, identity: str, results: Sequence[Path], accelerator: "Accelerator") -> None:
    """Remove `results` of a fine-tuning with another identity from its folder, with a logged line.

    Raises:
        SinkError: the folder cannot be written.
    """
    if accelerator.is_main_process:
        settings = folder / _SETTINGS
        if not settings.is_file() or read_json(settings) != identity:
            stale = [result for result in results if result.exists()]
            if stale:
                logger.warning("%s is of other images or settings: fine-tuning starts afresh", stale[0])
            for result in stale:
                shutil.rmtree(result)
            write_json(settings, identity)
    accelerator.wait_for_everyone()


class Saved:
    """The checkpoint of a fine-tuning: adapters, optimiser, loss scale and progress.

    Args:
        folder: the checkpoint's.
        weights, optimizer, scaler: what training changes.
    """

    def __init__(
        self,
        folder: Path,
        weights: Sequence[torch.nn.Parameter],
        optimizer: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler,
    ) -> None:
        self.folder, self.optimizer, self.scaler = folder, optimizer, scaler
        self._parts: dict[str, torch.nn.Module] = {"adapters": torch.nn.ParameterList(weights)}

    def store(self, progress: Progress) -> None:
        """Write a checkpoint in place of the last one; raises `OSError`, and the last one is then untouched."""
        state: dict[str, Any] = {
            "step": progress.step,
            "micro_batch": progress.micro_batch,
            "scaler": self.scaler.state_dict(),
            "optimiser": optimiser.plain_state(self.optimizer),
        }
        checkpoint.save(self.folder, self._parts, self.optimizer, state)

    def restore(self, progress: Progress) -> None:
        """Go on where a checkpoint was written; without one, nothing happens."""
        state = checkpoint.load(self.folder, self._parts, self.optimizer)
        if state is None:
            return
        optimiser.restore_plain_state(self.optimizer, state["optimiser"])
        if self.scaler.is_enabled():
            self.scaler.load_state_dict(state["scaler"])
        progress.step, progress.micro_batch = state["step"], state["micro_batch"]
        logger.info("fine-tuning continues at step %d", progress.step)
