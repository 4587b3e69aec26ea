"""Write a folder of files that is either there and whole, or not there at all."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from inspector.atomic import sync
from inspector.errors import DataError, SinkError


@contextmanager
def new_folder(output: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `output`; it takes that name when the block ends without an error.

    Raises:
        DataError: `output` exists and is not an empty folder; nothing is touched.
        SinkError: the disk refuses; nothing is left behind.
    """
    output = output.absolute()
    if output.exists() and not output.is_dir():
        raise DataError(f"{output} is a file: name a new or an empty folder")
    staging: Path | None = None
    try:
        if output.is_dir() and any(output.iterdir()):
            raise DataError(f"{output} is not empty: name a new folder, or delete this one first")
        output.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
        staging.chmod(0o755)
        yield staging
        staging.rename(output)
        sync(output.parent)
    except OSError as error:
        raise SinkError(f"cannot write {output}: {error.strerror or error}; free some space or name another") from error
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)


def write_png(path: Path, pixels: npt.NDArray[np.uint8]) -> None:
    """Write an `(H, W)` mono or `(H, W, 3)` RGB picture; raises OSError when the disk refuses."""
    picture = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    path.write_bytes(encoded.tobytes())
