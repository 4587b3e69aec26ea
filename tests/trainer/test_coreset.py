"""Greedy k-centre, many centres a pass, against the greedy algorithm written down."""

import numpy as np
import pytest
import torch

from trainer import coreset


def one_by_one(points, first, count):
    """The textbook loop, in float64."""
    chosen = [first]
    nearest = np.linalg.norm(points - points[first], axis=1)
    while len(chosen) < count:
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return chosen


@pytest.mark.parametrize("pool", [3, 50, 5000], ids=["small pool", "pool", "pool of all"])
@pytest.mark.parametrize("dimensions", [2, 40])
def test_it_is_exactly_the_greedy_choice(monkeypatch, pool, dimensions):
    monkeypatch.setattr(coreset, "_POOL", pool)
    points = np.random.default_rng(0).normal(size=(4500, dimensions))
    chosen = coreset.greedy_k_centre(torch.from_numpy(points).float(), 120, seed=7).tolist()
    assert chosen == one_by_one(points, chosen[0], 120)


def test_the_seed_decides():
    points = torch.randn(300, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(coreset.greedy_k_centre(points, 20, 1), coreset.greedy_k_centre(points, 20, 1))
    assert not torch.equal(coreset.greedy_k_centre(points, 20, 1), coreset.greedy_k_centre(points, 20, 2))


def test_equal_points_are_chosen_once():
    points = torch.randn(10, 8, generator=torch.Generator().manual_seed(0)).repeat(50, 1)
    chosen = coreset.greedy_k_centre(points, 60, 0)
    assert sorted((chosen % 10).tolist()) == list(range(10))


def test_all_points_may_be_asked_for_and_progress_ends_there():
    seen = []
    points = torch.randn(30, 8, generator=torch.Generator().manual_seed(0)).half()
    chosen = coreset.greedy_k_centre(points, 100, 0, lambda done, total: seen.append((done, total)))
    assert sorted(chosen.tolist()) == list(range(30))
    assert seen[-1] == (30, 30)
