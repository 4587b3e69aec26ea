import numpy as np
import pytest
from sklearn.decomposition import PCA

from trainer.augment.feature_space import describe, project


def _maps(n: int, offset: float, seed: int, channels: int = 6) -> np.ndarray:
    maps = np.random.default_rng(seed).normal(0, 1, (n, 3, 2, channels))
    maps[..., 0] += offset
    return maps.astype(np.float16)


def test_an_image_is_described_by_means_and_maxima():
    maps = np.array([[[[1, 5], [3, 1]], [[2, 0], [2, 2]]]], np.float16)
    np.testing.assert_array_equal(describe(maps), [[2, 2, 3, 5]])


def test_groups_that_differ_lie_apart():
    groups = {"real normal": _maps(60, 0, 1), "real defect": _maps(20, 0, 2), "memseg": _maps(30, 8, 3)}
    plane = project(groups)
    assert list(plane) == list(groups)
    assert {name: (points.shape, points.dtype) for name, points in plane.items()} == {
        name: ((len(maps), 2), np.float32) for name, maps in groups.items()
    }
    centre = {name: points.mean(0) for name, points in plane.items()}
    near = np.linalg.norm(centre["real normal"] - centre["real defect"])
    far = np.linalg.norm(centre["real normal"] - centre["memseg"])
    assert far > 3 * near


def test_groups_of_one_size_give_the_principal_components():
    groups = {"a": _maps(25, 0, 1), "b": _maps(25, 4, 2)}
    rows = np.concatenate([describe(maps) for maps in groups.values()])
    expected = PCA(2).fit_transform((rows - rows.mean(0)) / rows.std(0))
    found = np.concatenate(list(project(groups).values()))
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=2e-3)


def test_many_normals_do_not_set_the_axes():
    few = {"real normal": _maps(20, 0, 1), "memseg": _maps(20, 5, 2)}
    many = {"real normal": np.concatenate([_maps(20, 0, 1)] * 50), "memseg": _maps(20, 5, 2)}
    np.testing.assert_allclose(project(many)["memseg"], project(few)["memseg"], atol=2e-3)


def test_an_empty_group_and_a_constant_channel_are_no_hindrance():
    maps = _maps(5, 0, 1)
    maps[..., 3] = 2
    plane = project({"diffusion": maps[:0], "real normal": maps, "memseg": maps[:0]})
    assert [len(points) for points in plane.values()] == [0, 5, 0]
    assert np.isfinite(plane["real normal"]).all()


def test_two_images_are_too_few():
    with pytest.raises(ValueError, match="three"):
        project({"real normal": _maps(2, 0, 1), "real defect": _maps(0, 0, 1)})
