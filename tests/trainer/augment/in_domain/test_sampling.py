import pytest
import torch

from models.denoiser import Denoiser, noise_schedule
from trainer.augment.in_domain.sampling import paint


@pytest.fixture(scope="module")
def network() -> Denoiser:
    torch.manual_seed(0)
    return Denoiser((16, 32)).eval()


def _paint(network, *, region, strength=(1.0, 1.0), start=None, told=None, guidance=1.0, take=slice(None)):
    generator = torch.Generator().manual_seed(1)
    original, noise = (torch.randn(2, 4, 6, 8, generator=generator) for _ in range(2))
    start = original if start is None else start
    return original, paint(
        network,
        original[take],
        start[take],
        region[take],
        (torch.zeros_like(region) if told is None else told)[take],
        torch.tensor(strength)[take],
        noise[take],
        steps=4,
        guidance=guidance,
    )


def test_surroundings_stay(network):
    region = torch.zeros(2, 1, 6, 8)
    region[:, :, 2:4, 3:6] = 1
    original, drawn = _paint(network, region=region, guidance=2.0, told=region)
    outside = (region == 0).expand_as(original)
    torch.testing.assert_close(drawn[outside], original[outside], rtol=0, atol=0)
    assert not torch.allclose(drawn[~outside], original[~outside], atol=0.1)


def test_an_image_does_not_depend_on_its_batch(network):
    region = torch.ones(2, 1, 6, 8)
    _, together = _paint(network, region=region, strength=(0.5, 1.0), told=region, guidance=2.0)
    for number in range(2):
        take = slice(number, number + 1)
        _, alone = _paint(network, region=region, strength=(0.5, 1.0), told=region, guidance=2.0, take=take)
        torch.testing.assert_close(alone[0], together[number], rtol=1e-4, atol=1e-4)


def test_full_strength_forgets_the_start_and_little_keeps_it(network):
    region = torch.ones(2, 1, 6, 8)
    starts = [torch.zeros(2, 4, 6, 8), torch.full((2, 4, 6, 8), 3.0)]
    apart = {}
    for strength in (0.25, 1.0):
        drawn = [_paint(network, region=region, strength=(strength,) * 2, start=start)[1] for start in starts]
        apart[strength] = float((drawn[0] - drawn[1]).abs().mean())
    assert apart[1.0] < 0.05 < 1.0 < apart[0.25]


def test_a_perfect_denoiser_gives_the_clean_latents_back():
    """With the true velocity of one known clean latent, few DDIM steps land on it exactly."""
    clean = torch.randn(1, 4, 6, 8, generator=torch.Generator().manual_seed(3))
    schedule = noise_schedule()

    class Oracle(torch.nn.Module):
        def forward(self, noisy, region, time, classes):
            kept = schedule.alphas_cumprod[time].view(-1, 1, 1, 1)
            noise = (noisy - kept.sqrt() * clean) / (1 - kept).sqrt()
            return kept.sqrt() * noise - (1 - kept).sqrt() * clean

    zeros = torch.zeros_like(clean)
    ones = torch.ones(1, 1, 6, 8)
    noise = torch.randn(1, 4, 6, 8)
    found = paint(Oracle(), zeros, zeros, ones, ones, torch.tensor([1.0]), noise, steps=5, guidance=1.0)
    torch.testing.assert_close(found, clean, rtol=1e-3, atol=1e-3)
