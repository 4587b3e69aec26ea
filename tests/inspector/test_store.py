"""The verdict store: what was appended is what is read, ids only grow, and failures leave nothing behind."""

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from inspector.errors import SinkError
from inspector.frames import Verdict
from inspector.store import VerdictStore

GOOD = Verdict(
    frame_id=3,
    source="/dev/video0",
    captured_at=datetime(2026, 1, 2, 3, 4, 5, 678_901, UTC),
    kind="defect",
    logit=0.1 + 0.2,
    probability=1 / 3,
    threshold=0.25,
    peak=(12, 34),
    reason="",
    latency_ms=1.5,
    bundle="tiny@0123456789ab",
)
INVALID = replace(GOOD, kind="invalid", logit=None, probability=None, peak=None, reason="a\nb, \"c\" 'd' é")


def test_round_trip_is_exact(tmp_path: Path) -> None:
    with VerdictStore(tmp_path / "v.sqlite") as store:
        assert store.append([GOOD, INVALID]) == [1, 2]
        assert list(store.read()) == [(1, GOOD), (2, INVALID)]


def test_ids_grow_across_restarts_even_after_deletion(tmp_path: Path) -> None:
    path = tmp_path / "v.sqlite"
    with VerdictStore(path) as store:
        store.append([GOOD] * 3)
    with sqlite3.connect(path) as direct:
        direct.execute("DELETE FROM verdicts")
    with VerdictStore(path) as store:
        assert store.append([GOOD]) == [4]


@pytest.mark.parametrize(
    ("after", "limit", "ids"), [(0, -1, [1, 2, 3, 4]), (2, -1, [3, 4]), (1, 2, [2, 3]), (4, -1, []), (0, 0, [])]
)
def test_cursor(tmp_path: Path, after: int, limit: int, ids: list[int]) -> None:
    with VerdictStore(tmp_path / "v.sqlite") as store:
        store.append([GOOD] * 4)
        assert [number for number, _ in store.read(after, limit)] == ids


def test_committed_when_append_returns(tmp_path: Path) -> None:
    with VerdictStore(tmp_path / "v.sqlite") as store:
        store.append([GOOD])
        reader = sqlite3.connect(tmp_path / "v.sqlite")
        assert reader.execute("SELECT kind, peak_x FROM verdicts").fetchall() == [("defect", 12)]
        reader.close()


def test_settings(tmp_path: Path) -> None:
    with VerdictStore(tmp_path / "v.sqlite") as store:
        answers = [
            store._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "user_version")
        ]
    assert answers == ["wal", 2, 1]


def test_a_score_without_logit_is_refused_and_undone(tmp_path: Path) -> None:
    with VerdictStore(tmp_path / "v.sqlite") as store:
        with pytest.raises(SinkError, match="CHECK constraint"):
            store.append([GOOD, replace(GOOD, logit=None)])
        assert list(store.read()) == []
        assert store.append([GOOD]) == [1]


def other_database(path: Path) -> None:
    with sqlite3.connect(path) as direct:
        direct.execute("CREATE TABLE customers (name)")


def newer_version(path: Path) -> None:
    VerdictStore(path).close()
    with sqlite3.connect(path) as direct:
        direct.execute("PRAGMA user_version = 2")


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        pytest.param(lambda path: path.write_bytes(b"hello" * 500), "not a store of this product", id="text file"),
        pytest.param(other_database, "is a database, but not a verdict store", id="other database"),
        pytest.param(newer_version, "has version 2 of a verdict store, .* writes 1", id="newer version"),
        pytest.param(Path.mkdir, "choose another place", id="folder"),
    ],
)
def test_refuses_other_files_and_leaves_them(tmp_path: Path, prepare, message: str) -> None:
    path = tmp_path / "v.sqlite"
    prepare(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(SinkError, match=message):
        VerdictStore(path)
    assert before is None or path.read_bytes() == before


def test_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match=r"cannot use .*v\.sqlite"):
        VerdictStore(tmp_path / "file" / "v.sqlite")
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_missing_folders_are_made(tmp_path: Path) -> None:
    VerdictStore(tmp_path / "a" / "b" / "v.sqlite").close()
    assert (tmp_path / "a" / "b" / "v.sqlite").is_file()
