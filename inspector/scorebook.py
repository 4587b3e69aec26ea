"""The scores of one folder by one bundle, in SQLite: what a killed scoring run resumes from."""

import csv
import os
from collections.abc import Iterable
from pathlib import Path

from inspector import atomic, database
from inspector.errors import SinkError
from inspector.frames import Verdict
from inspector.listing import Entry

COLUMNS = ("path", "label", "split", "logit", "probability", "verdict", "peak_x", "peak_y", "reason")
_SCHEMA = database.Schema(
    name="a score store",
    application_id=0x494E4F53,
    version=1,
    statements="""
        CREATE TABLE job (root TEXT NOT NULL, bundle TEXT NOT NULL);
        CREATE TABLE scores (
            path TEXT PRIMARY KEY,
            size INTEGER NOT NULL,
            mtime_ns INTEGER NOT NULL,
            logit REAL,
            probability REAL,
            verdict TEXT NOT NULL CHECK (verdict IN ('ok', 'defect', 'review', 'invalid')),
            peak_x INTEGER,
            peak_y INTEGER,
            reason TEXT NOT NULL,
            CHECK ((verdict = 'invalid') = (logit IS NULL))
        ) WITHOUT ROWID
    """,
)


class Scorebook(database.Closing):
    """One row an image, keyed by its path; used by one process at a time.

    `synchronous = NORMAL`: commits outlive the death of the process, and what a power cut takes is scored again.

    Args:
        path: the SQLite file.
        root: the folder of images.
        bundle: identity of the bundle that judges.
        restart: forget what the file holds.

    Raises:
        SinkError: the file cannot be written, or belongs to another folder or bundle.
    """

    def __init__(self, path: Path, root: Path, bundle: str, restart: bool = False) -> None:
        self.path = path
        self._connection = database.connect(path, _SCHEMA, synchronous="NORMAL", exclusive=True)
        try:
            with database.failures_named(path), database.transaction(self._connection):
                self._claim(_printable(root.resolve()), bundle, restart)
        except BaseException:
            self._connection.close()
            raise

    def _claim(self, root: str, bundle: str, restart: bool) -> None:
        job = self._connection.execute("SELECT root, bundle FROM job").fetchone()
        if job not in (None, (root, bundle)) and not restart:
            raise SinkError(
                f"{self.path} holds the scores of {job[0]} by bundle {job[1]}, not of {root} by {bundle}: "
                "give another --store, or --restart to start over"
            )
        if restart:
            self._connection.execute("DELETE FROM scores")
        self._connection.execute("DELETE FROM job")
        self._connection.execute("INSERT INTO job VALUES (?, ?)", (root, bundle))
        self._connection.execute("CREATE TEMP TABLE seen (path TEXT PRIMARY KEY) WITHOUT ROWID")

    def holds(self, entry: Entry) -> bool:
        """Whether this very file (same size and time of change) has a score; invalid ones are always tried again."""
        with database.failures_named(self.path):
            row = self._connection.execute(
                "SELECT size, mtime_ns FROM scores WHERE path = ? AND verdict != 'invalid'", (entry.name,)
            ).fetchone()
            if row != (entry.size, entry.mtime_ns):
                return False
            self._connection.execute("INSERT OR IGNORE INTO seen VALUES (?)", (entry.name,))
        return True

    def add(self, scored: Iterable[tuple[Entry, Verdict]]) -> None:
        """Commit scores in one transaction. Raises `SinkError`; none of them is then stored."""
        with database.failures_named(self.path), database.transaction(self._connection):
            for entry, verdict in scored:
                self._connection.execute(
                    "INSERT OR REPLACE INTO scores VALUES (?,?,?,?,?,?,?,?,?)",
                    (
                        entry.name,
                        entry.size,
                        entry.mtime_ns,
                        verdict.logit,
                        verdict.probability,
                        verdict.kind,
                        *(verdict.peak or (None, None)),
                        verdict.reason,
                    ),
                )
                self._connection.execute("INSERT OR IGNORE INTO seen VALUES (?)", (entry.name,))

    def finish(self, output: Path) -> dict[str, int]:
        """Drop the scores of files that are gone, and write the CSV, sorted by path, in one step.

        Returns:
            The number of images by verdict.

        Raises:
            SinkError: the disk refuses; an older CSV at the same place is then untouched.
        """
        with database.failures_named(self.path), database.transaction(self._connection):
            self._connection.execute("DELETE FROM scores WHERE path NOT IN (SELECT path FROM seen)")
            counts = dict(self._connection.execute("SELECT verdict, count(*) FROM scores GROUP BY verdict"))
        columns = ", ".join(name if name not in ("label", "split") else f"'' AS {name}" for name in COLUMNS)
        with database.failures_named(output), atomic.replacing(output) as handle:
            writer = csv.writer(handle, lineterminator="\n")  # floats as repr: exact when read back
            writer.writerow(COLUMNS)
            writer.writerows(self._connection.execute(f"SELECT {columns} FROM scores ORDER BY path"))
        return counts


def _printable(path: Path) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")
