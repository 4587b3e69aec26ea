"""Replace files and folders so that a reader, or a crash, sees the old one or the new one, never half of either."""

import ctypes
import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """Write the next content of a text file; it takes the file's place, synced to disk, when the block ends well.

    Lines end as written (`newline=""`, as the csv module wants). When the block raises, the old file stays and
    nothing else is left behind.

    Raises:
        OSError: the disk refuses.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
        sync(path.parent)
    finally:
        with suppress(OSError):
            temporary.unlink()


def swap_in(folder: Path, destination: Path) -> None:
    """Put `folder` in the place of `destination`, which is deleted where it existed; both on one file system.

    Raises:
        OSError: the disk refuses; `destination` is then as it was.
    """
    if not destination.exists():
        folder.rename(destination)
    else:
        _exchange(folder, destination)
        shutil.rmtree(folder, ignore_errors=True)
    sync(destination.parent)


def sync(path: Path) -> None:
    """Have the kernel write a file or a folder's entries to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _exchange(one: Path, other: Path) -> None:
    """Swap two folders' names: in one step where the file system can (Linux renameat2), else in three."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is not None:
        if rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
            return
        code = ctypes.get_errno()
        if code not in (errno.EINVAL, errno.ENOSYS):
            raise OSError(code, os.strerror(code), str(other))
    aside = one.with_name(f"{one.name}.old")
    other.rename(aside)
    one.rename(other)
    aside.rename(one)
