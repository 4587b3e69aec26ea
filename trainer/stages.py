"""Named build stages: each has a folder, a fingerprint of its inputs, and an atomic finish."""

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inspector import atomic
from inspector.errors import SinkError

logger = logging.getLogger(__name__)
_DONE = "done.json"
_INPUTS = "inputs.json"


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished stage: its folder, the fingerprint later stages build on, and the seconds it took."""

    folder: Path
    fingerprint: str
    seconds: float


def digest(document: Any) -> str:
    """SHA-256 of a JSON-serialisable document in canonical form."""
    return hashlib.sha256(json.dumps(document, sort_keys=True, default=str).encode()).hexdigest()


def write_json(path: Path, document: Any) -> None:
    """Write JSON atomically: a reader sees the old file or the whole new one."""
    try:
        with atomic.replacing(path) as handle:
            json.dump(document, handle, indent=1)
    except OSError as error:
        raise SinkError(f"cannot write {path}: {error.strerror}; free some space or choose another --output") from error


def read_json(path: Path) -> Any:
    """Read a JSON file that a stage wrote."""
    return json.loads(path.read_text(encoding="utf-8"))


def finished(root: Path, name: str, inputs: Any) -> bool:
    """Whether a stage is done with just these inputs, so that `run` would reuse it."""
    done = root / name / _DONE
    return done.is_file() and read_json(done)["fingerprint"] == digest(inputs)


def run(root: Path, name: str, inputs: Any, work: Callable[[Path], None]) -> Finished:
    """Run one stage, or reuse it when it finished with the same inputs.

    An unfinished folder of the same inputs is kept, so that `work` can go on where it was stopped; one of other
    inputs is removed first.

    Args:
        root: the run's folder.
        name: the stage's name and folder.
        inputs: JSON-serialisable, everything the outcome depends on (earlier stages by their fingerprint).
        work: fills the folder; called only when needed.

    Raises:
        SinkError: the folder cannot be written.
    """
    folder = root / name
    fingerprint = digest(inputs)
    if finished(root, name, inputs):
        logger.info("%s: unchanged, reused", name)
        return Finished(folder, fingerprint, read_json(folder / _DONE)["seconds"])
    try:
        known = (folder / _INPUTS).is_file() and digest(read_json(folder / _INPUTS)) == fingerprint
        if folder.exists() and not known:
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise SinkError(f"cannot prepare {folder}: {error}; choose another --output") from error
    write_json(folder / _INPUTS, json.loads(json.dumps(inputs, default=str)))
    logger.info("%s: %s", name, "continued" if known else "started")
    begun = time.monotonic()
    try:
        work(folder)
    except OSError as error:
        raise SinkError(f"stage {name} could not write to {folder}: {error}; free some space and run again") from error
    seconds = time.monotonic() - begun
    write_json(folder / _DONE, {"fingerprint": fingerprint, "seconds": seconds})
    return Finished(folder, fingerprint, seconds)
