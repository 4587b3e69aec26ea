"""Train the classifier: one plain loop, from start weights to final weights, that any kill may interrupt."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter

from calibration.curve import average_precision
from inspector.errors import InandoutError
from inspector.preprocess import InputSpec
from models.classifier import Classifier
from models.head import DENSE
from models.network import Network
from trainer import checkpoint, feature_noise, out_of_memory, pixel_truth
from trainer.interruption import Interrupted, loader_deaths, stop_requested
from trainer.optimisation import freeze, keep_frozen_statistics, learning_rate, make_optimiser, narrow_pooling
from trainer.recipe import TrainSection
from trainer.stages import write_json
from trainer.torch_scores import score
from trainer.training_set import Draw, Draws, TrainingImage, order, single_threaded_decode

logger = logging.getLogger(__name__)
CHECKPOINT = "checkpoint"
WEIGHTS = "model.safetensors"
HISTORY = "history.json"


@dataclass(frozen=True, slots=True)
class TrainingTask:
    """What to learn from, and how.

    Attributes:
        images: the training split, real and synthetic.
        validation: images scored after each epoch; nothing is selected by them.
        fresh: names of the backbone's stages without start weights.
        pixel_weight: of the loss on cells (`trainer.pixel_truth`) of the head `dense`.
        noise: strength of the noise on good images' features (`trainer.feature_noise`) for the head `dense`; 0 is none.
        on_epoch: called on the main process with each epoch's row of the history.
        on_step: called on the main process with the steps done and the steps in all.
    """

    images: Sequence[TrainingImage]
    validation: Sequence[TrainingImage]
    spec: InputSpec
    recipe: TrainSection
    seed: int
    fresh: Sequence[str]
    pixel_weight: float = 0.0
    noise: float = 0.0
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None
    on_step: Callable[[int, int], None] = lambda step, steps: None


def finish(model: Classifier, history: list[dict[str, float]], folder: Path) -> None:
    """Write `model.safetensors` and `history.json`."""
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    checkpoint.save_tensors(weights, folder / WEIGHTS)
    write_json(folder / HISTORY, history)


class Batch(NamedTuple):
    """Some draws.

    Attributes:
        images: `(N, H, W, 3)` uint8 RGB.
        targets: `(N,)` float, 0 good, 1 defect.
        truths: `(N, h, w)` of `trainer.pixel_truth.cells`; `(N, 0, 0)` where the training has no pixel loss.
    """

    images: torch.Tensor
    targets: torch.Tensor
    truths: torch.Tensor


def train(model: Classifier, task: TrainingTask, folder: Path, accelerator: Accelerator) -> list[dict[str, float]]:
    """Train `model` in place and leave `model.safetensors` and `history.json` in `folder`.

    A rerun in the same folder continues at the last checkpoint and ends at the weights of an uninterrupted run.

    Returns:
        The history: `epoch, loss, val_ap, learning_rate, seconds` an epoch.

    Raises:
        Interrupted: SIGINT or SIGTERM came; a checkpoint was written.
        InandoutError: out of memory even for a single image, or the loss is no longer finite.
    """
    recipe = task.recipe
    raw = model.to(accelerator.device).to(memory_format=torch.channels_last)
    freeze(raw, recipe.frozen)
    optimiser = make_optimiser(raw, recipe, task.fresh)
    parts: dict[str, torch.nn.Module] = {"model": raw}
    if recipe.ema:
        parts["ema"] = AveragedModel(raw, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema), use_buffers=True)
    state: dict[str, Any] = {"step": 0, "loss_sum": 0.0, "history": [], "micro_batch": recipe.batch}
    saved = checkpoint.load(folder / CHECKPOINT, parts, optimiser)
    if saved is not None:
        state = saved
        if accelerator.scaler is not None:
            accelerator.scaler.load_state_dict(state["scaler"])
        logger.info("training continues at step %d", state["step"])
    wrapped, optimiser = accelerator.prepare(raw, optimiser)

    per_epoch = math.ceil(len(draws_of(task, 0)) / recipe.batch)
    last_save = time.monotonic()
    with _board(folder, accelerator, state["step"]) as board, stop_requested() as stop, loader_deaths(stop):
        while state["step"] < recipe.epochs * per_epoch:
            epoch, first = divmod(state["step"], per_epoch)
            begun = time.monotonic()
            wrapped.train()
            keep_frozen_statistics(raw, recipe.frozen)
            for batch in batches(task, epoch, first, accelerator):
                rate = learning_rate(recipe, state["step"], per_epoch)
                narrow_pooling(raw, recipe, state["step"] / (recipe.epochs * per_epoch))
                for group in optimiser.param_groups:
                    group["lr"] = rate * group["scale"]
                loss = step(wrapped, optimiser, batch, state, accelerator, task)
                if "ema" in parts:
                    parts["ema"].update_parameters(raw)  # type: ignore[operator]
                state["step"] += 1
                state["loss_sum"] += loss
                if accelerator.is_main_process:
                    task.on_step(state["step"], recipe.epochs * per_epoch)
                board("train/loss", loss, state["step"])
                board("train/learning_rate", rate, state["step"])
                if not math.isfinite(loss):
                    raise InandoutError(
                        f"the training loss is {loss} at step {state['step']}: lower train.learning_rate"
                    )
                if state["step"] % per_epoch:
                    if any_rank(stop(), accelerator):
                        _save(folder, parts, optimiser, state, accelerator)
                        raise Interrupted(f"interrupted at step {state['step']}; run the same command to go on")
                    if time.monotonic() - last_save > recipe.checkpoint_seconds and accelerator.num_processes == 1:
                        _save(folder, parts, optimiser, state, accelerator)
                        last_save = time.monotonic()
            row = {"epoch": epoch + 1, "loss": state["loss_sum"] / per_epoch, "learning_rate": rate}
            row["val_ap"] = validate(_final(parts), task, accelerator)
            row["seconds"] = time.monotonic() - begun
            board("validation/ap", row["val_ap"], state["step"])
            state["history"].append(row)
            state["loss_sum"] = 0.0
            _save(folder, parts, optimiser, state, accelerator)
            last_save = time.monotonic()
            if accelerator.is_main_process:
                task.on_epoch(row)
            if any_rank(stop(), accelerator) and epoch + 1 < recipe.epochs:
                raise Interrupted(f"interrupted after epoch {epoch + 1}; run the same command to go on")
    final = _final(parts)
    if accelerator.is_main_process:
        finish(final, state["history"], folder)
    raw.load_state_dict(final.state_dict())
    raw.eval()
    accelerator.wait_for_everyone()
    return state["history"]


def step(
    model: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    batch: Batch,
    state: dict[str, Any],
    accelerator: Accelerator,
    task: TrainingTask,
) -> float:
    """One optimiser step on what each head says of the images' labels, and `dense` of what is known of their cells.

    With `task.noise`, `dense` is shown every good image a second time, with noise over a part of its features, as a
    defect.

    Returns the loss, summed over heads, meant over the batch.

    Out of memory halves `state["micro_batch"]` (gradients are then accumulated, the step stays the same size) and
    says so, as often as needed.
    """
    while True:
        optimiser.zero_grad(set_to_none=True)
        size, total = state["micro_batch"], 0.0
        try:
            for start in range(0, len(batch.images), size):
                part = slice(start, start + size)
                targets, truths = batch.targets[part], batch.truths[part]
                drawn = None
                if task.noise:
                    key = (task.seed, state["step"], start, accelerator.process_index)
                    drawn = feature_noise.draw(targets, truths.shape[1], truths.shape[2], task.noise, key)
                disturbance, spots = drawn or (None, truths[:0])
                with accelerator.autocast():
                    evidence = model(batch.images[part].to(accelerator.device), disturbance)
                loss = torch.zeros((), device=accelerator.device)
                for name, (logits, cams) in evidence.items():
                    wanted, truth = targets, truths
                    if name == DENSE:
                        wanted, truth = torch.cat([targets, torch.ones(len(spots))]), torch.cat([truths, spots])
                    wanted = wanted.to(accelerator.device)
                    loss = loss + binary_cross_entropy_with_logits(logits.float(), wanted, reduction="sum")
                    if task.pixel_weight and name == DENSE:
                        loss = (
                            loss
                            + task.pixel_weight * pixel_truth.loss(cams.float(), truth.to(accelerator.device)).sum()
                        )
                loss = loss / len(batch.images)
                accelerator.backward(loss)
                total += float(loss.detach())
        except RuntimeError as error:
            if not out_of_memory.ran_out(error):
                raise
            if size == 1 or accelerator.num_processes > 1:
                raise InandoutError(
                    f"out of memory with {size} image(s) of this size at once: "
                    "lower train.batch or input.width and input.height"
                ) from None
            state["micro_batch"] = size // 2
            logger.warning("out of memory with %d images at once: going on with %d", size, size // 2)
            out_of_memory.release()
            continue
        optimiser.step()
        return total


def batches(task: TrainingTask, epoch: int, first: int, accelerator: Accelerator) -> Iterator[Batch]:
    """The batches of `epoch` from batch number `first` on; each process gets its share of each batch."""
    recipe = task.recipe
    draws = draws_of(task, epoch)
    mine = [
        shard(draws[start : start + recipe.batch], accelerator.process_index, accelerator.num_processes)
        for start in range(first * recipe.batch, len(draws), recipe.batch)
    ]
    dataset = Draws(
        task.images,
        task.spec,
        seed=task.seed,
        flips=recipe.flips,
        jitter=recipe.jitter,
        truths=task.pixel_weight > 0 or task.noise > 0,
    )
    loader = DataLoader(
        dataset,
        batch_sampler=mine,
        num_workers=recipe.workers,
        worker_init_fn=single_threaded_decode,
        collate_fn=_collate,
        pin_memory=accelerator.device.type == "cuda",
    )
    yield from loader


def draws_of(task: TrainingTask, epoch: int) -> list[Draw]:
    """The draws of an epoch, over all processes."""
    return order(
        [image.label for image in task.images],
        task.recipe.defect_share,
        task.seed,
        epoch,
        [image.synthetic for image in task.images],
        task.recipe.synthetic_worth,
    )


def shard(batch: Sequence[Draw], rank: int, ranks: int) -> list[Draw]:
    """This process's part of a batch; a batch too short for every process is filled up from its own start."""
    size = math.ceil(len(batch) / ranks)
    return [batch[index % len(batch)] for index in range(rank * size, (rank + 1) * size)]


