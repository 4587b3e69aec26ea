"""The fixture itself: a bundle that loads, and scores by its darkest patch."""

import numpy as np
import pytest

from inspector.backends import create


def test_logit_is_the_maximum_of_the_cam_and_grows_with_the_darkest_patch(tiny, tiny_bundle):
    bundle = tiny_bundle(width=32, height=48)
    images = np.stack([tiny.image(), tiny.image(darkest=100), tiny.image(darkest=0)])
    logit, cam = create("onnxruntime", bundle, threads=1).run(images)
    assert cam.shape == (3, 6, 4)
    assert logit == pytest.approx([5 - 2200 / 255, 5 - 1000 / 255, 5.0], abs=1e-5)
    assert np.array_equal(logit, cam.max(axis=(1, 2)))
    assert np.unravel_index(cam[2].argmax(), cam[2].shape) == (2, 1)
