"""What each step sees: order, repeats, buckets, shares; and what is refused."""

from collections import Counter
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator

from inspector.errors import DataError
from inspector.preprocess import InputSpec
from trainer.augment.stable_diffusion import dataset
from trainer.augment.stable_diffusion.buckets import Bucket
from trainer.augment.stable_diffusion.dataset import Draw, TrainingSet, share
from trainer.augment.stable_diffusion.latents import LatentCache, Latents, Picture

SPEC = InputSpec(width=32, height=96)


TALL, WIDE = Bucket(32, 96), Bucket(96, 32)


def picture(name, crops=1, bucket=TALL):
    latents = Latents(torch.zeros(4, bucket.height // 8, bucket.width // 8), torch.ones(4, 1, 1))
    return Picture(Path(name), bucket, (latents,) * crops)


def drawn(data, steps):
    return [draw for step in steps for draw in data.instance_batch(step)]


def test_an_epoch_sees_each_image_repeats_times():
    data = TrainingSet([picture("a"), picture("b"), picture("c")], [], repeats=4, batch=5, seed=1)
    assert data.per_epoch == 3
    assert [len(data.instance_batch(step)) for step in range(3)] != [0, 0, 0]
    assert Counter(draw.picture for draw in drawn(data, range(3))) == {0: 4, 1: 4, 2: 4}


def test_the_order_is_the_seeds_and_differs_from_epoch_to_epoch():
    make = lambda seed: TrainingSet([picture(str(k)) for k in range(20)], [], 1, 4, seed)  # noqa: E731
    assert drawn(make(1), range(10)) == drawn(make(1), range(10))
    assert drawn(make(1), range(5)) != drawn(make(2), range(5))
    assert drawn(make(1), range(5)) != drawn(make(1), range(5, 10))


def test_a_batch_never_mixes_buckets():
    pictures = [picture(str(k), bucket=WIDE if k % 2 else TALL) for k in range(10)]
    data = TrainingSet(pictures, pictures, repeats=3, batch=4, seed=0)
    for step in range(data.per_epoch):
        assert len({pictures[draw.picture].bucket for draw in data.instance_batch(step)}) == 1
        assert len({pictures[draw.picture].bucket for draw in data.prior_batch(step, 4)}) == 1
    assert data.per_epoch == 8  # 15 of each size: 4 + 4 + 4 + 3, twice


def test_crops_take_turns():
    data = TrainingSet([picture("a", crops=3)], [], repeats=2, batch=2, seed=0)
    seen = [sorted(draw.crop for draw in data.instance_batch(step)) for step in range(3)]
    assert seen == [[0, 1], [0, 2], [1, 2]]


def test_every_regularisation_image_has_its_turn():
    priors = [picture(str(k)) for k in range(6)]
    data = TrainingSet([picture("a")], priors, repeats=2, batch=2, seed=0)
    assert sorted(draw.picture for step in range(3) for draw in data.prior_batch(step, 2)) == list(range(6))
    assert TrainingSet([picture("a")], [], 2, 2, 0).prior_batch(0, 2) == []
    assert len(data.prior_batch(0, 1)) == 1


@pytest.mark.parametrize(
    ("count", "ranks", "expected"),
    [(4, 2, [[0, 1], [2, 3]]), (3, 2, [[0, 1], [2, 0]]), (1, 3, [[0], [0], [0]]), (5, 1, [[0, 1, 2, 3, 4]])],
)
def test_processes_share_a_batch(count, ranks, expected):
    assert [share(count, rank, ranks) for rank in range(ranks)] == expected


def load(section, pipeline, folder, instances, priors):
    cache = LatentCache(pipeline.vae, folder / "latents")
    return dataset.load(instances, priors, section, SPEC, 0, cache, Accelerator(cpu=True))


def test_instances_are_fitted_to_the_models_input_and_priors_keep_their_aspect(section, pipeline, pictures, tmp_path):
    data = load(section(), pipeline, tmp_path, pictures("wide", 2, 100, 40), pictures("square", 3, 50, 50))
    assert {one.bucket for one in data.instances} == {Bucket(32, 96)}
    assert {one.bucket for one in data.priors} == {Bucket(64, 64)}
    means, stds = data.latents(dataset.INSTANCES, [Draw(0, 0), Draw(1, 0)])
    assert means.shape == stds.shape == (2, 4, 12, 4)
    assert not torch.equal(means[0], means[1])


def test_without_a_weight_no_prior_is_read(section, pipeline, pictures, tmp_path):
    data = load(section(prior_weight=0), pipeline, tmp_path, pictures("a", 1), [tmp_path / "missing.png"])
    assert data.priors == []


def test_what_cannot_be_trained_on_is_one_line(section, pipeline, pictures, tmp_path):
    files = pictures("a", 2)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    for instances, priors, message in [
        ([], files, "at least one image, and there is none"),
        (files, [files[1]], "is both an instance and a regularisation image"),
        ([broken], [], "broken.png is not an image"),
        (files, [tmp_path / "missing.png"], "cannot read .*missing.png"),
    ]:
        with pytest.raises(DataError, match=message):
            load(section(), pipeline, tmp_path, instances, priors)
