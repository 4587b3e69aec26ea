"""Find the labelled images of a folder: a manifest, KolektorSDD2's mask pairs, or good/ and defect/ sub-folders."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from calibration import table
from calibration.labels import FORMS, label_of
from calibration.split import chosen_split
from inspector import imagefile
from inspector.errors import DataError

LAYOUTS = (
    "good/ and defect/ sub-folders, a manifest.csv with columns path and label (and split), "
    "or KolektorSDD2's NNNNN.png with NNNNN_GT.png"
)
_SPLITS = ("train", "val", "test")
_MASK = "_GT"


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """An image file, its label (0 good, 1 defect) and its split, empty where it has none."""

    path: Path
    label: int
    split: str = ""


@dataclass(frozen=True, slots=True)
class LabelledFolder:
    """The images of one split, sorted by path; `split` is None where the folder knows no splits."""

    images: Sequence[LabelledImage]
    split: str | None


def read(root: Path, split: str | None = None) -> LabelledFolder:
    """List the labelled images of `root`, in the first of these layouts that it has.

    - `manifest.csv` with columns `path` (relative to `root`) and `label`, and perhaps `split`;
    - KolektorSDD2: beside each image its mask `<stem>_GT.png`, non-zero where the defect is; `(copy)` files are
      ignored, as that data set's official archive needs;
    - folders: the nearest folder above an image whose name means good or defect labels it, at any depth.

    In the last two a first folder named `train`, `val` or `test` is the split. Hidden files are passed over and
    symbolic links to folders are not followed.

    Raises:
        DataError: no such folder, no labelled image in it, images without label, or see `split.chosen_split`.
    """
    if not root.is_dir():
        raise DataError(f"{root} is not a folder: give a folder of labelled images ({LAYOUTS})")
    if (root / "manifest.csv").is_file():
        found = _manifest(root)
    else:
        files = _image_files(root)
        masked = any(path.stem.endswith(_MASK) for path in files)
        found = _mask_pairs(root, files) if masked else _folders(root, files)
    if not found:
        raise DataError(f"{root} holds no labelled images: expected {LAYOUTS}")
    chosen = chosen_split([image.split for image in found], split, str(root))
    return LabelledFolder([image for image in found if chosen is None or image.split == chosen], chosen)


def _image_files(root: Path) -> list[Path]:
    def refuse(error: OSError) -> None:
        raise DataError(f"cannot read folder {error.filename}: {error.strerror}")

    return sorted(
        Path(folder) / name
        for folder, _, names in os.walk(root, onerror=refuse)
        for name in names
        if not name.startswith(".") and Path(name).suffix.lower() in imagefile.SUFFIXES
    )


def _split_of(path: Path, root: Path) -> str:
    first = path.relative_to(root).parts[0].lower()
    return first if first in _SPLITS else ""


def _folders(root: Path, files: Sequence[Path]) -> list[LabelledImage]:
    found, unlabelled = [], []
    for path in files:
        folders = reversed(path.relative_to(root).parts[:-1])
        label = next((label for folder in folders if (label := label_of(folder)) is not None), None)
        if label is None:
            unlabelled.append(str(path.relative_to(root)))
        else:
            found.append(LabelledImage(path, label, _split_of(path, root)))
    if unlabelled:
        raise DataError(
            f"images in {root} lie in no good/ or defect/ folder: {table.some(unlabelled)}; expected {LAYOUTS}"
        )
    return found


def _mask_pairs(root: Path, files: Sequence[Path]) -> list[LabelledImage]:
    kept = [path for path in files if "(copy)" not in path.name]
    masks = {path.with_suffix("") for path in kept if path.stem.endswith(_MASK)}
    found, unlabelled = [], []
    for path in kept:
        if path.stem.endswith(_MASK):
            continue
        mask = path.with_name(f"{path.stem}{_MASK}.png")
        if mask.with_suffix("") in masks and mask.is_file():
            found.append(LabelledImage(path, int(imagefile.read(mask).any()), _split_of(path, root)))
        else:
            unlabelled.append(str(path.relative_to(root)))
    if unlabelled:
        raise DataError(f"images in {root} have no mask beside them (<name>{_MASK}.png): {table.some(unlabelled)}")
    return found


def _manifest(root: Path) -> list[LabelledImage]:
    where = root / "manifest.csv"
    header, rows = table.read(where)
    if not {"path", "label"} <= set(header):
        raise DataError(f"{where} needs the columns path and label, it has {', '.join(header) or 'none'}")
    found, faults = [], []
    for line, row in rows:
        path, label = root / row["path"], label_of(row["label"])
        if label is None:
            faults.append(f"line {line}: label {row['label']!r} is not one of {FORMS}")
        elif not path.is_file():
            faults.append(f"line {line}: no file {row['path']!r}")
        else:
            found.append(LabelledImage(path, label, row.get("split", "").lower()))
    table.refuse_faults(where, faults)
    return sorted(found, key=lambda image: image.path)
