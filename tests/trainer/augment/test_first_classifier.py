import numpy as np
import pytest
import torch

from trainer.augment.features import Features
from trainer.augment.first_classifier import FirstClassifier, apply, pooled, train_head


def _maps(n: int, block: int | None, seed: int) -> np.ndarray:
    """Noise; with a block, its twelve channels stand out in cell (1, 2)."""
    maps = np.random.default_rng(seed).normal(0, 1, (n, 3, 4, 48))
    if block is not None:
        maps[:, 1, 2, 12 * block : 12 * block + 12] += 4
    return maps.astype(np.float16)


GOOD = _maps(20, None, 0)


def _lead(head, block: int) -> float:
    """How much more images score when their cell (1, 2) stands out in a block of twelve channels."""
    return float(pooled(apply(head, _maps(20, block, 5))).mean() - pooled(apply(head, _maps(20, None, 6))).mean())


def test_a_defect_is_found_where_it_is():
    head = train_head(GOOD, [(_maps(10, 0, 1), 1.0)], seed=0, steps=200)
    maps = apply(head, _maps(40, 0, 2))
    assert maps.shape == (40, 3, 4) and maps.dtype == np.float32
    assert (maps.reshape(40, -1).argmax(1) == 1 * 4 + 2).all()
    assert pooled(maps).min() > pooled(apply(head, _maps(40, None, 3))).max()
    assert not head.training


@pytest.mark.parametrize(
    ("weights", "heeded", "ignored"),
    [((1.0, 0.0), 0, 1), ((0.0, 1.0), 1, 0), ((0.95, 0.05), 0, 1), ((0.05, 0.95), 1, 0)],
)
def test_groups_are_drawn_by_their_weight(weights, heeded, ignored):
    groups = [(_maps(4, 0, 1), weights[0]), (_maps(40, 1, 2), weights[1])]
    head = train_head(GOOD, groups, seed=0, steps=120)
    assert _lead(head, heeded) > 1.5 * _lead(head, ignored)


def test_an_empty_group_counts_for_nothing():
    found = _maps(10, 0, 1)
    alone = train_head(GOOD, [(found, 0.5)], seed=0, steps=10)
    beside = train_head(GOOD, [(found, 0.5), (found[:0], 0.5)], seed=0, steps=10)
    np.testing.assert_array_equal(apply(alone, GOOD), apply(beside, GOOD))


def test_the_seed_decides():
    heads = [train_head(GOOD, [(_maps(10, 0, 1), 1.0)], seed=seed, steps=10) for seed in (0, 0, 1)]
    first, again, other = (apply(head, GOOD) for head in heads)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_maps_are_batch_norm_and_a_weighted_sum():
    head = train_head(GOOD, [(_maps(10, 0, 1), 1.0)], seed=0, steps=10)
    norm, convolution = head
    x = GOOD.astype(np.float64)
    mean, variance, gain, shift = (
        tensor.detach().double().numpy() for tensor in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    x = (x - mean) / np.sqrt(variance + norm.eps) * gain + shift
    expected = x @ convolution.weight.detach().double().numpy().ravel() + float(convolution.bias.detach())
    np.testing.assert_allclose(apply(head, GOOD), expected, atol=1e-5)


def test_a_map_is_pooled_by_its_strongest_tenth():
    maps = np.arange(2 * 30, dtype=np.float32).reshape(2, 5, 6)
    np.testing.assert_allclose(pooled(maps), [28, 58])


def test_images_go_through_the_features():
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (48, 32, 3), dtype=np.uint8) for _ in range(3)]
    features = Features("none")
    with torch.random.fork_rng():
        head = train_head(features.of(images), [(features.of(images[:1]), 1.0)], seed=0, steps=2)
    classifier = FirstClassifier(features, head)
    np.testing.assert_array_equal(classifier.maps(images), apply(head, features.of(images)))
    np.testing.assert_array_equal(classifier.logits(images), pooled(classifier.maps(images)))
