"""Plain folders: `good/` and `defect/`, alone or below `train/`, `val/`, `test/`.

Other words are understood (`ok`, `normal`; `defective`, `bad`, `ng`, `anomaly`, ...), in any case. Folders inside
`defect/` are defect types. A file `a_mask.png` or `a_GT.png` beside `a.jpg` is its mask and not an image.
"""

from pathlib import Path

from trainer.data.readers import files, names
from trainer.data.samples import Sample, Split


def matches(root: Path) -> bool:
    """Whether a folder named for good or defect images lies in the root or in a split's folder."""
    return bool(_labelled(root))


def read(root: Path) -> list[Sample]:
    """Read the layout; images outside the labelled folders are not taken."""
    samples = []
    for folder, label, split in _labelled(root):
        for image, mask in files.with_masks(files.images(folder)):
            inner = image.relative_to(folder).parts[:-1]
            defect_type = inner[0] if label and inner else ""
            samples.append(Sample(image, label, split=split, mask=mask, defect_type=defect_type))
    return samples


def _labelled(root: Path) -> list[tuple[Path, int, Split]]:
    """Every labelled folder with its label and split."""
    found: list[tuple[Path, int, Split]] = []
    for child in files.subfolders(root):
        label, split = names.label(child.name), names.split(child.name)
        if label is not None:
            found.append((child, label, ""))
        elif split:
            below = [(inner, names.label(inner.name)) for inner in files.subfolders(child)]
            found += [(inner, label, split) for inner, label in below if label is not None]
    return found
