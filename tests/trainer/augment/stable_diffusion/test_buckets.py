"""Training sizes and crops; values by hand."""

import numpy as np
import pytest

from inspector.errors import RecipeError
from trainer.augment.stable_diffusion.buckets import Bucket, Crop, buckets, choose, crops, cut

PAPER = buckets(512, 256, 1024, 64)


def test_the_papers_buckets():
    sizes = {(bucket.width, bucket.height) for bucket in PAPER}
    assert {(512, 512), (256, 1024), (1024, 256), (320, 768), (768, 320), (448, 576), (384, 640)} <= sizes
    assert all(width * height <= 512 * 512 for width, height in sizes)
    assert all(256 <= side <= 1024 and side % 64 == 0 for size in sizes for side in size)
    assert len(sizes) == len(PAPER) and {(height, width) for width, height in sizes} == sizes


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (200, 600, (256, 832)),  # 0.308 lies nearer to 1/3, as a ratio, than 0.417
        (600, 200, (832, 256)),
        (512, 512, (512, 512)),
        (1000, 1000, (512, 512)),
        (100, 1000, (256, 1024)),
    ],
)
def test_an_image_goes_to_the_nearest_aspect(width, height, expected):
    assert choose(width, height, PAPER) == Bucket(*expected)


def test_of_equal_aspects_the_larger_is_taken():
    assert choose(10, 10, (Bucket(64, 64), Bucket(128, 128), Bucket(96, 96))) == Bucket(128, 128)


@pytest.mark.parametrize("bounds", [(64, 256, 1024, 64), (512, 600, 500, 64)])
def test_bounds_that_leave_no_size_are_refused(bounds):
    with pytest.raises(RecipeError, match=r"change stable_diffusion.bucket_\*"):
        buckets(*bounds)


@pytest.mark.parametrize(
    ("size", "bucket", "expected"),
    [
        ((512, 512), (512, 512), [Crop(512, 512, 0, 0)]),
        ((256, 256), (512, 512), [Crop(512, 512, 0, 0)]),
        ((200, 600), (320, 768), [Crop(320, 960, 0, 0), Crop(320, 960, 0, 192)]),
        ((600, 200), (768, 320), [Crop(960, 320, 0, 0), Crop(960, 320, 192, 0)]),
        ((100, 1000), (256, 1024), [Crop(256, 2560, 0, top) for top in (0, 768, 1536)]),
        ((100, 102), (512, 512), [Crop(512, 522, 0, 5)]),  # a rim of five pixels
    ],
)
def test_crops_cover_the_bucket(size, bucket, expected):
    assert list(crops(*size, Bucket(*bucket))) == expected


@pytest.mark.parametrize("size", [(200, 600), (333, 777), (1000, 90), (64, 64)])
def test_no_pixel_is_cut_from_every_crop(size):
    bucket = choose(*size, PAPER)
    seen = np.zeros((size[1], size[0]), bool)
    for crop in crops(*size, bucket):
        assert crop.left + bucket.width <= crop.width and crop.top + bucket.height <= crop.height
        scale = size[1] / crop.height
        rows = slice(int(crop.top * scale), int(np.ceil((crop.top + bucket.height) * scale)))
        columns = slice(int(crop.left * scale), int(np.ceil((crop.left + bucket.width) * scale)))
        seen[rows, columns] = True
    assert seen.mean() > 0.97


def test_cut_takes_the_place_named():
    rows = np.repeat(np.arange(60, dtype=np.uint8)[:, None, None], 20, axis=1).repeat(3, axis=2)
    part = cut(rows, Crop(20, 60, 0, 12), Bucket(20, 48))
    assert part.shape == (48, 20, 3) and part[0, 0, 0] == 12 and part[-1, -1, -1] == 59
    assert cut(rows, Crop(40, 120, 0, 24), Bucket(40, 96)).shape == (96, 40, 3)
