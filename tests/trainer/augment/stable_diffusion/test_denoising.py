"""The loss: against diffusers' own arithmetic, and by hand."""

import pytest
import torch
from diffusers import DDPMScheduler
from diffusers.training_utils import compute_snr

from inspector.errors import DataError
from trainer.augment.stable_diffusion import text
from trainer.augment.stable_diffusion.denoising import Denoiser, Noisy, noise_scheduler, noisy, snr_weight


def test_min_snr_weighs_as_the_paper_says(pipeline):
    scheduler = noise_scheduler(pipeline.scheduler)
    times = torch.arange(1000)
    snr = compute_snr(scheduler, times)
    capped = snr.clamp(max=5.0)
    alphas = scheduler.alphas_cumprod
    torch.testing.assert_close(snr_weight(alphas, 5.0, velocity=False), capped / snr, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(snr_weight(alphas, 5.0, velocity=True), capped / (snr + 1), rtol=1e-4, atol=1e-6)
    # without any signal left, noise counts fully and velocity not at all
    assert snr_weight(torch.zeros(1), 5.0, velocity=False).item() == 1.0
    assert snr_weight(torch.zeros(1), 5.0, velocity=True).item() == 0.0


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_noising_follows_the_schedule(kind):
    scheduler = DDPMScheduler(prediction_type=kind, beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
    mean, std = torch.full((3, 4, 2, 2), 2.0), torch.zeros(3, 4, 2, 2)
    made = noisy(mean, std, 0.5, scheduler, None, 1, torch.Generator().manual_seed(3))
    alpha = scheduler.alphas_cumprod[made.timesteps].view(3, 1, 1, 1)
    noise = (made.latents - alpha.sqrt() * 1.0) / (1 - alpha).sqrt()
    expected = noise if kind == "epsilon" else alpha.sqrt() * noise - (1 - alpha).sqrt() * 1.0
    torch.testing.assert_close(made.target, expected, rtol=1e-3, atol=1e-3)
    assert made.weight.tolist() == [1, 1, 1] and made.prompt == 1
    again = noisy(mean, std, 0.5, scheduler, None, 1, torch.Generator().manual_seed(3))
    assert torch.equal(made.latents, again.latents)


def test_a_model_that_predicts_samples_is_refused(pipeline):
    scheduler = DDPMScheduler(prediction_type="sample")
    with pytest.raises(DataError, match="predicts 'sample' cannot be fine-tuned"):
        noise_scheduler(scheduler)


def parts(pipeline, *sizes):
    scheduler = noise_scheduler(pipeline.scheduler)
    source = torch.Generator().manual_seed(0)
    return [
        noisy(torch.randn(n, 4, *size, generator=source), torch.ones(n, 4, *size), 1.0, scheduler, 5.0, prompt, source)
        for prompt, (n, size) in enumerate(sizes)
    ]


@pytest.mark.parametrize("sizes", [[(3, (8, 8)), (2, (8, 8))], [(2, (8, 8)), (2, (12, 4))]])
def test_each_part_has_its_own_loss_under_its_own_prompt(pipeline, sizes):
    prompts = ["skt background", "background"]
    ids = text.tokenise(pipeline, prompts)
    denoiser = Denoiser(pipeline.unet, pipeline.text_encoder, ids, clip_skip=2)
    given = parts(pipeline, *sizes)
    with torch.no_grad():
        found = denoiser(*given)
        for part, prompt, loss in zip(given, prompts, found, strict=True):
            states = text.prompt_states(pipeline, [prompt], 2).expand(len(part), -1, -1)
            answer = pipeline.unet(part.latents, part.timesteps, encoder_hidden_states=states).sample
            each = ((answer - part.target) ** 2).flatten(1).mean(1)
            torch.testing.assert_close(loss, (each * part.weight).mean(), rtol=1e-4, atol=1e-5)


def test_a_frozen_text_encoder_is_read_once(pipeline, monkeypatch):
    pipeline.text_encoder.requires_grad_(False)
    denoiser = Denoiser(pipeline.unet, pipeline.text_encoder, text.tokenise(pipeline, ["skt background"]), 1)
    monkeypatch.setattr(text, "encode", lambda *_: pytest.fail("read again"))
    with torch.no_grad():
        assert denoiser(*parts(pipeline, (1, (8, 8))))[0].isfinite()


def test_parts_are_cut_by_slice_and_by_list():
    whole = Noisy(torch.arange(4.0).view(4, 1, 1, 1), torch.arange(4), torch.zeros(4, 1, 1, 1), torch.ones(4), 1)
    assert whole[1:3].timesteps.tolist() == [1, 2] and whole[[3, 0]].latents.flatten().tolist() == [3, 0]
    assert len(whole[1:]) == 3 and whole[1:].prompt == 1
