"""KolektorSDD2's layout: `train/` and `test/` with `NNNNN.png` and its mask `NNNNN_GT.png`.

Bozic, Tabernik, Skocaj: "Mixed supervision for surface-defect detection", Computers in Industry 2021. The label is
"any mask pixel is non-zero". The official archive also holds `10301 (copy).png` and its mask, which are left out.
"""

from pathlib import Path

from trainer.data.readers import files, masks
from trainer.data.samples import Sample, Split

_SPLITS: tuple[Split, ...] = ("train", "test")


def matches(root: Path) -> bool:
    """Whether `train/` or `test/` holds `*_GT.png` files directly."""
    return any(next((root / split).glob("*_GT.png"), None) is not None for split in _SPLITS)


def read(root: Path) -> list[Sample]:
    """Read the layout; every image needs its mask, all black for a good one.

    Raises:
        DataError: masks missing or unreadable, all listed.
    """
    found: list[tuple[Path, Path, Split]] = []
    problems = []
    for split in _SPLITS:
        present = [path for path in files.images(root / split) if "(copy)" not in path.name]
        for image, mask in files.with_masks(present):
            if mask is None:
                problems.append(f"{image}: no {image.stem}_GT.png beside it (all black for a good image)")
            else:
                found.append((image, mask, split))
    files.refuse_all(f"{root} is laid out like KolektorSDD2, where each image has a mask", problems)
    labels = masks.labels(root, (mask for _, mask, _ in found))
    return [Sample(i, y, split=s, mask=m) for (i, m, s), y in zip(found, labels, strict=True)]
