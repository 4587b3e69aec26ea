"""Noise on good images' features: where it lies, what it changes, and what the head is told."""

import pytest
import torch

from models.head import Disturbance
from trainer import feature_noise
from trainer.pixel_truth import DEFECT


def test_only_good_images_are_disturbed_on_a_small_part() -> None:
    targets = torch.tensor([0.0, 1.0, 0.0, 1.0])
    disturbance, truth = feature_noise.draw(targets, 30, 20, 0.5, (1, 2)) or pytest.fail("two images are good")
    assert disturbance.rows.tolist() == [0, 2]
    assert torch.equal(truth == DEFECT, disturbance.places)
    shares = disturbance.places.float().mean((1, 2))
    assert ((shares > 0.01) & (shares < 0.15)).all()


def test_no_good_image_no_noise() -> None:
    assert feature_noise.draw(torch.ones(3), 8, 8, 0.5, (1,)) is None


def test_the_seed_decides() -> None:
    first, same, other = (feature_noise.draw(torch.zeros(2), 16, 16, 1.0, (seed, 0)) for seed in (1, 1, 2))
    assert first and same and other
    assert torch.equal(first[1], same[1]) and first[0].seed == same[0].seed
    assert not torch.equal(first[1], other[1])


def test_noise_has_the_strength_and_stays_in_its_places() -> None:
    places = torch.zeros((1, 8, 6), dtype=torch.bool)
    places[0, 2:4, 1] = True
    features = {"layer2": torch.rand(3, 4096, 8, 6), "layer3": torch.rand(3, 5, 4, 3)}
    copies = Disturbance(torch.tensor([2]), places, 0.7, seed=3).apply(features)
    change = copies["layer2"][0] - features["layer2"][2]
    assert torch.equal((change != 0).any(0), places[0])
    assert change[:, places[0]].std() == pytest.approx(0.7, rel=0.05)
    coarse = (copies["layer3"][0] != features["layer3"][2]).any(0)
    assert coarse.nonzero().tolist() == [[1, 0]]
