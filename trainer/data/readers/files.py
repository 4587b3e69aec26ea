"""Find image files in folders, and tell images from the masks that lie beside them."""

from collections.abc import Iterable
from pathlib import Path

from inspector.errors import DataError
from inspector.listing import images_in

MASK_ENDINGS = ("_mask", "_GT", "_gt", "_label")
_SHOWN = 20


def images(folder: Path) -> list[Path]:
    """All image files below a folder, sorted; none where there is no such folder.

    Raises:
        DataError: a folder inside cannot be listed.
    """
    if not folder.is_dir():
        return []
    problems: list[str] = []
    found = sorted(entry.path for entry in images_in(folder, problems.append))
    refuse_all(f"{folder} cannot be read whole", problems)
    return found


def is_mask(path: Path) -> bool:
    """Whether the name marks a file as a mask rather than an image."""
    return path.stem.endswith(MASK_ENDINGS)


def with_masks(files: Iterable[Path]) -> list[tuple[Path, Path | None]]:
    """Pair each image with the mask beside it (`a.jpg` with `a_mask.png`, `a_GT.png`, ...), if there is one."""
    files = list(files)
    masks = {(path.parent, path.stem): path for path in files if is_mask(path)}
    return [
        (path, next((masks[key] for end in MASK_ENDINGS if (key := (path.parent, path.stem + end)) in masks), None))
        for path in files
        if not is_mask(path)
    ]


def subfolders(folder: Path) -> list[Path]:
    """The visible folders directly inside a folder, sorted; empty where it is no folder."""
    if not folder.is_dir():
        return []
    return sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))


def refuse_all(what: str, problems: list[str]) -> None:
    """Raise one DataError that lists every problem (the first 20 in words), or do nothing where there is none."""
    if problems:
        more = [f"... and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        raise DataError(f"{what}: {'; '.join([*problems[:_SHOWN], *more])}")
