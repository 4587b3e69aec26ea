"""How training ends before its time: signals, and loader processes that die."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from inspector.errors import InandoutError


class Interrupted(InandoutError):
    """Training was asked to stop; its state is on the disk."""


@contextmanager
def stop_requested() -> Iterator[Callable[[], bool]]:
    """Turn SIGINT and SIGTERM into a flag that the loop asks between steps; a second signal acts at once."""
    asked = False
    previous: dict[int, Any] = {}

    def remember(number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        signal.signal(number, previous[number])

    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            previous[number] = signal.signal(number, remember)
        except ValueError:  # not the main thread: signals are someone else's business
            break
    try:
        yield lambda: asked
    finally:
        for restored, handler in previous.items():
            signal.signal(restored, handler)


@contextmanager
def loader_deaths(stop: Callable[[], bool]) -> Iterator[None]:
    """A loader worker that dies, of a signal to the whole process group or for want of memory, is one line.

    The loader raises wherever the main thread happens to be.
    """
    try:
        yield
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        if stop():
            raise Interrupted("interrupted; run the same command to go on from the last checkpoint") from None
        raise InandoutError(
            f"a loader process died ({error}): is memory short? Lower train.workers and run the same command to go on"
        ) from None
