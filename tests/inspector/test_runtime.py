"""The line on scripted sources: order, counting, failure, stopping, and commit before anyone hears of a verdict."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from inspector import backends, runtime
from inspector.errors import SinkError, SourceError
from inspector.frames import Frame
from inspector.judge import Judge
from inspector.runtime import inspect
from inspector.store import VerdictStore


class Scripted:
    """A source that delivers the given frames, then ends, fails or waits to be closed."""

    name = "scripted"

    def __init__(self, frames: list[Frame], live: bool = False, end: str = "ends") -> None:
        self.live = live
        self.closed = threading.Event()
        self._frames, self._end = frames, end

    def frames(self) -> Iterator[Frame]:
        yield from self._frames
        if self._end == "fails":
            raise SourceError("the cable is out")
        if self._end == "hangs":
            self.closed.wait(60)

    def close(self) -> None:
        self.closed.set()


@pytest.fixture
def line(tiny_bundle, tmp_path: Path):
    """Run the line on a source and return `(summary, verdicts heard, store)`."""
    made = tiny_bundle()
    judge = Judge(made, backends.create("onnxruntime", made, 1))

    def run(source: Scripted, policy: str = "every", emit=None, stop=None, max_frames: int | None = None):
        heard = []
        with VerdictStore(tmp_path / "v.sqlite") as store:
            summary = inspect(
                source,
                judge,
                store,
                emit or (lambda number, verdict: heard.append((number, verdict))),
                stop or threading.Event(),
                policy,
                max_frames,
            )
            return summary, heard, list(store.read())

    return run


def test_every_frame_of_a_recording_is_judged_in_order(line, frame, tiny) -> None:
    frames = [frame(tiny.image(darkest=n * 4), frame_id=n) for n in range(60)]
    source = Scripted(frames)
    summary, heard, stored = line(source)
    assert [verdict.frame_id for _, verdict in heard] == list(range(60))
    assert heard == stored
    assert (summary.taken, summary.dropped, summary.missed, summary.failure) == (60, 0, 0, None)
    assert summary.counts == {"defect": 32, "ok": 28}  # grey 4 * 31 = 124 is below the middle, 4 * 32 = 128 is not
    assert 0 <= summary.p50_ms <= summary.p95_ms and source.closed.is_set()


@pytest.mark.parametrize("policy", ["latest", "every"])
def test_live_frames_are_judged_or_counted_as_dropped(line, frame, policy: str) -> None:
    summary, heard, _ = line(Scripted([frame(frame_id=n) for n in range(300)], live=True), policy)
    ids = [verdict.frame_id for _, verdict in heard]
    assert ids == sorted(set(ids))
    assert summary.taken == 300 == len(ids) + summary.dropped
    assert policy == "every" or ids[-1] == 299  # the newest is never the one that is dropped


def test_gaps_are_counted(line, frame) -> None:
    summary, heard, _ = line(Scripted([frame(frame_id=n) for n in (0, 1, 5, 6, 10)]))
    assert (summary.missed, len(heard)) == (6, 5)


def test_bad_frames_are_invalid_and_the_line_goes_on(line, frame) -> None:
    frames = [
        frame(frame_id=0),
        frame(frame_id=1, complete=False),
        frame(np.zeros((0, 0), np.uint8), 2),
        frame(frame_id=3),
    ]
    summary, heard, _ = line(Scripted(frames))
    assert [verdict.kind for _, verdict in heard] == ["ok", "invalid", "invalid", "ok"]
    assert summary.counts == {"ok": 2, "invalid": 2}


def test_what_came_before_a_failure_is_judged(line, frame) -> None:
    source = Scripted([frame(frame_id=n) for n in range(10)], live=False, end="fails")
    summary, heard, stored = line(source)
    assert len(heard) == len(stored) == 10
    assert isinstance(summary.failure, SourceError) and source.closed.is_set()


def test_committed_before_it_is_heard(line, frame, tmp_path: Path) -> None:
    import sqlite3

    def emit(number, verdict) -> None:
        reader = sqlite3.connect(tmp_path / "v.sqlite")
        assert reader.execute("SELECT max(id) FROM verdicts").fetchone() == (number,)
        reader.close()

    assert line(Scripted([frame(frame_id=n) for n in range(5)]), emit=emit)[0].counts == {"ok": 5}


def test_stop_judges_what_is_queued(line, frame) -> None:
    """A live source under `every`: the stop comes while frames wait; all that were taken are judged or counted."""
    stop, heard = threading.Event(), []

    def emit(number, verdict) -> None:
        heard.append(verdict.frame_id)
        if len(heard) == 3:
            stop.set()

    summary, _, stored = line(Scripted([frame(frame_id=n) for n in range(1000)]), emit=emit, stop=stop)
    assert heard == list(range(summary.taken)) and 3 <= summary.taken < 1000
    assert len(stored) == summary.taken and summary.dropped == 0


def test_frame_that_arrives_with_the_stop_is_judged(line, frame) -> None:
    stop = threading.Event()

    class Stopping(Scripted):
        def frames(self):
            yield frame(frame_id=0)
            stop.set()
            yield frame(frame_id=1)
            yield frame(frame_id=2)

    summary, heard, _ = line(Stopping([], live=True), stop=stop)
    assert [verdict.frame_id for _, verdict in heard] == [0, 1] and summary.taken == 2


def test_stop_leaves_a_hanging_source_behind(line, frame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_GRACE_SECONDS", 0.05)
    stop = threading.Event()
    source = Scripted([frame()], live=True, end="hangs")
    summary, _, stored = line(source, emit=lambda number, verdict: stop.set(), stop=stop)
    source.close()
    assert (summary.taken, len(stored)) == (1, 1)


def test_store_failure_stops_the_line_unheard(line, frame, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self, verdicts):
        raise SinkError("the disk is full")

    monkeypatch.setattr(VerdictStore, "append", refuse)
    heard = []
    source = Scripted([frame(frame_id=n) for n in range(100)])
    with pytest.raises(SinkError):
        line(source, emit=lambda *verdict: heard.append(verdict))
    assert heard == [] and source.closed.is_set()


def test_max_frames(line, frame) -> None:
    summary, heard, _ = line(Scripted([frame(frame_id=n) for n in range(10)]), max_frames=4)
    assert (summary.taken, len(heard)) == (4, 4)
