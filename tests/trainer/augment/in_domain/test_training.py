import numpy as np
import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

from inspector.errors import InandoutError
from trainer.augment.in_domain import training
from trainer.generator_sections import InDomainSection
from trainer.interruption import Interrupted


def _sets(defects: int = 2):
    rng = np.random.default_rng(0)
    normals = rng.normal(0, 0.1, (6, 4, 8, 6)).astype(np.float16)
    bad = rng.normal(0, 0.1, (defects, 4, 8, 6)).astype(np.float16)
    regions = np.zeros((defects, 8, 6), bool)
    regions[:, 3:5, 2:4] = True
    return (
        training.LatentSet(normals, np.zeros((6, 8, 6), bool)),
        training.LatentSet(bad, regions),
    )


def _section(**more) -> InDomainSection:
    return InDomainSection(channels=(16, 32), steps=6, batch=4, crop=8, ema=0.5, **more)


def _train(folder, section=None, on_step=lambda step, steps, loss: None, defects=2):
    folder.mkdir(exist_ok=True)
    training.train(*_sets(defects), section or _section(), 3, folder, Accelerator(cpu=True), on_step)
    return load_file(folder / training.WEIGHTS)


def test_interrupted_and_resumed_ends_at_the_same_weights(tmp_path):
    import os
    import signal

    whole = _train(tmp_path / "whole")

    def stop(step, steps, loss):
        if step == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted, match="step 3"):
        _train(tmp_path / "parts", on_step=stop)
    steps = []
    parts = _train(tmp_path / "parts", on_step=lambda step, *_: steps.append(step))
    assert steps == [4, 5, 6]
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_it_learns_and_without_defects_too(tmp_path):
    for defects in (0, 2):
        losses = []
        section = _section(learning_rate=2e-3).model_copy(update={"steps": 100, "batch": 8})
        _train(
            tmp_path / str(defects),
            section,
            on_step=lambda step, steps, loss, into=losses: into.append(loss),
            defects=defects,
        )
        assert np.mean(losses[-30:]) < 0.75 * np.mean(losses[:10])


def test_goes_on_from_an_earlier_fit(tmp_path):
    first = _train(tmp_path / "first")
    section = _section(start=tmp_path / "first", learning_rate=1e-12)
    second = _train(tmp_path / "second", section)
    assert all(torch.allclose(first[name], second[name], atol=1e-6) for name in first)


@pytest.mark.parametrize("spoilt", ["missing", "other channels"])
def test_a_start_that_does_not_fit_is_one_line(spoilt, tmp_path):
    start = tmp_path / "start"
    if spoilt == "other channels":
        _train(start, InDomainSection(channels=(16, 64), steps=1, batch=1, crop=8))
    with pytest.raises(InandoutError, match=r"in_domain\.start: .* does not fit") as caught:
        _train(tmp_path / "run", _section(start=start))
    assert "\n" not in str(caught.value)


def test_pieces_of_defect_images_show_the_defect():
    section = InDomainSection(crop=8, batch=200)
    wide = training.LatentSet(np.zeros((1, 4, 64, 64), np.float16), np.zeros((1, 64, 64), bool))
    wide.regions[0, 50:52, 10:12] = True
    batch = training._draw(
        normals=training.LatentSet(np.ones((3, 4, 64, 64), np.float16), np.zeros((3, 64, 64), bool)),
        defects=wide,
        section=section,
        rng=np.random.default_rng(0),
    )
    bad = batch.latents.amax((1, 2, 3)) == 0
    told = batch.regions.flatten(1).any(1)
    assert 0.25 < bad.float().mean() < 0.55
    assert (told == (bad & (batch.classes != training.UNKNOWN))).all()
    assert (batch.classes[~bad] != training.DEFECT).all()
    assert 0.03 < (batch.classes == training.UNKNOWN).float().mean() < 0.2


def test_out_of_memory_halves_the_batch_and_keeps_the_outcome(tmp_path, monkeypatch, caplog):
    expected = _train(tmp_path / "whole")
    forward = training.Denoiser.forward

    def scarce(self, noisy, *rest):
        if len(noisy) > 2:
            raise RuntimeError("CUDA out of memory")
        return forward(self, noisy, *rest)

    monkeypatch.setattr(training.Denoiser, "forward", scarce)
    found = _train(tmp_path / "halved")
    assert caplog.text.count("going on with 2") == 1
    assert all(torch.allclose(expected[name], found[name], atol=1e-4) for name in expected)
    monkeypatch.setattr(training.Denoiser, "forward", lambda *_: (_ for _ in ()).throw(RuntimeError("out of memory")))
    with pytest.raises(InandoutError, match="single piece"):
        _train(tmp_path / "none")
