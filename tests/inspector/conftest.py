"""Fixtures of the inspector's tests: a folder to start in, the command line as a real process, and frames."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest

from inspector.frames import Frame

PROGRAM = [sys.executable, "-c", "from inspector.cli import main; main()"]


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., subprocess.Popen]:
    """Start `inandout-inspect` in `tmp_path`: `start(*arguments, **popen_options)`."""

    def run(*arguments: object, **options: object) -> subprocess.Popen:
        environment = {key: value for key, value in os.environ.items() if key != "INANDOUT_BUNDLE"}
        environment["OMP_NUM_THREADS"] = "1"
        settings = {
            "cwd": tmp_path, "env": environment, "text": True, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE
        }  # fmt: skip
        return subprocess.Popen([*PROGRAM, *map(str, arguments)], **(settings | options))

    return run


@pytest.fixture
def inspect_cli(start) -> Callable[..., subprocess.CompletedProcess]:
    """Run `inandout-inspect` to its end and return its exit code and output."""

    def run(*arguments: object, **options: object) -> subprocess.CompletedProcess:
        process = start(*arguments, **options)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    return run


@pytest.fixture
def here(tiny, tiny_bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `bundle` and `images/part.png`, which command lines start in."""
    tiny_bundle()
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "part.png"), tiny.image())
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("INANDOUT_BUNDLE", raising=False)
    return tmp_path


@pytest.fixture
def frame() -> Callable[..., Frame]:
    """Factory `frame(pixels=grey 32 x 48, frame_id=0, complete=True)`."""

    def make(pixels: np.ndarray | None = None, frame_id: int = 0, complete: bool = True) -> Frame:
        pixels = np.full((48, 32), 220, np.uint8) if pixels is None else pixels
        return Frame(pixels, frame_id, "test", datetime.now(UTC), time.monotonic_ns(), complete)

    return make
