"""Binary labels with their scores, checked once at the door."""

import numpy as np
import numpy.typing as npt

from inspector.errors import DataError

Labels = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]


def checked(labels: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[Labels, Scores]:
    """Return labels (0 good, 1 defect) and scores as arrays of the same length N.

    Raises:
        DataError: lengths differ, a label is not 0 or 1, a score is not finite, or one class is missing.
    """
    y, s = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    if y.ndim != 1 or y.shape != s.shape:
        raise DataError(f"labels of shape {y.shape} and scores of shape {s.shape} do not belong together")
    if not np.isin(y, (0, 1)).all():
        raise DataError(f"labels must be 0 (good) or 1 (defect), found {sorted(set(y.tolist()) - {0, 1})[:5]}")
    if not np.isfinite(s).all():
        bad = np.flatnonzero(~np.isfinite(s))
        raise DataError(f"{len(bad)} of {len(s)} scores are NaN or infinite (first at position {bad[0]}): score again")
    n_defect = int(y.sum())
    n_ok = len(y) - n_defect
    if not n_defect or not n_ok:
        missing = "defect" if not n_defect else "good image"
        raise DataError(f"{n_defect} defects and {n_ok} good images: at least one {missing} is needed as well")
    return y.astype(np.int64), s
