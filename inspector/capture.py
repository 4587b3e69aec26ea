"""The thread that takes frames from a source into the queue, and notices the ones that never came."""

import logging
import threading

from inspector.framequeue import FrameQueue
from inspector.sources import Source

_log = logging.getLogger(__name__)


class Capture(threading.Thread):
    """Runs until the source ends, `stop` is set, or `max_frames` were taken; then closes the queue.

    Attributes:
        taken: frames the source delivered.
        missed: frames the source lost on its own, seen as gaps in the frame ids.
        failure: what the source raised, or None.
    """

    def __init__(self, source: Source, queue: FrameQueue, stop: threading.Event, max_frames: int | None = None) -> None:
        super().__init__(name="capture", daemon=True)
        self.taken = 0
        self.missed = 0
        self.failure: Exception | None = None
        self._source = source
        self._queue = queue
        self._stop_asked = stop
        self._max_frames = max_frames

    def run(self) -> None:
        """Thread body."""
        try:
            self._take()
        except Exception as failure:  # noqa: BLE001 (the judging thread reports it)
            self.failure = failure
        finally:
            self._queue.close()

    def _take(self) -> None:
        last_id: int | None = None
        for frame in self._source.frames():
            gap = 0 if last_id is None else frame.frame_id - last_id - 1
            if gap > 0:
                self.missed += gap
                _log.warning("%s lost %d frames before frame %d", frame.source, gap, frame.frame_id)
            last_id = frame.frame_id
            self.taken += 1
            self._queue.put(frame)
            if self._stop_asked.is_set() or self.taken == self._max_frames:
                return
