"""Building the memory of normal patches from batches, and how large it may be."""

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import resnet50

from inspector.errors import DataError
from models.memory import MemoryConfig
from trainer import patch_memory

CONFIG = MemoryConfig(channels=(6, 10), dimensions=8, patches=50)


def images(n=12, seed=0, twins=1):
    """Feature maps of `n` normal images, `twins` copies of each in a row; channels of very different size."""
    rng = np.random.default_rng(seed)
    sizes = np.geomspace(0.01, 10, 16)[:, None, None]
    fine = np.repeat(rng.gamma(2, sizes[:6], (n, 6, 9, 5)), twins, axis=0)
    return fine, np.repeat(rng.gamma(2, sizes[6:], (n, 10, 5, 3)), twins, axis=0)


def batches(maps, size=4):
    fine, coarse = maps
    return lambda: ((fine[at : at + size], coarse[at : at + size]) for at in range(0, len(fine), size))


def built(maps, size=4, **more):
    return patch_memory.build(batches(maps, size), CONFIG, **{"seed": 0} | more)


def mapped(memory, maps):
    with torch.inference_mode():
        return memory([torch.from_numpy(level).float() for level in maps])


def test_other_normal_images_lie_around_zero_with_a_spread_of_one():
    memory = built(images(100))
    found = mapped(memory, images(100, seed=1))
    assert abs(float(found.mean())) < 0.25
    assert 0.8 < float(found.std()) < 1.2


def test_what_no_normal_image_showed_stands_out():
    fine, coarse = images(seed=1)
    coarse[0, :4, 3, 1] *= -5
    found = mapped(built(images()), (fine, coarse))
    around = found[0, 2:]  # the cells whose neighbourhood it is in
    assert float(around.min()) > 3
    assert float(around.min()) > float(torch.cat([found[0, :2].flatten(), found[1:].flatten()]).max())


def test_normal_patches_have_length_one_on_the_average():
    maps = images()
    memory = built(maps)
    with torch.inference_mode():
        found = memory.embed([torch.from_numpy(level).float() for level in maps])
    assert float(found.square().sum(1).mean()) == pytest.approx(1, abs=0.01)
    torch.testing.assert_close(memory.squares, memory.bank.square().sum(1))


def test_the_memory_holds_patches_that_were_seen():
    maps = images()
    memory = built(maps)
    with torch.inference_mode():
        seen = memory.embed([torch.from_numpy(level).float() for level in maps]).permute(0, 2, 3, 1).reshape(-1, 8)
    assert float(torch.cdist(memory.bank, seen).amin(1).max()) < 2e-3  # float16 in between
    assert memory.config.patches == len(memory.bank) == 50


def test_spacing_is_the_mean_distance_to_three_neighbours():
    memory = built(images())
    expected = torch.cdist(memory.bank.double(), memory.bank.double()).sort(1).values[:, 1:4].mean(1)
    torch.testing.assert_close(memory.spacing.double(), expected, atol=1e-3, rtol=1e-3)


def test_the_seed_decides_and_the_batches_do_not():
    maps = images()
    first, again, other = (built(maps, **more, candidates=100) for more in ({}, {"size": 5}, {"seed": 1}))
    for name, tensor in first.state_dict().items():
        torch.testing.assert_close(tensor, again.state_dict()[name], atol=1e-4, rtol=1e-4)
    assert not torch.equal(first.bank, other.bank)


def test_tensors_and_arrays_are_the_same():
    maps = images()
    one, other = built(maps), built(tuple(torch.from_numpy(level) for level in maps))
    assert torch.equal(one.bank, other.bank)


def test_copies_of_a_part_do_not_make_its_distances_small():
    maps = images(twins=2)
    apart = built(maps, groups=[number // 2 for number in range(24)])
    assert float(apart.location) > 1.1 * float(built(maps).location)


def test_fewer_patches_than_asked_for_are_all_taken():
    memory = patch_memory.build(batches(images(2)), MemoryConfig(channels=(6, 10), dimensions=8), seed=0)
    assert memory.config.patches == len(memory.bank) == len(memory.spacing) == 2 * 15


def test_candidates_bound_what_is_kept():
    assert built(images(), candidates=20).config.patches == 20


def test_progress_names_each_step():
    seen = {}
    built(images(), on_progress=lambda step, done, total: seen.update({step: (done, total)}))
    assert seen == {
        "measuring features": (12, None),
        "reading patches": (12, 12),
        "choosing patches": (50, 50),
        "measuring distances": (180, 180),
    }


def broken(maps):
    maps[1][5, 0, 0, 0] = np.nan
    return maps


def shrinking(maps):
    """Batches that are fewer when read again."""
    calls = []

    def read():
        calls.append(1)
        return batches(maps)() if len(calls) == 1 else batches(tuple(level[:8] for level in maps))()

    return read


@pytest.mark.parametrize(
    ("source", "more", "says"),
    [
        (lambda: batches(images(1)), {}, "two different parts"),
        (lambda: batches(images()), {"groups": ["a"] * 12}, "two different parts"),
        (lambda: batches(images()), {"groups": ["a"] * 3}, "3 groups given for 12 images"),
        (lambda: list, {}, "no normal image"),
        (lambda: batches(broken(images())), {}, "images 4 to 7 are not finite"),
        (lambda: batches(images()[::-1]), {}, "wanted (N, C, h, w) with C = (6, 10) for layer2, layer3"),
        (lambda: shrinking(images()), {}, "gave 120 patches, the first 180"),
    ],
    ids=["one image", "one part", "groups of others", "nothing", "not finite", "other channels", "images vanish"],
)
def test_unusable_features_are_named(source, more, says):
    with pytest.raises(DataError) as caught:
        patch_memory.build(source(), CONFIG, 0, **more)
    assert says in str(caught.value)


@pytest.fixture(scope="module")
def backbone():
    net = resnet50(weights=None)
    del net.layer4, net.fc
    return net


def test_multiply_adds_are_those_of_the_convolutions_run(backbone):
    counted = 0

    def count(module, args, output):
        nonlocal counted
        counted += output[0].numel() * module.weight[0].numel()

    hooks = [m.register_forward_hook(count) for m in backbone.modules() if isinstance(m, nn.Conv2d)]
    with torch.inference_mode():
        x = backbone.maxpool(backbone.relu(backbone.bn1(backbone.conv1(torch.zeros(1, 3, 90, 70)))))
        backbone.eval().layer3(backbone.layer2(backbone.layer1(x)))
    for hook in hooks:
        hook.remove()
    assert patch_memory.multiply_adds(backbone, 90, 70) == counted


@pytest.mark.parametrize(("height", "width"), [(600, 200), (224, 288)])
def test_the_memory_stays_under_its_share_of_the_backbone(backbone, height, width):
    fine, coarse = (MemoryConfig(grid=grid) for grid in ("fine", "coarse"))
    assert patch_memory.affordable_patches(backbone, height, width, coarse) == patch_memory.MOST_PATCHES
    patches = patch_memory.affordable_patches(backbone, height, width, fine)
    cells = -(-height // 8) * -(-width // 8)
    coarse_cells = -(-height // 16) * -(-width // 16)
    cost = 256 * (cells * (512 + patches) + coarse_cells * 1024)
    budget = 0.3 * patch_memory.multiply_adds(backbone, height, width)
    assert budget - 256 * cells < cost <= budget


def test_a_budget_that_holds_nothing_is_refused(backbone):
    with pytest.raises(DataError, match="take the coarse grid"):
        patch_memory.affordable_patches(backbone, 224, 224, MemoryConfig(grid="fine"), share=0.01)
