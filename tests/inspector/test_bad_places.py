"""Places that cannot be read or written, of the inspector's command line: no permission, and full disks.

Every case is a real process: one clear line, exit code 1, nothing half-written.
"""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

SCORE = ("score", "images", "--bundle", "bundle")
RUN = ("--bundle", "bundle", "--camera")


@pytest.fixture
def unprivileged() -> dict[str, object]:
    """Options of `Popen` that make file permissions count even for root."""
    if os.geteuid() != 0:
        return {}

    def drop() -> None:
        library = ctypes.CDLL(None)
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            if library.prctl(24, capability, 0, 0, 0):  # PR_CAPBSET_DROP
                raise OSError("cannot drop a capability")

    return {"preexec_fn": drop}


NO_PERMISSION = {
    "output folder": ("out", 0o500, (*SCORE, "--output", "out/s.csv"), "cannot write out/s.csv"),
    "store folder": ("out", 0o500, (*SCORE, "--store", "out/s.sqlite"), "cannot use out/s.sqlite"),
    "bundle folder": ("bundle", 0o000, SCORE, "cannot read bundle bundle: Permission denied"),
    "model": ("bundle/model.onnx", 0o000, SCORE, "cannot read bundle file bundle/model.onnx: Permission denied"),
    "image": ("images/part.png", 0o000, SCORE, "1 of 1 images could not be scored"),
    "image folder": ("images", 0o000, SCORE, "cannot list images: Permission denied"),
    "verdict store": ("out", 0o500, (*RUN, "belt.avi", "--store", "out/v.sqlite"), "cannot use out/v.sqlite"),
}


@pytest.mark.parametrize(("path", "mode", "arguments", "says"), NO_PERMISSION.values(), ids=NO_PERMISSION)
def test_no_permission(here: Path, inspect_cli, unprivileged, path: str, mode: int, arguments, says: str) -> None:
    (here / "out").mkdir()
    write_video(here / "belt.avi")
    (here / path).chmod(mode)
    done = inspect_cli(*arguments, **unprivileged)
    (here / path).chmod(0o700)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ") and says in done.stderr and done.stderr.count("\n") == 1
    assert not list((here / "out").iterdir())


def write_video(path: Path, frames: int = 3) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (32, 48))
    for _ in range(frames):
        writer.write(np.full((48, 32, 3), 220, np.uint8))
    writer.release()


@pytest.fixture
def small_disk(here: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    place = here / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


FULL = {
    "score, from the start": (65_536, (*SCORE, "--output", "disk/s.csv"), set()),
    "score, when the table is written": (26_000, (*SCORE, "--output", "disk/s.csv"), {"s.sqlite"}),
    "run, from the start": (65_536, (*RUN, "belt.avi", "--store", "disk/v.sqlite"), set()),
    "run, in the middle": (0, (*RUN, "belt.avi", "--store", "disk/v.sqlite"), {"v.sqlite"}),
}


@pytest.mark.parametrize(("filled", "arguments", "left"), FULL.values(), ids=FULL)
def test_full_disk(here: Path, inspect_cli, small_disk: Path, filled: int, arguments, left: set[str]) -> None:
    for number in range(150):
        shutil.copyfile(here / "images" / "part.png", here / "images" / f"{number:03}{'x' * 100}.png")
    write_video(here / "belt.avi", frames=100)
    (small_disk / "filler").write_bytes(bytes(filled))
    done = inspect_cli(*arguments)
    assert done.returncode == 1
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ") and "disk" in lines[0]
    assert {path.name for path in small_disk.iterdir()} - {"filler"} - {
        "s.sqlite-wal",
        "v.sqlite-wal",
        "v.sqlite-shm",
    } == left
