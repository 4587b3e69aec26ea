"""Draws: balance, coverage, and independence from everything but the seed."""

import cv2
import numpy as np
import pytest
import torch

from inspector.preprocess import InputSpec
from trainer import pixel_truth
from trainer.training_set import Draw, Draws, TrainingImage, order

LABELS = [0] * 12 + [1] * 3


@pytest.mark.parametrize(
    ("share", "defects"),
    [(None, 3), (0.5, 12), (0.4, 8), (0.1, 3)],
    ids=["as is", "half", "two fifths", "more already"],
)
def test_order_draws_every_good_image_once_and_repeats_defects_evenly(share, defects):
    drawn = [draw.index for draw in order(LABELS, share, seed=3, epoch=0)]
    assert sorted(index for index in drawn if index < 12) == list(range(12))
    counts = [drawn.count(index) for index in range(12, 15)]
    assert sum(counts) == defects
    assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize(
    ("worth", "defect_share", "real", "synthetic"),
    [
        (None, None, 2, 6),
        (2, None, 2, 2),
        (1, None, 2, 1),
        (6, None, 2, 6),
        (14, None, 2, 14),
        (2, 0.75, 6, 6),
    ],
    ids=["as is", "half", "a third", "synthetic each once", "synthetic repeated", "both repeated"],
)
def test_synthetic_defects_count_as_so_many_real_ones(worth, defect_share, real, synthetic):
    labels = [0] * 4 + [1] * 8
    made = [False] * 6 + [True] * 6
    drawn = [draw.index for draw in order(labels, defect_share, 3, 0, made, worth)]
    assert sorted(index for index in drawn if index < 4) == [0, 1, 2, 3]
    counts = [drawn.count(index) for index in range(4, 12)]
    assert (sum(counts[:2]), sum(counts[2:])) == (real, synthetic)
    assert max(counts[:2]) - min(counts[:2]) <= 1
    assert max(counts[2:]) - min(counts[2:]) <= 1


def test_epochs_take_other_synthetic_defects():
    labels, made = [0] * 4 + [1] * 8, [False] * 6 + [True] * 6
    seen = [{draw.index for draw in order(labels, None, 3, epoch, made, 2)} for epoch in range(20)]
    assert set().union(*seen) == set(range(12))
    assert len({frozenset(one) for one in seen}) > 5


def test_order_differs_by_epoch_and_repeats_by_seed():
    assert order(LABELS, 0.5, 3, 0) == order(LABELS, 0.5, 3, 0)
    assert order(LABELS, 0.5, 3, 0) != order(LABELS, 0.5, 3, 1)
    assert order(LABELS, 0.5, 3, 0) != order(LABELS, 0.5, 4, 0)


@pytest.fixture
def images(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(4):
        cv2.imwrite(str(tmp_path / f"{number}.png"), rng.integers(0, 255, (60, 40), dtype=np.uint8))
    return [TrainingImage(tmp_path / f"{number}.png", number % 2) for number in range(4)]


@pytest.mark.parametrize("workers", [0, 2])
def test_draws_are_the_same_for_any_number_of_workers(images, workers):
    dataset = Draws(images, InputSpec(width=40, height=60), seed=5, flips=True, jitter=0.2)
    draws = order([image.label for image in images], 0.5, 5, 1)
    batches = [draws[:2], draws[2:]]
    loader = torch.utils.data.DataLoader(dataset, batch_sampler=batches, num_workers=workers)
    seen = torch.cat([pixels for pixels, *_ in loader])
    torch.testing.assert_close(seen, torch.stack([dataset[draw][0] for draw in draws]))


def test_flips_show_all_four_mirrorings_and_nothing_else(images):
    spec = InputSpec(width=40, height=60)
    plain = Draws(images, spec, seed=0, flips=False, jitter=0)[Draw(0, 0, 0)][0]
    flipped = Draws(images, spec, seed=0, flips=True, jitter=0)
    mirrorings = [plain, plain.flip(0), plain.flip(1), plain.flip(0, 1)]
    found = set()
    for position in range(40):
        pixels = flipped[Draw(0, position, 0)][0]
        matches = [number for number, mirrored in enumerate(mirrorings) if torch.equal(pixels, mirrored)]
        assert len(matches) == 1
        found.add(matches[0])
    assert found == {0, 1, 2, 3}


@pytest.mark.parametrize("value", [1, 255])
def test_a_mask_is_mirrored_with_its_image(tmp_path, value):
    picture = np.full((120, 80), 90, np.uint8)
    picture[8:24, 48:72] = 200
    cv2.imwrite(str(tmp_path / "part.png"), picture)
    cv2.imwrite(str(tmp_path / "mask.png"), np.where(picture == 200, value, 0))
    image = TrainingImage(tmp_path / "part.png", 1, mask=tmp_path / "mask.png")
    dataset = Draws([image], InputSpec(width=80, height=120), seed=1, flips=True, jitter=0, truths=True)
    places = set()
    for position in range(16):
        pixels, _, truth = dataset[Draw(0, position, 0)]
        bright = (pixels[..., 0] == 200).reshape(15, 8, 10, 8).any(3).any(1)
        assert torch.equal(bright, truth == pixel_truth.DEFECT)
        places.add(tuple(torch.argwhere(bright)[0].tolist()))
    assert len(places) == 4


def test_what_is_known_of_an_image_without_a_mask(images):
    dataset = Draws(images, InputSpec(width=40, height=60), seed=0, flips=False, jitter=0, truths=True)
    assert (dataset[Draw(0, 0, 0)][2] == pixel_truth.GOOD).all()
    assert (dataset[Draw(0, 0, 1)][2] == pixel_truth.UNKNOWN).all()
    silent = Draws(images, InputSpec(width=40, height=60), seed=0, flips=False, jitter=0)
    assert silent[Draw(0, 0, 0)][2].numel() == 0
