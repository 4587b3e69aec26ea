"""The review store: judgements are events, undo is one of them, and nothing is ever overwritten."""

import sqlite3
from pathlib import Path

import pytest

from inspector.errors import DataError, SinkError
from trainer.review.store import NewImage, ReviewStore


def image(name: str = "a", split: str = "train") -> NewImage:
    return NewImage(f"review/images/{name}.png", None, f"sha-{name}", split, "a crack", 7, "/data/0.png", {"k": [1]})


def with_images(path: Path, n: int) -> ReviewStore:
    store = ReviewStore(path)
    batch = store.start_batch("painter", n, 7, "a crack", "/data/0.png", None)
    for number in range(n):
        store.add(batch, image(str(number)))
    return store


# A letter judges image 1, 2, ... as named ("a1": accept image 1); "u" undoes.
@pytest.mark.parametrize(
    ("keys", "judgements"),
    [
        pytest.param("a1 r2 f3", ["accept", "reject", "flag"], id="each kind"),
        pytest.param("a1 u", [None, None, None], id="undo"),
        pytest.param("a1 r1 u", ["accept", None, None], id="undo of a change of mind gives the earlier one back"),
        pytest.param("a1 r2 u u", [None, None, None], id="undo goes on backwards"),
        pytest.param("a1 u u u", [None, None, None], id="more undo than judgements"),
        pytest.param("a1 u r2 u", [None, None, None], id="an undone one is not undone again"),
        pytest.param("a1 u a1", ["accept", None, None], id="judged again after undo"),
        pytest.param("a1 a1 u", [None, None, None], id="the same twice is one event"),
    ],
)
def test_judgements_in_force(tmp_path, keys, judgements):
    with with_images(tmp_path / "r.db", 3) as store:
        for key in keys.split():
            if key == "u":
                store.undo()
            else:
                store.judge(int(key[1]), {"a": "accept", "r": "reject", "f": "flag"}[key[0]])
        assert [found.judgement for found in store.images()] == judgements
    with ReviewStore(tmp_path / "r.db") as again:
        assert [found.judgement for found in again.images()] == judgements


def test_every_judgement_and_undo_stays_in_the_file(tmp_path):
    with with_images(tmp_path / "r.db", 2) as store:
        store.judge(1, "accept")
        store.judge(1, "reject")
        undone = store.undo()
        assert undone is not None and (undone.id, undone.judgement) == (1, "accept")
    with sqlite3.connect(tmp_path / "r.db") as direct:
        rows = direct.execute("SELECT image, kind, undone FROM events ORDER BY id").fetchall()
        assert rows == [(1, "accept", None), (1, "reject", None), (1, "undo", 2)]
        joined = "SELECT prompt, seed, source, made_at, at FROM events JOIN images ON images.id = image"
        for prompt, seed, source, made_at, at in direct.execute(joined):
            assert (prompt, seed, source) == ("a crack", 7, "/data/0.png")
            assert made_at <= at


def test_undo_of_nothing(tmp_path):
    with with_images(tmp_path / "r.db", 1) as store:
        assert store.undo() is None


def test_round_trip_of_an_image_and_its_batch(tmp_path):
    with with_images(tmp_path / "r.db", 2) as store:
        first, second = store.images()
        assert (first.batch, first.path, first.mask, first.split) == (1, "review/images/0.png", None, "train")
        assert first.provenance == {"k": [1]} and first.judged_at is None
        assert store.images(after=1) == [second] and store.image(2) == second
        (batch,) = store.batches()
        assert (batch.generator, batch.wanted, batch.seed, batch.prompt) == ("painter", 2, 7, "a crack")


def test_accepted_in_order_and_drawn_here_only(tmp_path):
    with with_images(tmp_path / "r.db", 3) as store:
        store.show_built([image("built")], "2026-01-01T00:00:00+00:00")
        for number in (4, 3, 1):
            store.judge(number, "accept")
        assert [found.id for found in store.accepted()] == [1, 3]


def test_pictures_of_a_build_are_known_by_their_content(tmp_path):
    with ReviewStore(tmp_path / "r.db") as store:
        store.show_built([image("x"), image("y")], "2026-01-01T00:00:00+00:00")
        store.judge(1, "reject")
        assert store.rejected_content() == {"sha-x"}
        store.show_built([image("z"), image("w")], "2026-01-02T00:00:00+00:00")
        assert [(found.sha256, found.judgement) for found in store.images()] == [("sha-z", None), ("sha-w", None)]
        store.show_built([image("y"), image("x", "val")], "2026-01-03T00:00:00+00:00")
        shown = [(found.id, found.sha256, found.split, found.judgement) for found in store.images()]
        assert shown == [(1, "sha-x", "val", "reject"), (2, "sha-y", "train", None)]
        assert store.revision() == {"batch": 0, "image": 4, "event": 1, "shown": 2}


def test_an_unknown_image_is_refused_and_nothing_stored(tmp_path):
    with with_images(tmp_path / "r.db", 1) as store:
        with pytest.raises(DataError, match="no image 9 in"):
            store.judge(9, "accept")
        assert store.revision()["event"] == 0


def test_another_database_is_refused(tmp_path):
    from inspector.store import VerdictStore

    VerdictStore(tmp_path / "v.sqlite").close()
    with pytest.raises(SinkError, match="is a database, but not a review store"):
        ReviewStore(tmp_path / "v.sqlite")


def test_a_judgement_is_committed_when_judge_returns(tmp_path):
    with with_images(tmp_path / "r.db", 1) as store:
        store.judge(1, "flag")
        with sqlite3.connect(tmp_path / "r.db") as other:
            assert other.execute("SELECT kind FROM events").fetchall() == [("flag",)]
        assert store._connection.execute("PRAGMA synchronous").fetchone() == (2,)
