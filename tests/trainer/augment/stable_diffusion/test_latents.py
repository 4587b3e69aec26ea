"""Cached latents: right, reused, and never a damaged or foreign one."""

import logging

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file

from trainer.augment.stable_diffusion.buckets import Bucket
from trainer.augment.stable_diffusion.latents import LatentCache

BUCKET = Bucket(32, 96)


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 255, (96, 32, 3), dtype=np.uint8)


def encode(pipeline, folder, pixels, bucket=BUCKET):
    return LatentCache(pipeline.vae, folder / "latents").encode(folder / "part.png", pixels, bucket)


def test_latents_are_the_autoencoders_posterior(pipeline, tmp_path, pixels):
    latents = encode(pipeline, tmp_path, pixels).latents[0]
    with torch.no_grad():
        given = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None] / 127.5 - 1
        expected = pipeline.vae.encode(given).latent_dist
    torch.testing.assert_close(latents.mean, expected.mean[0])
    torch.testing.assert_close(latents.std, expected.std[0])
    assert latents.mean.shape == (4, 12, 4)


def test_an_image_longer_than_its_bucket_is_encoded_in_several_crops(pipeline, tmp_path, pixels):
    assert [one.mean.shape for one in encode(pipeline, tmp_path, pixels, Bucket(32, 64)).latents] == [(4, 8, 4)] * 2


def test_a_second_run_encodes_nothing(pipeline, tmp_path, pixels, monkeypatch):
    first = encode(pipeline, tmp_path, pixels)
    monkeypatch.setattr(type(pipeline.vae), "encode", lambda *_: pytest.fail("encoded again"))
    second = encode(pipeline, tmp_path, pixels)
    assert torch.equal(first.latents[0].mean, second.latents[0].mean)


def test_another_image_or_model_is_never_mistaken(pipeline, tmp_path, pixels):
    first = encode(pipeline, tmp_path, pixels).latents[0]
    other = encode(pipeline, tmp_path, 255 - pixels).latents[0]
    with torch.no_grad():
        pipeline.vae.encoder.conv_in.weight.mul_(1.5)
    newer = encode(pipeline, tmp_path, pixels).latents[0]
    assert not torch.equal(first.mean, other.mean) and not torch.equal(first.mean, newer.mean)
    assert len(list((tmp_path / "latents").iterdir())) == 3


def truncate(file):
    file.write_bytes(file.read_bytes()[:-10])


def empty(file):
    file.write_bytes(b"")


def flip_a_bit(file):
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(raw)


def change_a_value(file):
    tensors = load_file(file)
    save_file(tensors | {"mean": tensors["mean"] + 1}, file)


def lose_a_tensor(file):
    tensors = load_file(file)
    del tensors["std"]
    save_file(tensors, file)


@pytest.mark.parametrize("damage", [truncate, empty, flip_a_bit, change_a_value, lose_a_tensor])
def test_a_damaged_file_is_encoded_again_with_a_line(pipeline, tmp_path, pixels, damage, caplog):
    caplog.set_level(logging.WARNING)
    first = encode(pipeline, tmp_path, pixels).latents[0]
    (file,) = (tmp_path / "latents").iterdir()
    sound = file.read_bytes()
    damage(file)
    again = encode(pipeline, tmp_path, pixels).latents[0]
    assert torch.equal(first.mean, again.mean) and torch.equal(first.std, again.std)
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 1 and str(file) in messages[0] and "encoded again from" in messages[0]
    assert file.read_bytes() == sound


def test_several_processes_divide_the_work(pipeline, tmp_path, pixels):
    class Second:
        process_index, num_processes = 1, 2

        def __init__(self):
            self.encoded = []

        def wait_for_everyone(self):
            self.encoded.append(len(list((tmp_path / "latents").iterdir())))

    images = [(tmp_path / f"{k}.png", np.roll(pixels, k, 0), BUCKET) for k in range(5)]
    second = Second()
    shared = LatentCache(pipeline.vae, tmp_path / "latents").encode_all(images, second)
    assert second.encoded == [2]
    alone = LatentCache(pipeline.vae, tmp_path / "own").encode_all(images, Accelerator(cpu=True))
    assert [one.path for one in shared] == [path for path, *_ in images]
    assert all(torch.equal(a.latents[0].mean, b.latents[0].mean) for a, b in zip(shared, alone, strict=True))
