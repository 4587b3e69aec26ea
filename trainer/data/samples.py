"""The one description of a labelled image that readers make and every later stage uses."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Split = Literal["train", "val", "test", ""]


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled image; pixels stay on disk.

    Attributes:
        path: absolute path of the image file.
        label: 0 good, 1 defect.
        split: `train`, `val`, `test`, or empty where the data set leaves it open.
        group: images of one group (same part, near-duplicates) never straddle splits; empty: on its own.
        mask: defect mask file (non-zero = defect), or None.
        defect_type: the data set's own name of the defect, empty for good images or where unknown.
    """

    path: Path
    label: int
    split: Split = ""
    group: str = ""
    mask: Path | None = None
    defect_type: str = ""


@dataclass(frozen=True, slots=True)
class DataSet:
    """A folder of labelled images.

    Attributes:
        root: the folder.
        layout: name of the reader that understood it (`ksdd2`, `ksdd`, `mvtec`, `folders`, `manifest`).
        samples: sorted by path.
    """

    root: Path
    layout: str
    samples: Sequence[Sample]
