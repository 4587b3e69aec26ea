import numpy as np
import pytest

from trainer.augment import strokes


def _part(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(128, 6, (120, 80, 1)).clip(0, 255).astype(np.uint8).repeat(3, 2)


def test_only_the_mask_and_its_soft_edge_change_and_only_where_allowed():
    kinds = set()
    where = np.zeros((120, 80), np.uint8)
    where[20:100, 10:70] = 255
    for seed in range(60):
        part = _part(seed)
        painted, mask, kind = strokes.paint(part, where, np.random.default_rng(seed))
        kinds.add(kind)
        assert mask.any(), kind
        assert not mask[where == 0].any()
        assert (painted[where == 0] == part[where == 0]).all()
        assert painted.dtype == np.uint8
        change = np.abs(painted.astype(int) - part).mean(2)
        assert change[mask > 0].mean() > 1.5, kind
    assert kinds == {"crack", "scratch", "pit", "stain", "shade", "rough"}


def test_same_draw_same_picture():
    part, where = _part(0), np.full((120, 80), 255, np.uint8)
    first, second = (strokes.paint(part, where, np.random.default_rng(4)) for _ in range(2))
    assert (first[0] == second[0]).all()
    assert first[2] == second[2]


@pytest.mark.parametrize("pixels", [1, 20])
def test_a_tiny_place_is_painted_too(pixels):
    where = np.zeros((120, 80), np.uint8)
    where.flat[4000 : 4000 + pixels] = 255
    for seed in range(10):
        _, mask, _ = strokes.paint(_part(1), where, np.random.default_rng(seed))
        assert not mask[where == 0].any()


def test_disorder_takes_no_slab_of_the_parts_dark_margin(monkeypatch):
    part = np.full((96, 96, 3), 160, np.uint8)
    part[:, :40] = 5
    where = np.zeros((96, 96), np.uint8)
    where[:, 48:] = 255
    monkeypatch.setattr(strokes, "_KINDS", {"rough": strokes._KINDS["rough"]})
    shifts = []
    for seed in range(20):
        painted, mask, _ = strokes.paint(part, where, np.random.default_rng(seed))
        shifts.append(float((painted.astype(int) - part)[mask > 0].mean()))
    assert min(shifts) > -45 and np.ptp(shifts) > 5  # a slab of the margin: -155
