"""The optimiser that runs, its fall-back, and the learning rate's course."""

import logging

import pytest
import torch
from diffusers.optimization import get_cosine_with_hard_restarts_schedule_with_warmup

from trainer.augment.stable_diffusion import optimiser


def weights() -> list[torch.nn.Parameter]:
    torch.manual_seed(0)
    return [torch.nn.Parameter(torch.randn(64, 128)), torch.nn.Parameter(torch.randn(8))]


@pytest.mark.parametrize("restarts", [1, 3])
def test_the_cosine_is_the_fields(section, restarts):
    chosen = section(learning_rate=1e-5, restarts=restarts)
    reference = torch.optim.SGD(weights(), lr=1e-5)
    schedule = get_cosine_with_hard_restarts_schedule_with_warmup(reference, 0, 60, num_cycles=restarts)
    for step in range(60):
        assert optimiser.learning_rate(chosen, step, 60) == pytest.approx(schedule.get_last_lr()[0], abs=1e-14)
        reference.step()
        schedule.step()


def test_constant_stays():
    from trainer.generator_sections import StableDiffusionSection

    chosen = StableDiffusionSection(schedule="constant", learning_rate=1e-4)
    assert {optimiser.learning_rate(chosen, step, 10) for step in range(10)} == {1e-4}


def test_eight_bit_where_the_device_has_it(section, caplog):
    caplog.set_level(logging.INFO)
    parameters = weights()
    made = optimiser.make(parameters, section(optimiser="adamw8bit"), torch.device("cpu"))
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    made.step()
    assert made.state[parameters[0]]["state1"].dtype == torch.uint8
    assert [record.getMessage() for record in caplog.records if "optimiser" in record.name] == [
        "optimiser: AdamW8bit on cpu"
    ]


@pytest.mark.parametrize("failure", [RuntimeError("no kernel for this device\nmore"), ImportError("no bitsandbytes")])
def test_adamw_elsewhere_with_one_line(section, caplog, monkeypatch, failure):
    import bitsandbytes

    def refuse(*_args, **_options):
        raise failure

    monkeypatch.setattr(bitsandbytes.optim, "AdamW8bit", refuse)
    made = optimiser.make(weights(), section(optimiser="adamw8bit"), torch.device("cpu"))
    assert type(made) is torch.optim.AdamW
    assert [record.getMessage() for record in caplog.records] == [
        f"optimiser: AdamW, as AdamW8bit is not to be had on cpu ({str(failure).splitlines()[0]})"
    ]
