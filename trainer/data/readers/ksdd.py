"""KolektorSDD's layout: `kosNN/PartM.jpg` and its mask `PartM_label.bmp`, one folder an item.

Tabernik, Sela, Skvarc, Skocaj: "Segmentation-based deep-learning approach for surface-defect detection", JIM 2019.
The parts of one commutator stay together (`group`); the set comes without a split.
"""

from pathlib import Path

from trainer.data.readers import files, masks
from trainer.data.samples import Sample


def matches(root: Path) -> bool:
    """Whether there is a `kosNN/PartM_label.bmp`."""
    return next(root.glob("kos[0-9]*/*_label.bmp"), None) is not None


def read(root: Path) -> list[Sample]:
    """Read the layout; every image needs its mask, all black for a good one.

    Raises:
        DataError: masks missing or unreadable, all listed.
    """
    found: list[tuple[Path, Path]] = []
    problems = []
    for item in files.subfolders(root):
        for image, mask in files.with_masks(files.images(item)):
            if mask is None:
                problems.append(f"{image}: no {image.stem}_label.bmp beside it (all black for a good image)")
            else:
                found.append((image, mask))
    files.refuse_all(f"{root} is laid out like KolektorSDD, where each image has a mask", problems)
    labels = masks.labels(root, (mask for _, mask in found))
    return [Sample(i, y, group=i.parent.name, mask=m) for (i, m), y in zip(found, labels, strict=True)]
