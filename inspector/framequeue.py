"""The bounded queue between capture and judging, with a stated policy for when it is full."""

import threading
from collections import deque
from typing import Literal

from inspector.frames import Frame

Overflow = Literal["replace", "block", "refuse"]


class FrameQueue:
    """Hands frames from one thread to another; what it drops it counts.

    Args:
        capacity: frames held at most, >= 1.
        overflow: when full, `replace` drops the oldest for the newest, `block` makes `put` wait, `refuse` drops the
            one that arrives.
    """

    def __init__(self, capacity: int, overflow: Overflow) -> None:
        self.dropped = 0
        self._capacity = capacity
        self._overflow = overflow
        self._frames: deque[Frame] = deque()
        self._closed = False
        self._changed = threading.Condition()

    def put(self, frame: Frame) -> None:
        """Add a frame by the policy; on a closed queue it counts as dropped."""
        with self._changed:
            while self._overflow == "block" and len(self._frames) >= self._capacity and not self._closed:
                self._changed.wait()
            if self._closed:
                self.dropped += 1
                return
            if len(self._frames) >= self._capacity:
                self.dropped += 1
                if self._overflow == "refuse":
                    return
                self._frames.popleft()
            self._frames.append(frame)
            self._changed.notify_all()

    def get(self, timeout: float) -> Frame | None:
        """The oldest frame, or None when none comes within `timeout` seconds or the queue is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._frames or self._closed, timeout)
            if not self._frames:
                return None
            frame = self._frames.popleft()
            self._changed.notify_all()
            return frame

    def close(self) -> None:
        """Take no more frames; those inside can still be had."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def finished(self) -> bool:
        """Whether it is closed and empty."""
        with self._changed:
            return self._closed and not self._frames
