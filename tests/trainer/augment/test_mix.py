import json

import numpy as np
import pytest

from inspector.errors import DataError
from trainer.augment.mix import RealFeatures, choose, pick, split

CELLS, CHANNELS = (3, 3), 48
SCRATCH, DENT, STAIN = slice(0, 12), slice(12, 24), slice(24, 36)


def _maps(n: int, *raised: slice, seed: int) -> np.ndarray:
    """Features of noise; each image has one cell where the channels `raised` stand out."""
    rng = np.random.default_rng(seed)
    maps = rng.normal(0, 1, (n, *CELLS, CHANNELS))
    for image in maps:
        for channel in raised:
            image[rng.integers(CELLS[0]), rng.integers(CELLS[1]), channel] += 3
    return maps.astype(np.float16)


@pytest.fixture(scope="module")
def real() -> RealFeatures:
    """The only defects known are scratches."""
    return RealFeatures(_maps(40, seed=1), _maps(12, SCRATCH, seed=3))


@pytest.fixture(scope="module")
def validation():
    """The line has dents too, and good images with a harmless stain."""
    good = np.concatenate([_maps(30, seed=4), _maps(30, STAIN, seed=5)])
    maps = np.concatenate([good, _maps(10, SCRATCH, seed=6), _maps(10, DENT, seed=7)])
    return maps, np.repeat([0, 1], [60, 20])


HELPFUL, HARMFUL = _maps(40, DENT, seed=8), _maps(40, STAIN, seed=9)


@pytest.mark.parametrize(
    ("pools", "expected"),
    [
        pytest.param({"memseg": HELPFUL}, (20, 0.0), id="MemSeg shows what is missing"),
        pytest.param({"diffusion": HELPFUL}, (20, 1.0), id="diffusion shows what is missing"),
        pytest.param({"memseg": HARMFUL}, (0, 0.0), id="MemSeg paints what is harmless"),
        pytest.param({"memseg": HARMFUL, "diffusion": HELPFUL}, (20, 1.0), id="diffusion helps, MemSeg hurts"),
        pytest.param({"memseg": HELPFUL, "diffusion": HARMFUL}, (20, 0.0), id="MemSeg helps, diffusion hurts"),
    ],
)
def test_what_helps_is_picked(real, validation, pools, expected):
    choice = choose(real, pools, validation, candidates=(0, 20, 40), repeats=2)
    assert (choice.n, choice.share) == expected
    (row,) = [row for row in choice.table if row["chosen"]]
    assert (row["n"], row["share"]) == expected
    assert json.loads(json.dumps(choice.table)) == choice.table


def test_the_same_seed_gives_the_same_table(real, validation):
    tables = [
        choose(real, {"memseg": HELPFUL}, validation, candidates=(0, 20), seed=seed, repeats=2).table
        for seed in (3, 3, 4)
    ]
    assert tables[0] == tables[1] != tables[2]


@pytest.mark.parametrize(
    ("defects", "pools", "tried"),
    [
        pytest.param(12, {}, [(0, 0.0)], id="nothing generated"),
        pytest.param(12, {"memseg": 20}, [(0, 0.0), (20, 0.0)], id="one kind, no share to choose"),
        pytest.param(0, {"diffusion": 20}, [(20, 1.0)], id="no real defect, no 0"),
        pytest.param(
            0, {"memseg": 40, "diffusion": 10}, [(20, 0.0), (20, 0.5), (40, 0.0)], id="no more than a pool holds"
        ),
    ],
)
def test_only_what_can_be_trained_is_tried(real, validation, defects, pools, tried):
    pools = {kind: HELPFUL[:count] for kind, count in pools.items()}
    choice = choose(RealFeatures(real.good, real.defects[:defects]), pools, validation, (0, 20, 40), repeats=1)
    assert [(row["n"], row["share"]) for row in choice.table] == tried


def test_nothing_to_choose_from_is_refused(real, validation):
    with pytest.raises(DataError, match="0 real defects, 10 by memseg"):
        choose(RealFeatures(real.good, real.defects[:0]), {"memseg": HELPFUL[:10]}, validation)


def test_validation_of_one_class_is_refused(real, validation):
    maps, labels = validation
    with pytest.raises(DataError, match="both classes"):
        choose(real, {"memseg": HELPFUL}, (maps[labels == 0], labels[labels == 0]))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([(0, 0.0, 0.80, 0.01), (40, 0.0, 0.82, 0.01), (80, 0.0, 0.90, 0.02)], 2, id="clearly best"),
        pytest.param([(0, 0.0, 0.80, 0.01), (40, 0.0, 0.89, 0.01), (80, 0.0, 0.90, 0.02)], 1, id="as good with fewer"),
        pytest.param([(0, 0.0, 0.80, 0.20), (40, 0.0, 0.90, 0.01)], 1, id="the best one's error counts"),
        pytest.param([(40, 0.0, 0.88, 0.01), (40, 0.5, 0.90, 0.05), (40, 1.0, 0.89, 0.0)], 1, id="the better share"),
        pytest.param([(0, 0.0, 0.90, 0.0), (40, 0.0, 0.90, 0.0)], 0, id="a tie goes to fewer"),
    ],
)
def test_the_smallest_within_one_standard_error(rows, expected):
    table = [dict(zip(("n", "share", "ap", "error"), row, strict=True)) for row in rows]
    assert pick(table) is table[expected]


@pytest.mark.parametrize(
    ("n", "share", "parts"), [(40, 0.0, (40, 0)), (40, 1.0, (0, 40)), (41, 0.5, (21, 20)), (80, 0.25, (60, 20))]
)
def test_split(n, share, parts):
    assert split(n, share) == dict(zip(("memseg", "diffusion"), parts, strict=True))
