"""The review band: the verdicts near the threshold that go to a person."""

import math

import numpy as np
import numpy.typing as npt

from inspector.decision import probability_of
from inspector.errors import DataError, RecipeError

Review = float | tuple[float, float]
_FORMS = "a share of the images such as 0.05, or two probabilities such as 0.4,0.7"
# Probabilities of exactly 0 and 1 have no log-odds; nearer to them than this makes no difference.
_EDGE = 1e-15


def parse(text: str) -> Review:
    """Read `0.05` (a share) or `0.4,0.7` (the band itself); raises `RecipeError`."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) == 1 and 0 < numbers[0] < 1:
        return numbers[0]
    if len(numbers) == 2 and 0 <= numbers[0] < numbers[1] <= 1:
        return numbers[0], numbers[1]
    raise RecipeError(f"{text!r} is not a review band: give {_FORMS}")


def band(probabilities: npt.ArrayLike, threshold: float, review: Review) -> tuple[float, float]:
    """The band `(low, high)` of probabilities, both ends included, around `threshold`.

    Args:
        probabilities: `(N,)` of the calibration images.
        threshold: probability at or above which an image is a defect.
        review: two probabilities are taken as they are; a share sends at most that share of the calibration images
            to review: the `floor(share * N)` nearest to the threshold in log-odds (a distance that means the same
            near 0 as near 0.5), fewer where a tie would exceed it. The band is symmetric in log-odds and ends
            midway between the last image inside and the first outside.

    Raises:
        DataError: the band does not contain the threshold, or the share is less than one image.
    """
    if isinstance(review, tuple):
        if not review[0] <= threshold <= review[1]:
            raise DataError(
                f"review band {review[0]:g},{review[1]:g} does not contain the threshold {threshold:.4f}: "
                "move the band, or give a share of the images instead"
            )
        return review
    p = np.asarray(probabilities, dtype=np.float64)
    centre = _log_odds(threshold)
    distances = np.sort(np.abs(_log_odds(p) - centre))
    ahead = np.append(distances[1:], distances[-1] + 1.0)
    sizes = np.flatnonzero(distances < ahead) + 1
    sizes = sizes[sizes <= math.floor(review * len(p) + 1e-9)]
    if not len(sizes):
        raise DataError(
            f"a review share of {review:g} is less than one of these {len(p)} images, or the nearest ones are tied: "
            f"ask for more than {1 / len(p):.3g}"
        )
    inside = sizes[-1]
    radius = (distances[inside - 1] + ahead[inside - 1]) / 2
    low, high = probability_of([centre - radius, centre + radius], 1.0)
    return float(low), float(high)


def _log_odds(p: npt.ArrayLike) -> npt.NDArray[np.float64]:
    inner = np.clip(p, _EDGE, 1 - _EDGE)
    return np.log(inner) - np.log1p(-inner)