def validate(model: Classifier, task: TrainingTask, accelerator: Accelerator) -> float:
    """Average precision of the heads' mean on the validation images; nan where one class is missing."""
    value = math.nan
    labels = np.array([image.label for image in task.validation])
    if accelerator.is_main_process and len(set(labels.tolist())) == 2:
        scored = score(Network(model), [image.path for image in task.validation], task.spec, accelerator.device)
        value = average_precision(labels, scored.logits)
    accelerator.wait_for_everyone()
    return value


def any_rank(flag: bool, accelerator: Accelerator) -> bool:
    """Whether any process was asked to stop."""
    if accelerator.num_processes == 1:
        return flag
    flags = accelerator.gather(torch.tensor([float(flag)], device=accelerator.device))
    return bool(flags.sum() > 0)


def _final(parts: dict[str, torch.nn.Module]) -> Classifier:
    average = parts.get("ema")
    final = average.module if isinstance(average, AveragedModel) else parts["model"]
    assert isinstance(final, Classifier)
    return final


def _collate(items: list[tuple[torch.Tensor, float, torch.Tensor]]) -> Batch:
    pixels, labels, truths = zip(*items, strict=True)
    return Batch(torch.stack(pixels), torch.tensor(labels), torch.stack(truths))


def _save(
    folder: Path,
    parts: dict[str, torch.nn.Module],
    optimiser: torch.optim.Optimizer,
    state: dict[str, Any],
    accelerator: Accelerator,
) -> None:
    if accelerator.scaler is not None:
        state["scaler"] = accelerator.scaler.state_dict()
    if accelerator.is_main_process:
        checkpoint.save(folder / CHECKPOINT, parts, optimiser, state)
    accelerator.wait_for_everyone()


@contextmanager
def _board(folder: Path, accelerator: Accelerator, step: int) -> Iterator[Callable[[str, float, int], None]]:
    """TensorBoard scalars on the main process; points after a resumed step are replaced."""
    if not accelerator.is_main_process:
        yield lambda *_: None
        return
    with SummaryWriter(str(folder / "tensorboard"), purge_step=step or None) as writer:
        yield lambda name, value, at: writer.add_scalar(name, value, at)
