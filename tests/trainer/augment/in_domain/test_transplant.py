import numpy as np

from trainer.augment.in_domain import transplant


def _scene():
    defect = np.full((80, 60, 3), 120, np.uint8)
    defect[38:42, 25:35] = 20
    region = np.zeros((80, 60), np.uint8)
    region[32:48, 20:40] = 255
    return defect, region


def test_the_defect_arrives_dark_on_a_part_of_another_brightness():
    defect, region = _scene()
    part = np.full((80, 60, 3), 200, np.uint8)
    where = np.full((80, 60), 255, np.uint8)
    for seed in range(20):
        pixels, landed = transplant.move(defect, region, part, where, np.random.default_rng(seed))
        assert landed.any()
        assert pixels.min() < 170  # 100 levels under its surroundings there, scaled by 0.7 to 1.2, thinned by turning
        far = np.ones((80, 60), bool)
        rows, columns = np.nonzero(landed)
        far[max(0, rows.min() - 12) : rows.max() + 13, max(0, columns.min() - 12) : columns.max() + 13] = False
        assert (np.abs(pixels[far].astype(int) - 200) <= 2).all()


def test_it_moves_and_stays_where_it_may():
    defect, region = _scene()
    where = np.zeros((80, 60), np.uint8)
    where[:, 30:] = 255
    places = set()
    for seed in range(10):
        _, landed = transplant.move(defect, region, defect, where, np.random.default_rng(seed))
        assert not landed[where == 0].any()
        places.add(int(np.nonzero(landed)[0].mean()) if landed.any() else -1)
    assert len(places) > 3
