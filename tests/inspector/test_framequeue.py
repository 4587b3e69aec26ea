"""What each policy does with a full queue, and that nothing is lost uncounted."""

import threading
import time

import pytest

from inspector.framequeue import FrameQueue


def drain(queue: FrameQueue) -> list[int]:
    taken = []
    while (frame := queue.get(0)) is not None:
        taken.append(frame.frame_id)
    return taken


@pytest.mark.parametrize(
    ("overflow", "capacity", "kept"),
    [
        ("replace", 1, [4]),
        ("replace", 3, [2, 3, 4]),
        ("refuse", 1, [0]),
        ("refuse", 3, [0, 1, 2]),
        ("refuse", 5, [0, 1, 2, 3, 4]),
    ],
)
def test_overflow(frame, overflow, capacity: int, kept: list[int]) -> None:
    queue = FrameQueue(capacity, overflow)
    for number in range(5):
        queue.put(frame(frame_id=number))
    assert queue.dropped == 5 - len(kept)
    assert drain(queue) == kept


def test_block_waits_for_room(frame) -> None:
    queue = FrameQueue(2, "block")
    producer = threading.Thread(target=lambda: [queue.put(frame(frame_id=n)) for n in range(50)] and queue.close())
    producer.start()
    taken = []
    while not queue.finished:
        got = queue.get(1)
        if got is not None:
            taken.append(got.frame_id)
    producer.join(5)
    assert (taken, queue.dropped) == (list(range(50)), 0)


def test_close_frees_a_blocked_producer_and_counts_its_frame(frame) -> None:
    queue = FrameQueue(1, "block")
    queue.put(frame(frame_id=0))
    producer = threading.Thread(target=queue.put, args=(frame(frame_id=1),))
    producer.start()
    queue.close()
    producer.join(5)
    assert not producer.is_alive()
    assert (drain(queue), queue.dropped, queue.finished) == ([0], 1, True)


def test_close_wakes_a_waiting_consumer() -> None:
    queue = FrameQueue(1, "replace")
    closer = threading.Timer(0.05, queue.close)
    closer.start()
    started = time.monotonic()
    assert queue.get(30) is None
    assert time.monotonic() - started < 25


def test_nothing_is_lost_uncounted_under_load(frame) -> None:
    queue = FrameQueue(2, "replace")

    def produce() -> None:
        for number in range(2000):
            queue.put(frame(frame_id=number))
        queue.close()

    threading.Thread(target=produce).start()
    taken = []
    while not queue.finished:
        got = queue.get(1)
        if got is not None:
            taken.append(got.frame_id)
    assert len(taken) + queue.dropped == 2000
    assert taken == sorted(set(taken)) and taken[-1] == 1999
