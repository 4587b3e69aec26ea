"""Time of choosing a memory's patches, and what coreset and re-weighting earn on validation images.

    OMP_NUM_THREADS=2 python benchmarks/coreset.py                             # 300,000 x 256, random patches
    python benchmarks/coreset.py --features runs/mix_grid --sets ksdd_half     # cached layer3 features of mix_grid.py

The second form reads training and validation features only. `dev` adds the training defects, which the memory never
sees, to the validation images, because validation alone holds few defects.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

from calibration.curve import average_precision
from models.memory import MemoryConfig, PatchMemory
from trainer import coreset, patch_memory

TURNS = 4  # mirrored copies of a training image, in a row
BATCH = 32


def timed(count: int, patches: int, dimensions: int) -> None:
    """Wall and processor seconds of k-centre on clustered random patches."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(500, dimensions, generator=generator)
    points = torch.empty((count, dimensions), dtype=torch.float16)
    for start in range(0, count, 10_000):
        rows = points[start : start + 10_000]
        which = torch.randint(len(centres), (len(rows),), generator=generator)
        rows[:] = (centres[which] + 0.7 * torch.randn(len(rows), dimensions, generator=generator)) / dimensions**0.5
    wall, processor = time.perf_counter(), time.process_time()
    chosen = coreset.greedy_k_centre(points, patches, 0)
    print(
        f"{count} x {dimensions} -> {len(chosen)}, {torch.get_num_threads()} threads: "
        f"{time.perf_counter() - wall:.1f} s, {time.process_time() - processor:.1f} s of processor time"
    )


def maps(stored: np.ndarray, step: int = 1):
    """Batches of `(N, C, h, w)` from a stored `(N, h, w, C)`, every `step`-th image."""
    for start in range(0, len(stored), BATCH * step):
        yield (stored[start : start + BATCH * step : step].transpose(0, 3, 1, 2).astype(np.float32),)


def scores(memory: PatchMemory, stored: np.ndarray, step: int = 1) -> np.ndarray:
    """Three scores an image: the maximum of its map, the mean of the top 1 % of the cells, and of the top 5 %."""
    rows = []
    with torch.inference_mode():
        for (level,) in maps(stored, step):
            cells = memory([torch.from_numpy(level)]).flatten(1)
            tops = [cells.topk(max(1, round(share * cells.shape[1]))).values.mean(1) for share in (0, 0.01, 0.05)]
            rows.append(torch.stack(tops, 1).numpy())
    return np.concatenate(rows)


def random_subset(points: torch.Tensor, count: int, seed: int, on_progress: object = None) -> torch.Tensor:
    """The plain alternative to `greedy_k_centre`."""
    return torch.randperm(len(points), generator=torch.Generator().manual_seed(seed))[:count]


def compared(folder: Path, patches: int, seed: int) -> None:
    """Coverage and AP of both ways to choose, with and without re-weighting."""
    train, val, defects = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in FILES)
    labels = np.array(json.loads(next(iter(sorted(folder.glob("cell_*.json")))).read_text())["val"]["labels"])
    groups = [number // TURNS for number in range(len(train))]
    for name, choose in (("k-centre", coreset.greedy_k_centre), ("random", random_subset)):
        patch_memory.greedy_k_centre = choose  # type: ignore[assignment]
        begun = time.process_time()
        config = MemoryConfig(levels=("layer3",), channels=(train.shape[-1],), patches=patches)
        memory = patch_memory.build(lambda: maps(train), config, seed, groups=groups)
        building = time.process_time() - begun
        for reweight in (False, True):
            memory.config = MemoryConfig.from_dict(memory.config.as_dict() | {"reweight": reweight})
            if not reweight:
                with torch.inference_mode():
                    location, scale = memory.location.clone(), memory.scale.clone()
                    memory.location.zero_(), memory.scale.fill_(1)
                    cover = np.concatenate([memory([torch.from_numpy(m)]).flatten() for (m,) in maps(train, TURNS)])
            else:
                memory.location, memory.scale = location, scale
            ours, hidden = scores(memory, val), scores(memory, defects, TURNS)
            every = np.concatenate([labels, np.ones(len(hidden), int)])
            texts = [
                f"{top} {average_precision(labels, ours[:, at]):.3f} / "
                f"{average_precision(every, np.concatenate([ours, hidden])[:, at]):.3f}"
                for at, top in enumerate(("max", "top 1 %", "top 5 %"))
            ]
            good = ours[labels == 0]
            print(
                f"{folder.name} {name} {len(memory.bank)}, re-weighted {reweight}: radius {cover.max():.3f}, mean "
                f"{cover.mean():.3f}; AP val / dev: {', '.join(texts)}; built in {building:.0f} s of processor time; "
                f"good validation images' maximum {good[:, 0].mean():.2f}",
                flush=True,
            )


FILES = ("train_0_4", "val_None_1", "train_1_4")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", type=Path, help="folder of mix_grid.py; without it, time alone")
    parser.add_argument("--sets", nargs="+", default=["ksdd_half", "magnetic_tile"])
    parser.add_argument("--candidates", type=int, default=patch_memory.CANDIDATES)
    parser.add_argument("--patches", type=int, default=patch_memory.MOST_PATCHES)
    parser.add_argument("--dimensions", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.features is None:
        timed(options.candidates, options.patches, options.dimensions)
        return
    for name in options.sets:
        compared(options.features / name, options.patches, options.seed)


if __name__ == "__main__":
    main()
