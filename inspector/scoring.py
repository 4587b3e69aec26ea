"""Score every image under a folder: decode in threads, judge in batches, keep the order, resume where it stopped."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from inspector import imagefile
from inspector.errors import DataError
from inspector.frames import Frame, Verdict
from inspector.judge import Judge, Prepared
from inspector.listing import Entry, images_in
from inspector.scorebook import Scorebook

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Summary:
    """What a scoring run did.

    Attributes:
        counts: images by verdict, over the whole folder.
        scored: images scored by this run; the others were in the store already.
        seconds: wall time.
        unlisted: folders that could not be listed.
    """

    counts: dict[str, int]
    scored: int
    seconds: float
    unlisted: int


def require_images(root: Path, exclude: Sequence[str] = ()) -> None:
    """Raise `DataError` unless `root` is a folder with at least one image file in it."""
    if not root.is_dir():
        raise DataError(f"{root} is not a folder: give the folder that holds the images")
    problems: list[str] = []
    if next(images_in(root, problems.append, exclude), None) is None:
        kinds = ", ".join(sorted(imagefile.SUFFIXES))
        raise DataError("; ".join(problems) or f"no image under {root}: it should hold files ending in {kinds}")


def score_folder(
    root: Path,
    judge: Judge,
    book: Scorebook,
    output: Path,
    batch: int = 8,
    workers: int = 2,
    exclude: Sequence[str] = (),
    advance: Callable[[int], None] = lambda images: None,
) -> Summary:
    """Score the images under `root` into `book`, then write the CSV.

    At most `2 * batch + workers` images are held at a time. Files that cannot be read become `invalid` rows.

    Args:
        root: the folder, walked recursively.
        judge: of the same bundle as `book`.
        book: the store; what it holds already is not scored again.
        output: the CSV file.
        batch: images a model call, >= 1.
        workers: decoding threads, >= 1.
        exclude: shell patterns of file names to leave out.
        advance: called with the number of images just finished.

    Raises:
        SinkError: results cannot be written; what was scored so far stays in `book`.
    """
    started = time.perf_counter()
    unlisted: list[str] = []

    def skip(problem: str) -> None:
        unlisted.append(problem)
        _log.error("%s", problem)

    scored = 0
    group: list[tuple[Entry, Prepared]] = []
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    try:
        entries = images_in(root, skip, exclude)
        for entry, prepared in _in_order(entries, judge, book, pool, window=2 * batch + workers):
            if prepared is None:
                advance(1)
                continue
            group.append((entry, prepared))
            if len(group) == batch:
                scored += _commit(group, judge, book, advance)
        scored += _commit(group, judge, book, advance)
    finally:
        pool.shutdown(cancel_futures=True)
    return Summary(book.finish(output), scored, time.perf_counter() - started, len(unlisted))


def _in_order(
    entries: Iterator[Entry], judge: Judge, book: Scorebook, pool: ThreadPoolExecutor, window: int
) -> Iterator[tuple[Entry, Prepared | None]]:
    """Prepare entries in the pool, at most `window` ahead, and give them back in order; None: already scored."""
    waiting: deque[tuple[Entry, Future[Prepared] | None]] = deque()
    for number, entry in enumerate(entries):
        waiting.append((entry, None if book.holds(entry) else pool.submit(_prepare, entry, number, judge)))
        if len(waiting) >= window:
            yield _result(*waiting.popleft())
    while waiting:
        yield _result(*waiting.popleft())


def _result(entry: Entry, future: Future[Prepared] | None) -> tuple[Entry, Prepared | None]:
    return entry, None if future is None else future.result()


def _prepare(entry: Entry, number: int, judge: Judge) -> Prepared:
    moment, clock = datetime.now(UTC), time.monotonic_ns()
    try:
        pixels = imagefile.read(entry.path)
    except DataError as error:
        return Prepared(number, entry.name, moment, clock, reason=str(error))
    return judge.prepare(Frame(pixels, number, entry.name, moment, clock))


def _commit(group: list[tuple[Entry, Prepared]], judge: Judge, book: Scorebook, advance: Callable[[int], None]) -> int:
    verdicts: list[Verdict] = judge.decide([prepared for _, prepared in group])
    book.add(zip([entry for entry, _ in group], verdicts, strict=True))
    done = len(group)
    group.clear()
    advance(done)
    return done
