import pytest
import torch

from models.denoiser import DEFECT, NORMAL, Denoiser, noise_schedule


@pytest.fixture(scope="module")
def network() -> Denoiser:
    torch.manual_seed(0)
    return Denoiser((16, 32)).eval()


@pytest.mark.parametrize("size", [(8, 8), (7, 5), (1, 3)], ids=["even", "odd", "smallest"])
def test_answers_at_the_size_it_was_asked(network, size):
    noisy = torch.randn(2, 4, *size)
    found = network(noisy, torch.zeros(2, 1, *size), torch.tensor([10, 900]), torch.tensor([NORMAL, DEFECT]))
    assert found.shape == noisy.shape


@pytest.mark.parametrize("changed", ["region", "class", "time"])
def test_heeds_what_it_is_told(network, changed):
    noisy, region = torch.randn(1, 4, 8, 8), torch.zeros(1, 1, 8, 8)
    time, classes = torch.tensor([500]), torch.tensor([NORMAL])
    before = network(noisy, region, time, classes)
    if changed == "region":
        region = torch.ones_like(region)
    elif changed == "class":
        classes = torch.tensor([DEFECT])
    else:
        time = torch.tensor([100])
    assert not torch.equal(before, network(noisy, region, time, classes))


def test_schedule_ends_in_noise_and_starts_clean():
    schedule = noise_schedule()
    assert schedule.alphas_cumprod[0] > 0.99
    assert schedule.alphas_cumprod[-1] < 1e-4
