"""Open the product's SQLite files: durable, versioned, and with every failure told as one clear line."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from inspector.errors import SinkError

_BUSY_SECONDS = 5.0
_CAUSES = (
    ("SQLITE_FULL", "the disk is full: free some space and run again"),
    ("SQLITE_IOERR", "the disk refuses; is it full or failing?"),
    ("SQLITE_READONLY", "it is read-only: choose a place that can be written"),
    ("SQLITE_PERM", "permission denied: choose a place that can be written"),
    ("SQLITE_CANTOPEN", "its folder is missing or cannot be written: choose another place"),
    ("SQLITE_BUSY", "another process is using it: wait for it, or choose another file"),
    ("SQLITE_NOTADB", "it is not a store of this product: choose another file"),
    ("SQLITE_CORRUPT", "it is damaged: move it away and start a new one"),
)


class Closing:
    """A store over one connection that closes it at the end of a `with` block."""

    _connection: sqlite3.Connection

    def close(self) -> None:
        """Fold the write-ahead log into the file and close it."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class Schema:
    """What a file holds.

    Attributes:
        name: for people, in messages.
        application_id: the file header's mark that tells one kind of store from another.
        version: `PRAGMA user_version`; a file of another version is refused.
        statements: the SQL that creates it.
    """

    name: str
    application_id: int
    version: int
    statements: str


def connect(
    path: Path, schema: Schema, synchronous: Literal["FULL", "NORMAL"], exclusive: bool = False
) -> sqlite3.Connection:
    """Open or create a store in write-ahead mode.

    Args:
        path: the file; missing folders above it are made.
        schema: what it must hold.
        synchronous: `FULL` keeps a commit through a power cut, `NORMAL` through the death of the process.
        exclusive: refuse to share the file with any other process while it is open.

    Raises:
        SinkError: it cannot be opened or written, or holds something else.
    """
    fresh = not path.exists()
    connection = None
    try:
        with failures_named(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
            if exclusive:
                connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            _is_empty(connection, path, schema)  # before anything is changed: the file may be somebody else's
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {synchronous}")
            with transaction(connection):
                if _is_empty(connection, path, schema):
                    _create(connection, schema)
        return connection
    except BaseException:
        if connection is not None:
            connection.close()
        if fresh:
            for leftover in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
                with suppress(OSError):
                    leftover.unlink()
        raise


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit what the block did, or undo it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


@contextmanager
def failures_named(path: Path) -> Iterator[None]:
    """Turn the errors of SQLite and of the file system into a `SinkError` that names the file and the way out."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorname", None) or ""
        cause = next((text for prefix, text in _CAUSES if code.startswith(prefix)), f"{error} {code}".strip())
        raise SinkError(f"cannot use {path}: {cause}") from error
    except OSError as error:
        raise SinkError(f"cannot use {path}: {error.strerror or error}") from error


def _is_empty(connection: sqlite3.Connection, path: Path, schema: Schema) -> bool:
    """Whether the file holds nothing yet; raises `SinkError` when it holds something else than `schema`."""
    mark, version, tables = (
        connection.execute(query).fetchone()[0]
        for query in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
    )
    if not tables and not mark:
        return True
    if mark != schema.application_id:
        raise SinkError(f"{path} is a database, but not {schema.name}: choose another file")
    if version != schema.version:
        raise SinkError(
            f"{path} has version {version} of {schema.name}, this inandout writes {schema.version}: "
            "use the release that made it, or choose another file"
        )
    return False


def _create(connection: sqlite3.Connection, schema: Schema) -> None:
    for statement in schema.statements.split(";"):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {schema.application_id}")
    connection.execute(f"PRAGMA user_version = {schema.version}")
