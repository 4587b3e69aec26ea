import pytest

from trainer import out_of_memory


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("CUDA out of memory. Tried to allocate 2.00 GiB", True),
        ("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory: you tried ...", True),
        ("mat1 and mat2 shapes cannot be multiplied", False),
    ],
    ids=["device", "host", "another failure"],
)
def test_short_memory_is_told_from_other_failures(said, expected):
    assert out_of_memory.ran_out(RuntimeError(said)) is expected
