"""Regularisation images: drawn once with the class prompt, cached with their checksums, completed after a stop."""

import hashlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from inspector import atomic
from inspector.errors import SinkError
from trainer.augment import Pixels
from trainer.data.newfolder import write_png
from trainer.stages import read_json, write_json

logger = logging.getLogger(__name__)
RECORD = "record.json"


def complete(
    folder: Path,
    count: int,
    origin: dict[str, Any],
    draw: Callable[[Sequence[int]], Iterator[Pixels]],
    on_image: Callable[[int, int], None] = lambda done, count: None,
) -> list[Path]:
    """Make the images 0 to `count - 1` stand in `folder`, drawing only those that are not there, whole and of `origin`.

    Args:
        folder: made where it is missing. Each image is written whole or not at all; `record.json` keeps its SHA-256.
        count: how many; more of an earlier run stay where they are and are not used.
        origin: JSON-serialisable, all that the images depend on; images of another origin are drawn anew.
        draw: yields the images of the given numbers, in order, `(H, W, 3)` uint8 RGB.
        on_image: called with the images there and `count`.

    Returns:
        The files, in order.

    Raises:
        SinkError: the disk refuses; what was drawn stays, and a further call goes on from there.
    """
    paths = [folder / f"{number:05d}.png" for number in range(count)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        known = _known(folder, origin)
        missing = [number for number, path in enumerate(paths) if not _whole(path, known.get(path.name))]
        on_image(count - len(missing), count)
        for done, (number, pixels) in enumerate(zip(missing, draw(missing), strict=True), start=1):
            known[paths[number].name] = _write(paths[number], pixels)
            write_json(folder / RECORD, {"origin": origin, "sha256": known})
            on_image(count - len(missing) + done, count)
    except OSError as error:
        raise SinkError(
            f"cannot write {folder}: {error.strerror or error}; free some space and run the same command to go on"
        ) from error
    return paths


def _known(folder: Path, origin: dict[str, Any]) -> dict[str, str]:
    """Checksums of the images drawn from this origin."""
    try:
        record = read_json(folder / RECORD)
        return dict(record["sha256"]) if record["origin"] == origin else {}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError):
        logger.warning("%s is damaged: the images beside it are drawn again", folder / RECORD)
        return {}


def _whole(path: Path, checksum: str | None) -> bool:
    if checksum is None or not path.is_file():
        return False
    if hashlib.sha256(path.read_bytes()).hexdigest() == checksum:
        return True
    logger.warning("%s is damaged: drawn again", path)
    return False


def _write(path: Path, pixels: Pixels) -> str:
    """Write an image whole or not at all; return its checksum."""
    staging = path.with_name(f".{path.stem}.{os.getpid()}.png")
    try:
        write_png(staging, pixels)
        checksum = hashlib.sha256(staging.read_bytes()).hexdigest()
        atomic.sync(staging)
        staging.replace(path)
    finally:
        staging.unlink(missing_ok=True)
    return checksum
