"""A plane to look at real and generated images in: In&Out's Figure 1 for the user's own data."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from trainer.augment.features import FeatureMaps

_LEAST = 3


def describe(maps: FeatureMaps) -> npt.NDArray[np.float32]:
    """One row an image, `(N, 2 C)`: means of all cells (the surface), then maxima (what stands out)."""
    cells = maps.reshape(len(maps), -1, maps.shape[-1]).astype(np.float32)
    return np.concatenate([cells.mean(1), cells.max(1)], axis=1)


def project(groups: Mapping[str, FeatureMaps]) -> Mapping[str, npt.NDArray[np.float32]]:
    """Lay images out in two dimensions, by standardised `describe` rows.

    Args:
        groups: `(N, h, w, C)` features by the group's name, for instance `real normal`, `real defect`, `memseg` and
            `diffusion`; three images or more together, groups may be empty.

    Returns:
        `(N, 2)` coordinates by group, in the groups' order.

    Raises:
        ValueError: fewer than three images.
    """
    from sklearn.decomposition import TruncatedSVD

    rows = {name: describe(maps) for name, maps in groups.items() if len(maps)}
    if sum(map(len, rows.values())) < _LEAST:
        raise ValueError("a projection needs at least three images")
    # PCA, because the picture is read by its distances: t-SNE's are not comparable between groups, and LDA pulls the
    # groups apart by the labels it is given. Groups count alike, so that thousands of normals do not set the axes;
    # rows that are centred and weighted already want the decomposition alone.
    weight = np.concatenate([np.full(len(found), 1 / len(found), np.float32) for found in rows.values()])
    weight /= weight.sum()
    together = np.concatenate(list(rows.values()))
    centre = weight @ together
    spread = np.sqrt(weight @ (together - centre) ** 2)
    standard = (together - centre) / np.where(spread > 1e-6, spread, 1)
    plane = TruncatedSVD(2, algorithm="arpack", random_state=0).fit(standard * np.sqrt(weight)[:, None])
    flat = (standard @ plane.components_.T).astype(np.float32)
    ends = np.cumsum([len(maps) for maps in groups.values()])
    return dict(zip(groups, np.split(flat, ends[:-1]), strict=True))
