"""The review's durable record: batches, images, and every judgement as an event that is never changed."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from inspector import database
from inspector.errors import DataError

Judgement = Literal["accept", "reject", "flag"]
JUDGEMENTS: tuple[Judgement, ...] = ("accept", "reject", "flag")

_SCHEMA = database.Schema(
    name="a review store",
    application_id=0x494E4F52,
    version=1,
    # Events are only ever added. An undo is an event that names the judgement it takes back; an image's judgement is
    # its latest one that no undo names.
    statements="""
        CREATE TABLE batches (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            started_at TEXT NOT NULL,
            generator TEXT NOT NULL,
            wanted INTEGER NOT NULL,
            seed INTEGER NOT NULL,
            prompt TEXT,
            normal TEXT,
            region TEXT
        );
        CREATE TABLE images (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            batch INTEGER REFERENCES batches (id),
            path TEXT NOT NULL,
            mask TEXT,
            sha256 TEXT NOT NULL,
            split TEXT NOT NULL,
            prompt TEXT,
            seed INTEGER,
            source TEXT,
            made_at TEXT NOT NULL,
            provenance TEXT NOT NULL,
            present INTEGER NOT NULL DEFAULT 1
        );
        CREATE UNIQUE INDEX built_once ON images (sha256) WHERE batch IS NULL;
        CREATE TABLE events (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            at TEXT NOT NULL,
            image INTEGER NOT NULL REFERENCES images (id),
            kind TEXT NOT NULL CHECK (kind IN ('accept', 'reject', 'flag', 'undo')),
            undone INTEGER UNIQUE REFERENCES events (id),
            CHECK ((kind = 'undo') = (undone IS NOT NULL))
        );
        CREATE INDEX events_by_image ON events (image);
        CREATE VIEW standing AS
            SELECT event.* FROM events AS event
            WHERE event.kind <> 'undo' AND event.id NOT IN (SELECT undone FROM events WHERE undone IS NOT NULL);
        CREATE VIEW judged AS
            SELECT images.*, standing.kind AS judgement, standing.at AS judged_at FROM images
            LEFT JOIN standing ON standing.id =
                (SELECT max(id) FROM standing AS latest WHERE latest.image = images.id)
    """,
)
_COLUMNS = "id, batch, path, mask, sha256, split, prompt, seed, source, made_at, provenance, judgement, judged_at"


@dataclass(frozen=True, slots=True)
class Batch:
    """An order: `wanted` images of one prompt, on one good image, in one region; paths relative to the run."""

    id: int
    started_at: str
    generator: str
    wanted: int
    seed: int
    prompt: str | None
    normal: str | None
    region: str | None


@dataclass(frozen=True, slots=True)
class Reviewed:
    """An image and what was judged of it.

    Attributes:
        id: rises in the order of arrival.
        batch: the order it was drawn for; None for an image of the last build.
        path, mask: PNG files relative to the run.
        sha256: of the file at `path`.
        split: `train`, or `val` for a defect that the build drew for calibration.
        prompt, seed, source: what it was drawn from, where known; `source` is a file.
        made_at: UTC, ISO 8601.
        provenance: the generator's own words.
        judgement, judged_at: the judgement in force, None where there is none.
    """

    id: int
    batch: int | None
    path: str
    mask: str | None
    sha256: str
    split: str
    prompt: str | None
    seed: int | None
    source: str | None
    made_at: str
    provenance: dict[str, Any]
    judgement: Judgement | None = None
    judged_at: str | None = None


@dataclass(frozen=True, slots=True)
class NewImage:
    """An image about to be recorded; see `Reviewed`."""

    path: str
    mask: str | None
    sha256: str
    split: str
    prompt: str | None
    seed: int | None
    source: str | None
    provenance: dict[str, Any]


class ReviewStore(database.Closing):
    """Batches, images and judgements in an SQLite file.

    Write-ahead log with `synchronous = FULL`: what a person judged outlives a power cut.

    Example:
        with ReviewStore(run / "review" / "review.db") as store:
            store.judge(7, "accept")
            store.undo()
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file. Raises `SinkError` when it cannot be written or holds something else."""
        self.path = path
        self._connection = database.connect(path, _SCHEMA, synchronous="FULL")

    def start_batch(
        self, generator: str, wanted: int, seed: int, prompt: str | None, normal: str | None, region: str | None
    ) -> int:
        """Record an order and return its number."""
        return self._insert(
            "INSERT INTO batches (started_at, generator, wanted, seed, prompt, normal, region) VALUES (?,?,?,?,?,?,?)",
            (_now(), generator, wanted, seed, prompt, normal, region),
        )

    def add(self, batch: int, image: NewImage) -> int:
        """Record an image drawn for an order and return its number."""
        row = {**asdict(image), "provenance": json.dumps(image.provenance), "batch": batch, "made_at": _now()}
        return self._insert(*_insertion(row))

    def show_built(self, images: list[NewImage], made_at: str) -> None:
        """Make these the images of the last build; judgements of those seen before stay, known by their content."""
        with self._transaction():
            self._connection.execute("UPDATE images SET present = 0 WHERE batch IS NULL")
            for image in images:
                row = {**asdict(image), "provenance": json.dumps(image.provenance), "made_at": made_at, "present": 1}
                placed = ", ".join(f"{name} = ?" for name in row)
                known = self._connection.execute(
                    f"UPDATE images SET {placed} WHERE batch IS NULL AND sha256 = ?", (*row.values(), image.sha256)
                )
                if not known.rowcount:
                    self._connection.execute(*_insertion(row))

    def judge(self, image: int, judgement: Judgement) -> Reviewed:
        """Store a judgement; the same one again is no event.

        Raises:
            DataError: no such image.
        """
        with self._transaction():
            before = self._one(image)
            if before.judgement != judgement:
                self._connection.execute(
                    "INSERT INTO events (at, image, kind) VALUES (?,?,?)", (_now(), image, judgement)
                )
            return self._one(image)

    def undo(self) -> Reviewed | None:
        """Take back the latest judgement that stands, as an event of its own; None where none stands."""
        with self._transaction():
            latest = self._connection.execute("SELECT id, image FROM standing ORDER BY id DESC LIMIT 1").fetchone()
            if latest is None:
                return None
            self._connection.execute(
                "INSERT INTO events (at, image, kind, undone) VALUES (?,?,'undo',?)", (_now(), latest[1], latest[0])
            )
            return self._one(latest[1])

    def image(self, number: int) -> Reviewed:
        """One image. Raises `DataError` where there is none of that number."""
        with database.failures_named(self.path):
            return self._one(number)

    def images(self, after: int = 0) -> list[Reviewed]:
        """Images numbered above `after` that are drawn here or belong to the last build, in order."""
        with database.failures_named(self.path):
            return list(self._read("WHERE present AND id > ? ORDER BY id", after))

    def accepted(self) -> list[Reviewed]:
        """Images drawn here whose judgement is `accept`, in order."""
        with database.failures_named(self.path):
            return list(self._read("WHERE batch IS NOT NULL AND judgement = 'accept' ORDER BY id"))

    def rejected_content(self) -> set[str]:
        """SHA-256 of every image of a build whose judgement is `reject`."""
        with database.failures_named(self.path):
            rows = self._connection.execute(
                "SELECT sha256 FROM judged WHERE batch IS NULL AND judgement = 'reject'"
            ).fetchall()
        return {row[0] for row in rows}

    def drawn_content(self) -> set[str]:
        """SHA-256 of every image drawn here."""
        with database.failures_named(self.path):
            return {row[0] for row in self._connection.execute("SELECT sha256 FROM images WHERE batch IS NOT NULL")}

    def batches(self) -> list[Batch]:
        """All orders, oldest first."""
        with database.failures_named(self.path):
            rows = self._connection.execute(
                "SELECT id, started_at, generator, wanted, seed, prompt, normal, region FROM batches ORDER BY id"
            ).fetchall()
        return [Batch(*row) for row in rows]

    def revision(self) -> dict[str, int]:
        """The latest batch, image and event, and how many images are shown: what a page compares to stay in step."""
        with database.failures_named(self.path):
            row = self._connection.execute(
                "SELECT (SELECT coalesce(max(id), 0) FROM batches), (SELECT coalesce(max(id), 0) FROM images), "
                "(SELECT coalesce(max(id), 0) FROM events), (SELECT count(*) FROM images WHERE present)"
            ).fetchone()
        return dict(zip(("batch", "image", "event", "shown"), row, strict=True))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with database.failures_named(self.path), database.transaction(self._connection):
            yield

    def _insert(self, statement: str, values: tuple[object, ...]) -> int:
        with self._transaction():
            number = self._connection.execute(statement, values).lastrowid
        assert number is not None  # an INSERT sets it
        return number

    def _one(self, number: int) -> Reviewed:
        found = next(self._read("WHERE id = ?", number), None)
        if found is None:
            raise DataError(f"no image {number} in {self.path}: reload the page")
        return found

    def _read(self, where: str, *values: object) -> Iterator[Reviewed]:
        for row in self._connection.execute(f"SELECT {_COLUMNS} FROM judged {where}", values):
            fields = dict(zip(_COLUMNS.split(", "), row, strict=True))
            yield Reviewed(**{**fields, "provenance": json.loads(fields["provenance"])})


def _insertion(row: Mapping[str, object]) -> tuple[str, tuple[object, ...]]:
    return f"INSERT INTO images ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", tuple(row.values())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
