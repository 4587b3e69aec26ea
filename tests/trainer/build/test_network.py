"""Which images training sees, and which masks come with them."""

from pathlib import Path

import pytest

from inspector.errors import DataError
from trainer.build import network
from trainer.data.samples import Sample

GOOD, MARKED, BARE = Path("good.png"), Path("marked.png"), Path("bare.png")
DRAWN, TOLD = Path("drawn.png"), Path("told.png")
SAMPLES = [
    Sample(GOOD, 0, "train"),
    Sample(MARKED, 1, "train", mask=Path("mask.png")),
    Sample(BARE, 1, "train"),
    Sample(Path("other.png"), 1, "val"),
]


@pytest.mark.parametrize(("supervision", "mask"), [("image", None), ("mixed", Path("mask.png"))])
def test_masks_of_real_defects_are_seen_where_the_recipe_allows_it(supervision, mask):
    found = network.images(SAMPLES, [DRAWN, TOLD], "train", {TOLD: Path("told_mask.png")}, supervision)
    assert [(image.path, image.label, image.synthetic, image.mask) for image in found] == [
        (GOOD, 0, False, None),
        (MARKED, 1, False, mask),
        (BARE, 1, False, None),
        (DRAWN, 1, True, None),
        (TOLD, 1, True, Path("told_mask.png")),
    ]


def test_pixel_supervision_demands_a_mask_for_each_real_defect():
    with pytest.raises(DataError, match=r"1 defects in train have no mask, such as bare.png.*mixed"):
        network.images(SAMPLES, [], "train", {}, "pixel")
    assert len(network.images(SAMPLES[:2], [], "train", {}, "pixel")) == 2
