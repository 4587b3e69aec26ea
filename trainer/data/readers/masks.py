"""Labels from defect masks, read one at a time."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from inspector import imagefile
from inspector.errors import DataError
from trainer.data.readers.files import refuse_all


def marks_defect(mask: Path) -> bool:
    """Whether any pixel of a mask is non-zero.

    Raises:
        DataError: the mask cannot be read.
    """
    return bool(imagefile.read(mask).any())


def labels(root: Path, masks: Iterable[Path]) -> list[int]:
    """The label of each mask: 1 where any pixel is non-zero, else 0.

    Raises:
        DataError: masks that cannot be read, all of them in one message.
    """

    def label(mask: Path) -> int | str:
        try:
            return int(marks_defect(mask))
        except DataError as error:
            return str(error)

    with ThreadPoolExecutor() as pool:
        found = list(pool.map(label, masks))
    refuse_all(f"labels of {root} come from masks that cannot be read", [f for f in found if isinstance(f, str)])
    return [f for f in found if isinstance(f, int)]
