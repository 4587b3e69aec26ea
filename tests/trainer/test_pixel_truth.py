"""Which cells are known, and what the loss makes of them."""

import numpy as np
import pytest
import torch
from torch.nn.functional import softplus

from trainer import pixel_truth
from trainer.pixel_truth import DEFECT, GOOD, UNKNOWN


def test_cells_are_defective_good_or_too_little_covered_to_say():
    mask = np.zeros((20, 33), np.uint8)
    mask[0:8, 0:8] = 255
    mask[8:10, 8:10] = 1  # a sixteenth of its cell
    mask[8:9, 16:19] = 255  # three pixels
    mask[19, 32] = 255  # in the last cell, which hangs over
    expected = np.full((3, 5), GOOD)
    expected[0, 0] = expected[1, 1] = DEFECT
    expected[1, 2] = expected[2, 4] = UNKNOWN
    np.testing.assert_array_equal(pixel_truth.cells(mask, 20, 33, known=True), expected)


@pytest.mark.parametrize(("known", "value"), [(True, GOOD), (False, UNKNOWN)])
def test_without_a_mask_all_or_nothing_is_known(known, value):
    assert (pixel_truth.cells(None, 16, 24, known) == np.full((2, 3), value)).all()


def test_loss_weighs_good_and_defective_cells_alike_and_leaves_out_unknown_ones():
    cam = torch.tensor([[[2.0, -1.0], [0.5, 3.0]], [[1.0, 1.0], [1.0, 1.0]]], requires_grad=True)
    truth = torch.tensor([[[GOOD, GOOD], [UNKNOWN, DEFECT]], [[UNKNOWN] * 2] * 2])
    found = pixel_truth.loss(cam, truth)
    wanted = (softplus(torch.tensor(2.0)) + softplus(torch.tensor(-1.0))) / 2 + softplus(torch.tensor(-3.0))
    torch.testing.assert_close(found, torch.stack([wanted, torch.tensor(0.0)]))
    found.sum().backward()
    assert cam.grad[0, 1, 0] == 0 and (cam.grad[1] == 0).all() and cam.grad[0, 1, 1] < 0 < cam.grad[0, 0, 0]


def test_a_coarser_map_meets_the_worst_of_the_finer_cells():
    truth = torch.zeros((1, 4, 6), dtype=torch.uint8)
    truth[0, 1, 1], truth[0, 3, 5], truth[0, 2, 4] = DEFECT, UNKNOWN, DEFECT
    truth[0, 0, 4] = UNKNOWN
    cam = torch.zeros((1, 2, 3), requires_grad=True)
    pixel_truth.loss(cam, truth).sum().backward()
    assert (cam.grad[0] < 0).tolist() == [[True, False, False], [False, False, True]]
    assert cam.grad[0, 0, 2] == 0
