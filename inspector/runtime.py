"""The line: capture in one thread, judging in another, every verdict durable before anyone hears of it."""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from inspector.capture import Capture
from inspector.framequeue import FrameQueue, Overflow
from inspector.frames import Verdict
from inspector.judge import Judge
from inspector.sources import Source
from inspector.store import VerdictStore

_log = logging.getLogger(__name__)

Policy = Literal["latest", "every"]
_EVERY_CAPACITY = 16
_POLL_SECONDS = 0.2
# After a stop is asked for, a source that hangs in a read is waited for this long, then left behind.
_GRACE_SECONDS = 3.0
_LATENCIES_KEPT = 100_000


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run did; `taken == verdicts + dropped`.

    Attributes:
        taken: frames the source delivered.
        counts: verdicts by kind.
        dropped: frames the queue had no room for.
        missed: frames the source lost on its own, seen as gaps in its frame ids.
        p50_ms, p95_ms: latency from capture to decision, over the last 100,000 verdicts; nan without any.
        seconds: wall time.
        failure: what the source raised, or None; the frames it delivered before were judged.
    """

    taken: int
    counts: dict[str, int]
    dropped: int
    missed: int
    p50_ms: float
    p95_ms: float
    seconds: float
    failure: Exception | None


def inspect(
    source: Source,
    judge: Judge,
    store: VerdictStore,
    emit: Callable[[int, Verdict], None],
    stop: threading.Event,
    policy: Policy,
    max_frames: int | None = None,
) -> Summary:
    """Judge frames until the source ends or `stop` is set; frames queued by then are still judged.

    Args:
        source: closed on return.
        judge: one thread uses it.
        store: commits each verdict before `emit` sees it.
        emit: called with the verdict's id and the verdict.
        stop: set it, from a signal handler or another thread, for a clean end.
        policy: `latest` keeps one waiting frame, the newest; `every` keeps up to 16, and when these are full makes a
            recording wait and drops what a live camera delivers.
        max_frames: end after so many frames of the source.

    Raises:
        SinkError: a verdict could not be stored; it was not emitted.
    """
    started = time.monotonic()
    overflow: Overflow = "replace" if policy == "latest" else "refuse" if source.live else "block"
    queue = FrameQueue(1 if policy == "latest" else _EVERY_CAPACITY, overflow)
    capture = Capture(source, queue, stop, max_frames)
    counts: Counter[str] = Counter()
    latencies: deque[float] = deque(maxlen=_LATENCIES_KEPT)
    capture.start()
    try:
        while not queue.finished:
            frame = queue.get(_POLL_SECONDS)
            if frame is not None:
                verdict = judge.judge(frame)
                (number,) = store.append([verdict])
                counts[verdict.kind] += 1
                latencies.append(verdict.latency_ms)
                emit(number, verdict)
            elif stop.is_set():
                capture.join(_GRACE_SECONDS)
                queue.close()
    finally:
        stop.set()
        queue.close()
        _end(capture, source)
    p50, p95 = np.percentile(latencies, (50, 95)) if latencies else (np.nan, np.nan)
    return Summary(
        taken=capture.taken,
        counts=dict(counts),
        dropped=queue.dropped,
        missed=capture.missed,
        p50_ms=float(p50),
        p95_ms=float(p95),
        seconds=time.monotonic() - started,
        failure=capture.failure,
    )


def _end(capture: Capture, source: Source) -> None:
    capture.join(_GRACE_SECONDS)
    if capture.is_alive():
        _log.warning("%s does not answer: left behind in a read", source.name)
    else:
        source.close()
