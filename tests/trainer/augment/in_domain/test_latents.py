import logging

import numpy as np
import pytest
import torch

from trainer.augment.in_domain import latents


class CountingCodec:
    """Averages blocks of 8 x 8 pixels; counts the images it saw."""

    def __init__(self) -> None:
        self.seen = 0

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        self.seen += len(images)
        grey = torch.nn.functional.avg_pool2d(images.mean(1, keepdim=True), 8)
        return grey.repeat(1, 4, 1, 1)


@pytest.fixture
def images():
    return list(np.random.default_rng(0).integers(0, 256, (11, 20, 16, 3), np.uint8))


def test_computed_once(images, tmp_path):
    codec = CountingCodec()
    first = latents.encode(images, codec, tmp_path / "l.safetensors", "cpu")
    again = latents.encode(images, codec, tmp_path / "l.safetensors", "cpu")
    assert codec.seen == 11
    assert first.shape == (11, 4, 3, 2)
    assert (first == again).all()
    top_left = images[0][:8, :8].astype(float).mean() / 127.5 - 1
    assert first[0, 0, 0, 0] == pytest.approx(top_left, abs=2e-3)


@pytest.mark.parametrize("how", ["truncated", "a bit flipped", "of other images"])
def test_a_spoilt_cache_is_computed_anew(how, images, tmp_path, caplog):
    path = tmp_path / "l.safetensors"
    expected = latents.encode(images, CountingCodec(), path, "cpu")
    content = bytearray(path.read_bytes())
    if how == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif how == "a bit flipped":
        content[-3] ^= 4
        path.write_bytes(content)
    else:
        latents.encode(images[::-1], CountingCodec(), path, "cpu")
    codec = CountingCodec()
    with caplog.at_level(logging.WARNING):
        found = latents.encode(images, codec, path, "cpu")
    assert codec.seen == 11
    assert (found == expected).all()
    assert len(caplog.records) == (0 if how == "of other images" else 1)
    assert all("computed anew" in record.message for record in caplog.records)


def test_standard_scale_goes_there_and_back():
    values = np.random.default_rng(0).normal(3, 2, (5, 4, 6, 7)).astype(np.float16)
    scale = latents.standard(values)
    inside = scale.forward(torch.from_numpy(values).float())
    assert inside.mean((0, 2, 3)).abs().max() < 1e-2
    assert (inside.std((0, 2, 3)) - 1).abs().max() < 1e-2
    torch.testing.assert_close(scale.back(inside), torch.from_numpy(values).float())


def test_cells_are_those_that_the_mask_touches():
    mask = np.zeros((20, 17), np.uint8)
    mask[7:9, 3] = 255
    mask[19, 16] = 255
    expected = np.zeros((3, 3), bool)
    expected[0, 0] = expected[1, 0] = expected[2, 2] = True
    assert (latents.cells(mask) == expected).all()


def test_mirrorings():
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    found = list(latents.mirrored([image]))
    assert [int(picture[0, 0, 0]) for picture in found] == [0, 3, 6, 9]
