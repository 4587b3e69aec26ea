"""One step: both losses, memory, accumulation."""

import logging

import pytest
import torch
from accelerate import Accelerator

from inspector.errors import InandoutError
from trainer.augment.stable_diffusion.denoising import Noisy
from trainer.augment.stable_diffusion.step import Progress, Step


def part(count: int, prompt: int) -> Noisy:
    latents = torch.randn(count, 1, 1, 1, generator=torch.Generator().manual_seed(prompt))
    return Noisy(latents, torch.zeros(count), torch.ones(count, 1, 1, 1), torch.ones(count), prompt)


class Hungry(torch.nn.Module):
    """Runs out of memory above `limit` images of a kind at once, with the message of a real device."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.limit, self.seen = limit, []

    def forward(self, *parts):
        self.seen.append([len(one) for one in parts])
        if max(len(one) for one in parts) > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return [(one.latents * self.weight - one.target).square().mean() for one in parts]


def take(net, parts, micro_batch=8, prior_weight=1.0):
    progress = Progress(0, micro_batch)
    optimizer = torch.optim.SGD(net.parameters(), 0.01)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    step = Step(net, list(net.parameters()), optimizer, scaler, torch.float32, prior_weight, Accelerator(cpu=True))
    return step(parts, progress), progress


@pytest.mark.parametrize(
    ("limit", "counts", "seen"),
    [
        (8, (8, 8), [[8, 8]]),
        (4, (8, 8), [[8, 8], [4, 4], [4, 4]]),
        (2, (5, 3), [[5, 3], [2, 2], [2, 1], [1]]),
        (2, (2, 5), [[2, 5], [2, 2], [2], [1]]),
    ],
)
def test_out_of_memory_halves_the_batch_and_keeps_the_step(limit, counts, seen, caplog):
    caplog.set_level(logging.WARNING)
    parts = [part(count, prompt) for prompt, count in enumerate(counts)]
    hungry, whole = Hungry(limit), Hungry(99)
    found, progress = take(hungry, parts)
    expected, _ = take(whole, parts)
    assert hungry.seen == seen
    assert found == pytest.approx(expected, rel=1e-5)
    torch.testing.assert_close(hungry.weight, whole.weight)
    assert progress.micro_batch == (8 if len(seen) == 1 else limit)
    assert len(caplog.records) == (len(seen) > 1)


def test_out_of_memory_with_a_single_image_says_what_to_do():
    with pytest.raises(InandoutError, match=r"out of memory with 1 image\(s\).* lower stable_diffusion.batch"):
        take(Hungry(0), [part(4, 0), part(4, 1)])


def test_another_failure_is_not_taken_for_lack_of_memory():
    class Broken(Hungry):
        def forward(self, *parts):
            raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        take(Broken(1), [part(1, 0)])


class Two(Hungry):
    """A weight for each kind of image, so that each kind's gradient can be seen."""

    def __init__(self) -> None:
        super().__init__(99)
        self.weight = torch.nn.Parameter(torch.ones(2))

    def forward(self, *parts):
        return [(one.latents * self.weight[one.prompt] - one.target).square().mean() for one in parts]


@pytest.mark.parametrize("weight", [0.0, 1.0, 3.0])
def test_the_prior_term_counts_by_its_weight_and_is_logged_without_it(weight):
    parts = [part(4, 0), part(4, 1)]
    net = Two()
    (instance, prior), _ = take(net, parts, prior_weight=weight)
    assert instance == pytest.approx((parts[0].latents - 1).square().mean().item())
    assert prior == pytest.approx((parts[1].latents - 1).square().mean().item())
    slopes = [(2 * (one.latents - 1) * one.latents).mean().item() for one in parts]
    # clipping to length one keeps the direction
    assert net.weight.grad[1] / net.weight.grad[0] == pytest.approx(weight * slopes[1] / slopes[0], rel=1e-4)


def test_without_regularisation_images_there_is_no_prior_loss():
    assert take(Hungry(9), [part(4, 0)])[0][1] is None
