"""Draws orders in a background thread, one image after the other, and says how far it is."""

import hashlib
import logging
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, Lock
from typing import Literal

from inspector import atomic
from inspector.errors import InandoutError, SinkError
from inspector.preprocess import Image
from trainer.augment import SyntheticImage
from trainer.data.newfolder import write_png
from trainer.review.painter import Order, Painter
from trainer.review.run_folder import FOLDER
from trainer.review.store import NewImage, ReviewStore

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the studio is.

    Attributes:
        state: `loading` the generator, `idle`, `drawing`, `stopping` after the image in hand, or `broken`: the
            generator could not be loaded.
        batch: the order in hand, or the last one; None before the first.
        drawn, wanted: images of that order.
        problem: why the last order, or the loading, failed; empty where it did not.
    """

    state: Literal["loading", "idle", "drawing", "stopping", "broken"]
    batch: int | None = None
    drawn: int = 0
    wanted: int = 0
    problem: str = ""


class Studio:
    """One generator, one thread, one order at a time. `close` it, or use it in a `with` block.

    Args:
        painter: the generator; it is made ready in the background.
        run: the run's folder; pictures go to `review/images/`, regions to `review/regions/`.
        store: the review store's file.
    """

    def __init__(self, painter: Painter, run: Path, store: Path) -> None:
        self._painter = painter
        self._run = run
        self._store = store
        self._lock = Lock()
        self._stop = Event()
        self._progress = Progress("loading")
        self._thread = ThreadPoolExecutor(1, "studio")
        self._thread.submit(painter.get_ready).add_done_callback(self._ready)

    def __enter__(self) -> "Studio":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def progress(self) -> Progress:
        """How far it is."""
        with self._lock:
            return self._progress

    def draw(self, order: Order) -> None:
        """Start an order.

        Raises:
            InandoutError: the order cannot be drawn as it is, or another one is in hand.
        """
        order = self._painter.checked(order)
        with self._lock:
            if self._progress.state != "idle":
                reason = self._progress.problem or f"the generator is {self._progress.state}: wait for it"
                raise InandoutError(f"nothing drawn: {reason}")
            self._progress = Progress("drawing", wanted=order.wanted)
            self._stop.clear()
        self._thread.submit(self._work, order).add_done_callback(self._finished)

    def stop(self) -> None:
        """Draw no further image; the one in hand is finished."""
        with self._lock:
            if self._progress.state == "drawing":
                self._progress = replace(self._progress, state="stopping")
                self._stop.set()

    def close(self) -> None:
        """Stop, and wait for the image in hand."""
        self._stop.set()
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _work(self, order: Order) -> None:
        with ReviewStore(self._store) as store:
            batch = self._begin(order, store)
            for index in range(order.wanted):
                if self._stop.is_set():
                    return
                image = self._painter.draw(order, index)
                store.add(batch, self._save(image, f"{batch:05d}_{index:03d}", order, index))
                with self._lock:
                    self._progress = replace(self._progress, drawn=index + 1)

    def _begin(self, order: Order, store: ReviewStore) -> int:
        normal = None if order.normal is None else str(self._painter.folder.normals[order.normal])
        region = None
        if order.region is not None:
            region = f"{FOLDER}/regions/{hashlib.sha256(order.region.tobytes()).hexdigest()[:16]}.png"
            _write(self._run / region, order.region)
        batch = store.start_batch(self._painter.name, order.wanted, order.seed, order.prompt, normal, region)
        with self._lock:
            self._progress = replace(self._progress, batch=batch)
        return batch

    def _save(self, image: SyntheticImage, name: str, order: Order, index: int) -> NewImage:
        path, mask = f"{FOLDER}/images/{name}.png", f"{FOLDER}/images/{name}_mask.png"
        if image.mask is not None:
            _write(self._run / mask, image.mask)
        sha256 = _write(self._run / path, image.pixels)
        return NewImage(
            path=path,
            mask=None if image.mask is None else mask,
            sha256=sha256,
            split="train",
            prompt=order.prompt,
            seed=image.provenance.get("seed", order.seed + index),
            source=image.provenance.get("source"),
            provenance=image.provenance,
        )

    def _ready(self, done: Future[None]) -> None:
        problem = _problem(done)
        with self._lock:
            self._progress = Progress("broken", problem=problem) if problem else Progress("idle")

    def _finished(self, done: Future[None]) -> None:
        with self._lock:
            self._progress = replace(self._progress, state="idle", problem=_problem(done))


def _write(path: Path, pixels: Image) -> str:
    """Write a picture that is whole or not there, and on the disk; returns the file's SHA-256."""
    temporary = path.with_name(f".{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_png(temporary, pixels)
        atomic.sync(temporary)
        digest = hashlib.sha256(temporary.read_bytes()).hexdigest()
        temporary.replace(path)
        atomic.sync(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise SinkError(f"cannot write {path}: {error.strerror}; free some space and draw again") from error
    return digest


def _problem(done: "Future[None]") -> str:
    """Why a background task failed, for the page; an error that nobody foresaw goes to the log with its trace."""
    if done.cancelled():
        return ""
    error = done.exception()
    if error is None:
        return ""
    if not isinstance(error, InandoutError):
        logger.error("the generator failed", exc_info=error)
        return f"the generator failed: {type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
    return str(error)
