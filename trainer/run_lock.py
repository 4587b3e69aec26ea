"""One build at a time in a run folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from inspector.errors import SinkError


@contextmanager
def exclusive(run: Path) -> Iterator[None]:
    """Hold the folder's lock; it is released when the process ends, however it ends.

    Raises:
        SinkError: another build works there, or the folder cannot be made.
    """
    try:
        run.mkdir(parents=True, exist_ok=True)
        lock = FileLock(run / ".lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise SinkError(f"another build is working in {run}: wait for it, or choose another --output") from None
    except OSError as error:
        raise SinkError(f"cannot write to {run}: {error.strerror}; choose another --output") from error
    try:
        yield
    finally:
        lock.release()
