"""Readers of labelled image folders: one file a layout, and the choice between them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from inspector.errors import DataError
from trainer.data.readers import folders, ksdd, ksdd2, manifest, mvtec
from trainer.data.samples import DataSet, Sample


@dataclass(frozen=True, slots=True)
class Reader:
    """One layout.

    Attributes:
        matches: whether a folder (or a .csv file) looks like this layout; looks at names only.
        read: its samples; raises DataError.
        shape: what the layout looks like, in a few words, for messages.
    """

    matches: Callable[[Path], bool]
    read: Callable[[Path], list[Sample]]
    shape: str


READERS: Mapping[str, Reader] = {
    "manifest": Reader(manifest.matches, manifest.read, "manifest.csv with the columns path,label"),
    "ksdd2": Reader(ksdd2.matches, ksdd2.read, "train/ and test/ with NNNNN.png + NNNNN_GT.png"),
    "ksdd": Reader(ksdd.matches, ksdd.read, "kosNN/PartM.jpg + PartM_label.bmp"),
    "mvtec": Reader(mvtec.matches, mvtec.read, "train/good, test/<type>, ground_truth/<type>"),
    "folders": Reader(folders.matches, folders.read, "good/ and defect/, alone or below train/, val/, test/"),
}
"""Layouts by name; `auto` takes the first that matches, so that a manifest overrules the folders beside it."""


def read(root: Path, layout: str = "auto", resplit: bool = False) -> DataSet:
    """Read the labels of a data set; images stay on disk.

    Args:
        root: the folder, or a manifest's .csv file.
        layout: a name of `READERS`, or `auto`.
        resplit: forget the splits the data set comes with, so that `trainer.data.split.assign` makes all three
            (an MVTec-style set has no train defects as published, so a supervised build needs this).

    Raises:
        DataError: missing root, unknown or unrecognisable layout, no images, or labels that cannot be read.
    """
    root = Path(root).absolute()
    if not root.exists():
        raise DataError(
            f"{root} does not exist: point to a folder of labelled images, or make one with "
            "`inandout-train data fetch ksdd2` or `inandout-train data synth data`"
        )
    if layout != "auto" and layout not in READERS:
        raise DataError(f"unknown layout {layout!r}: use auto, {', '.join(READERS)}")
    try:
        name = _detect(root) if layout == "auto" else layout
        samples = sorted(READERS[name].read(root), key=lambda sample: sample.path)
    except OSError as error:
        raise DataError(f"cannot read {error.filename or root}: {error.strerror}; check its permissions") from error
    if not samples:
        raise DataError(f"{root} holds no labelled images in the layout {name} ({READERS[name].shape})")
    if resplit:
        samples = [replace(sample, split="") for sample in samples]
    return DataSet(root=root.parent if root.is_file() else root, layout=name, samples=tuple(samples))


def _detect(root: Path) -> str:
    for name, reader in READERS.items():
        if reader.matches(root):
            return name
    shapes = "; ".join(f"{name}: {reader.shape}" for name, reader in READERS.items())
    below = [child.name for child in sorted(root.glob("*/")) if any(r.matches(child) for r in READERS.values())]
    hint = f"; one level down there is one: {', '.join(below[:5])}" if below else ""
    raise DataError(f"{root} is in none of the known layouts{hint}. Known layouts: {shapes}")
