"""The estimate of memory: against an independent count, and what is done about it."""

import logging

import pytest
import torch

from inspector.errors import InandoutError
from models import lora
from trainer.augment.stable_diffusion import adapters, preflight
from trainer.augment.stable_diffusion.buckets import Bucket
from trainer.augment.stable_diffusion.dataset import TrainingSet
from trainer.augment.stable_diffusion.latents import Latents, Picture

CPU = torch.device("cpu")


def data(tmp_path, width=64, height=64):
    latents = Latents(torch.zeros(4, height // 8, width // 8), torch.ones(4, height // 8, width // 8))
    picture = Picture(tmp_path, Bucket(width, height), (latents,))
    return TrainingSet([picture], [picture], 1, 8, 0)


def check(pipeline, section, tmp_path):
    adapters.place(pipeline, section, 0)
    return preflight.check(pipeline, data(tmp_path), section, torch.float32, CPU, 1)


def test_weights_are_counted_by_hand(pipeline, section):
    chosen = section(optimiser="adamw8bit")
    frozen = sum(weight.numel() for net in (pipeline.unet, pipeline.text_encoder) for weight in net.parameters())
    adapters.place(pipeline, chosen, 0)
    learned = sum(w.numel() for net in adapters.networks(pipeline).values() for w in lora.parameters(net))
    memory = preflight.weights(adapters.networks(pipeline), chosen, torch.bfloat16)
    assert (memory.weights, memory.adapters, memory.optimiser) == (2 * frozen, 8 * learned, 2 * learned)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_activations_are_what_a_real_pass_keeps(pipeline, section, checkpointing):
    """Without checkpointing, counted on the wanted size itself; with it there is less."""
    adapters.place(pipeline, section(), 0)
    net = pipeline.unet
    chosen = section(gradient_checkpointing=checkpointing)
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor):
        if not isinstance(tensor, torch.nn.Parameter):
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        states = torch.zeros(1, 77, 32, requires_grad=True)
        net(torch.zeros(1, 4, 48, 24), torch.zeros(1, dtype=torch.long), encoder_hidden_states=states)
    found = preflight._activations(net, (48, 24), torch.float32, chosen)
    real = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    if checkpointing:
        assert found < 0.7 * real
    else:
        assert found == pytest.approx(real, rel=0.15)


@pytest.mark.parametrize(("room", "images"), [(8, 8), (7.9, 4), (3, 2), (1, 1)])
def test_the_batch_is_halved_until_it_fits(pipeline, section, tmp_path, monkeypatch, caplog, room, images):
    caplog.set_level(logging.INFO)
    chosen = section(batch=8)
    adapters.place(pipeline, chosen, 0)
    counted = preflight.weights(adapters.networks(pipeline), chosen, torch.float32)
    each = 2 * preflight._activations(pipeline.unet, (8, 8), torch.float32, chosen)
    fixed = counted.weights + counted.adapters + counted.optimiser
    monkeypatch.setattr(preflight, "_free", lambda *_: int(1.1 * (fixed + room * each)) + 16)
    assert preflight.check(pipeline, data(tmp_path), chosen, torch.float32, CPU, 1) == images
    (line,) = (record.getMessage() for record in caplog.records)
    assert line.startswith("fine-tuning on cpu in float32: weights") and f"with {images} at once" in line


def test_what_cannot_fit_is_refused_with_both_figures(pipeline, section, tmp_path, monkeypatch):
    monkeypatch.setattr(preflight, "_free", lambda *_: 2**20)
    with pytest.raises(InandoutError, match=r"takes about .* and cpu has 1.0 MiB free: lower .*bucket_base"):
        check(pipeline, section(), tmp_path)


def test_what_is_free_may_be_unknown(pipeline, section, tmp_path, monkeypatch):
    monkeypatch.setattr(preflight, "_free", lambda *_: None)
    assert check(pipeline, section(batch=6), tmp_path) == 6


def test_free_memory_is_the_machines():
    assert 2**20 < preflight._free(CPU, {}) < 2**45
