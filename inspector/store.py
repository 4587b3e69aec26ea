"""The durable record of every verdict: a verdict is committed here before anything else sees it."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from inspector import database
from inspector.frames import Verdict

_SCHEMA = database.Schema(
    name="a verdict store",
    application_id=0x494E4F56,
    version=1,
    # AUTOINCREMENT: an id is never given twice, not even after rows were deleted or the process restarted.
    statements="""
        CREATE TABLE verdicts (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            frame_id INTEGER NOT NULL,
            source TEXT NOT NULL,
            captured_at TEXT NOT NULL,
            kind TEXT NOT NULL CHECK (kind IN ('ok', 'defect', 'review', 'invalid')),
            logit REAL,
            probability REAL,
            threshold REAL NOT NULL,
            peak_x INTEGER,
            peak_y INTEGER,
            reason TEXT NOT NULL,
            latency_ms REAL NOT NULL,
            bundle TEXT NOT NULL,
            CHECK ((kind = 'invalid') = (logit IS NULL))
        )
    """,
)
_COLUMNS = (
    "frame_id, source, captured_at, kind, logit, probability, threshold, peak_x, peak_y, reason, latency_ms, bundle"
)


class VerdictStore(database.Closing):
    """Verdicts in an SQLite file, numbered in the order of their arrival across restarts.

    Write-ahead log with `synchronous = FULL`: a part was accepted or rejected by a verdict, so the verdict must
    outlive even a power cut; the price is one disk sync a commit.

    Example:
        with VerdictStore(Path("verdicts.sqlite")) as store:
            (number,) = store.append([verdict])
            for number, verdict in store.read(after=number):
                ...
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file. Raises `SinkError` when it cannot be written or holds something else."""
        self.path = path
        self._connection = database.connect(path, _SCHEMA, synchronous="FULL")

    def append(self, verdicts: Sequence[Verdict]) -> list[int]:
        """Commit verdicts in one transaction and return their ids, strictly increasing.

        Raises:
            SinkError: the disk is full or refuses; none of them is then stored.
        """
        ids = []
        with database.failures_named(self.path), database.transaction(self._connection):
            for verdict in verdicts:
                cursor = self._connection.execute(
                    f"INSERT INTO verdicts ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", _row(verdict)
                )
                assert cursor.lastrowid is not None  # an INSERT sets it
                ids.append(cursor.lastrowid)
        return ids

    def read(self, after: int = 0, limit: int = -1) -> Iterator[tuple[int, Verdict]]:
        """Verdicts with an id above `after`, oldest first, at most `limit` (-1: all), as `(id, verdict)`."""
        with database.failures_named(self.path):
            rows = self._connection.execute(
                f"SELECT id, {_COLUMNS} FROM verdicts WHERE id > ? ORDER BY id LIMIT ?", (after, limit)
            )
            for number, *row in rows:
                yield number, _verdict(*row)


def _row(verdict: Verdict) -> tuple[object, ...]:
    x, y = verdict.peak or (None, None)
    return (
        verdict.frame_id,
        verdict.source,
        verdict.captured_at.isoformat(),
        verdict.kind,
        verdict.logit,
        verdict.probability,
        verdict.threshold,
        x,
        y,
        verdict.reason,
        verdict.latency_ms,
        verdict.bundle,
    )


def _verdict(frame_id, source, captured_at, kind, logit, probability, threshold, x, y, reason, latency, bundle):  # type: ignore[no-untyped-def]
    peak = None if x is None else (x, y)
    moment = datetime.fromisoformat(captured_at)
    return Verdict(frame_id, source, moment, kind, logit, probability, threshold, peak, reason, latency, bundle)
