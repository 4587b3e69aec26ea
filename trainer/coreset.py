"""Choose few points that cover many: greedy k-centre, many centres a pass."""

from collections.abc import Callable

import torch

from trainer.out_of_memory import release

_POOL = 1024
_ROWS = 2048
_COLUMNS = 512
_SAME = 1e-5


def greedy_k_centre(
    points: torch.Tensor, count: int, seed: int, on_progress: Callable[[int, int], None] | None = None
) -> torch.Tensor:
    """Indices `(at most count,)` of points, each the farthest from those chosen before it, the first at random.

    The result is exactly the greedy one, but the points are read once for hundreds of centres: distances to the chosen
    only shrink, so among the `_POOL` farthest points the greedy choice can go on as long as its distance exceeds that
    of every point outside. Distances are taken block by block, in float32.

    Args:
        points: `(n, d)` of any floating type; fewer indices than `count` come back where fewer points differ.
        on_progress: called with the centres chosen so far and their final number.

    Source: Gonzalez, Clustering to Minimize the Maximum Intercluster Distance, 1985; as coreset of a patch memory:
    Roth et al., CVPR 2022.
    """
    count = min(count, len(points))
    squares = torch.cat([part.float().square().sum(1) for part in points.split(_ROWS)])
    nearest = torch.full((len(points),), torch.inf, device=points.device)
    first = torch.randint(len(points), (1,), generator=torch.Generator().manual_seed(seed))
    chosen = fresh = first.to(points.device)
    while True:
        _approach(nearest, points, squares, points[fresh].float())
        nearest[fresh] = 0
        if on_progress is not None:
            on_progress(len(chosen), count)
        if len(chosen) == count:
            break
        fresh = _farthest(nearest, points, squares, count - len(chosen))
        if not len(fresh):
            break
        chosen = torch.cat([chosen, fresh])
    release()
    return chosen


def _approach(nearest: torch.Tensor, points: torch.Tensor, squares: torch.Tensor, centres: torch.Tensor) -> None:
    """Lower each point's squared distance to the nearest centre where a new centre is nearer."""
    lengths = centres.square().sum(1)
    for start in range(0, len(points), _ROWS):
        rows = slice(start, start + _ROWS)
        block = points[rows].float()
        for at in range(0, len(centres), _COLUMNS):
            columns = slice(at, at + _COLUMNS)
            # without the point's own length, which does not change which centre is nearest
            found = torch.addmm(lengths[columns][None], block, centres[columns].T, alpha=-2).amin(1)
            torch.minimum(nearest[rows], (found + squares[rows]).clamp_min_(0), out=nearest[rows])


def _farthest(nearest: torch.Tensor, points: torch.Tensor, squares: torch.Tensor, most: int) -> torch.Tensor:
    """The next greedy choices, in order, as far as the farthest points decide them; empty where all are chosen."""
    distances, candidates = nearest.topk(min(_POOL, len(nearest)))
    outside = distances[-1] if len(candidates) < len(nearest) else distances.new_zeros(())
    block = points[candidates].float()
    lengths = squares[candidates]
    products = block @ block.T
    taken: list[int] = []
    while len(taken) < most:
        farthest = int(distances.argmax())
        if distances[farthest] <= _SAME * lengths[farthest] or distances[farthest] < outside:
            break
        taken.append(farthest)
        between = lengths + lengths[farthest] - 2 * products[farthest]
        distances = torch.minimum(distances, between.clamp_min_(0))
        distances[farthest] = 0
    return candidates[taken]
