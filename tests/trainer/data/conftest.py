"""Small pictures on disk, and the real sets where they are at hand."""

import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

Draw = Callable[..., Path]


@pytest.fixture
def draw(tmp_path: Path) -> Draw:
    """`draw("a/b.png", seed=0, size=(40, 24), marked=None, dtype=np.uint8)`: write a picture below `tmp_path`.

    By default a random, smooth texture of its own; with `marked` a mask, black or with a white spot.
    """

    def write(
        name: str, seed: int | None = None, size: tuple[int, int] = (40, 24), marked: bool | None = None, dtype=np.uint8
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if marked is None:
            rng = np.random.default_rng(zlib.crc32(name.encode()) if seed is None else seed)
            pixels = cv2.resize(rng.integers(0, 256, (20, 12), np.uint8), size[::-1], interpolation=cv2.INTER_CUBIC)
            pixels = pixels.astype(dtype) * (257 if dtype == np.uint16 else 1)
        else:
            pixels = np.zeros(size, np.uint8)
            pixels[2:5, 2:5] = 255 * marked
        assert cv2.imwrite(str(path), pixels)
        return path

    return write


@pytest.fixture
def shared() -> Callable[[str], Path]:
    """`shared("ksdd_half")`: a folder of real images, or the test skips."""

    def find(name: str) -> Path:
        path = Path(__file__).resolve().parents[4] / "shared" / "data" / name
        if not path.is_dir():
            pytest.skip(f"real images are not at hand ({name})")
        return path

    return find
