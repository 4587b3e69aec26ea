"""Walk a folder for image files, in sorted order, without holding the whole list."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

from inspector.imagefile import SUFFIXES


@dataclass(frozen=True, slots=True)
class Entry:
    """One image file.

    Attributes:
        path: where it lies.
        name: its path relative to the folder, with `/`; bytes that are not UTF-8 are written as `\\xNN`.
        size: in bytes, -1 where it cannot be told (a dangling link).
        mtime_ns: modification time, -1 where it cannot be told.
    """

    path: Path
    name: str
    size: int
    mtime_ns: int


def images_in(root: Path, unreadable: Callable[[str], None], exclude: Sequence[str] = ()) -> Iterator[Entry]:
    """Yield the image files under `root`, sorted by their relative path as a string.

    Only one folder's entries at a time are held. Links to files and folders are followed; a link back to one of its
    own parents is not. Names that start with a dot are skipped.

    Args:
        root: the folder.
        unreadable: called with one clear line for every folder that cannot be listed.
        exclude: shell patterns of file names to leave out, such as `*_GT.png`.
    """
    # One level of open folders a list entry: the names still to visit there, and the folder's identity.
    levels: list[tuple[Iterator[os.DirEntry[str]], tuple[int, int]]] = []

    def enter(folder: str) -> None:
        try:
            status = Path(folder).stat()
            identity = (status.st_dev, status.st_ino)
            if identity not in [above for _, above in levels]:
                levels.append((iter(_sorted_entries(folder)), identity))
        except OSError as error:
            unreadable(f"cannot list {folder}: {error.strerror}")

    enter(str(root))
    while levels:
        entry = next(levels[-1][0], None)
        if entry is None:
            levels.pop()
        elif _is_folder(entry):
            enter(entry.path)
        elif PurePath(entry.name).suffix.lower() in SUFFIXES and not _matches(entry.name, exclude):
            yield _entry(entry, root)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _sorted_entries(folder: str) -> list[os.DirEntry[str]]:
    """The visible entries; a folder sorts as if its name ended in `/`, so the walk is in order of whole paths."""
    with os.scandir(folder) as entries:
        visible = [entry for entry in entries if not entry.name.startswith(".")]
    return sorted(visible, key=lambda entry: f"{entry.name}/" if _is_folder(entry) else entry.name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in circles: reading it as a file will say so
        return False


def _entry(entry: os.DirEntry[str], root: Path) -> Entry:
    try:
        status = entry.stat()
        size, mtime_ns = status.st_size, status.st_mtime_ns
    except OSError:
        size, mtime_ns = -1, -1
    path = Path(entry.path)
    name = os.fsencode(path.relative_to(root).as_posix()).decode("utf-8", "backslashreplace")
    return Entry(path, name, size, mtime_ns)
