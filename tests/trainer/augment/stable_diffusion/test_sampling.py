"""Drawing in batches that shrink where memory is short."""

import logging

import pytest
import torch

from inspector.errors import InandoutError
from trainer.augment.stable_diffusion import sampling


class Memory:
    """A device that holds so many images at once."""

    def __init__(self, room: int) -> None:
        self.room, self.sizes = room, []

    def draw(self, jobs):
        self.sizes.append(len(jobs))
        if len(jobs) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return [job * 10 for job in jobs]


def test_out_of_memory_halves_the_batch_for_good(caplog):
    memory, batches = Memory(room=2), sampling.Batches(8, "key")
    with caplog.at_level(logging.WARNING):
        assert list(batches.run(range(9), memory.draw)) == [job * 10 for job in range(9)]
    assert memory.sizes == [8, 4, 2, 2, 2, 2, 1]
    assert [record.getMessage() for record in caplog.records] == [
        "out of memory while drawing: going on with 4 image(s) at once",
        "out of memory while drawing: going on with 2 image(s) at once",
    ]
    assert list(batches.run([1], memory.draw)) == [10]


def test_out_of_memory_for_one_image_is_one_line():
    with pytest.raises(InandoutError, match="single image"):
        list(sampling.Batches(2, "key").run([1, 2], Memory(room=0).draw))


def test_any_other_failure_is_not_taken_for_memory():
    def draw(jobs):
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        list(sampling.Batches(2, "key").run([1], draw))
