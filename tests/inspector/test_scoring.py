"""Scoring a folder: rows, order, resuming, and what a second run scores again."""

import csv
import os
import sqlite3
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from inspector import backends
from inspector.errors import SinkError
from inspector.judge import Judge
from inspector.scorebook import COLUMNS, Scorebook
from inspector.scoring import Summary, score_folder


@pytest.fixture
def job(tiny, tiny_bundle, tmp_path: Path):
    """A folder of twelve images, and a function that scores it as one run would."""
    root = tmp_path / "images"
    for number in range(12):
        path = root / f"part{number % 3}" / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), tiny.image(darkest=number * 20))
    opened = tiny_bundle()
    seen: Counter[str] = Counter()

    class Counting(Judge):
        def prepare(self, frame):
            seen[frame.source] += 1
            return super().prepare(frame)

    def run(batch: int = 4, workers: int = 3, restart: bool = False, images: Path = root) -> Summary:
        seen.clear()
        judge = Counting(opened, backends.create("onnxruntime", opened, 1))
        with Scorebook(tmp_path / "s.sqlite", images, opened.identity, restart) as book:
            return score_folder(images, judge, book, tmp_path / "s.csv", batch, workers)

    run.root, run.seen, run.csv, run.opened = root, seen, tmp_path / "s.csv", opened
    return run


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


@pytest.mark.parametrize(("batch", "workers"), [(1, 1), (5, 2), (12, 4), (100, 8)])
def test_rows(job, batch: int, workers: int) -> None:
    summary = job(batch, workers)
    table = rows(job.csv)
    assert tuple(table[0]) == COLUMNS
    assert [row["path"] for row in table] == sorted(f"part{n % 3}/{n:02}.png" for n in range(12))
    for row in table:
        grey = int(row["path"][-6:-4]) * 20
        logit = 10 * (0.5 - min(grey, 220) / 255)
        assert float(row["logit"]) == pytest.approx(logit, abs=1e-5)
        assert float(row["probability"]) == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-6)
        assert row["verdict"] == ("defect" if logit >= 0 else "ok")
        assert (row["label"], row["split"], row["reason"]) == ("", "", "")
        if grey < 220:  # lighter, the patch is not the darkest
            assert (row["peak_x"], row["peak_y"]) == ("12", "20")
    assert summary.counts == {"defect": 7, "ok": 5} and summary.scored == 12


def test_floats_read_back_exactly(job, tmp_path: Path) -> None:
    job()
    stored = sqlite3.connect(tmp_path / "s.sqlite").execute("SELECT logit, probability FROM scores ORDER BY path")
    assert [(float(row["logit"]), float(row["probability"])) for row in rows(job.csv)] == stored.fetchall()


def test_second_run_scores_only_what_is_new_changed_or_was_invalid(job, tiny) -> None:
    (job.root / "bad.png").write_text("not yet")
    assert job().counts["invalid"] == 1
    before = job.csv.read_text()
    assert job().scored == 1  # the bad one is tried again
    assert (job.csv.read_text(), sum(job.seen.values())) == (before, 0)

    cv2.imwrite(str(job.root / "bad.png"), tiny.image())
    cv2.imwrite(str(job.root / "new.png"), tiny.image())
    cv2.imwrite(str(job.root / "part0" / "00.png"), tiny.image(darkest=200))
    os.utime(job.root / "part0" / "00.png", ns=(1, 1))
    (job.root / "part1" / "01.png").unlink()
    summary = job()
    assert set(job.seen) == {"bad.png", "new.png", "part0/00.png"} and summary.scored == 3
    table = {row["path"]: row["verdict"] for row in rows(job.csv)}
    assert list(table) == sorted(table) and len(table) == 13
    assert (table["part0/00.png"], table["bad.png"], "part1/01.png" in table) == ("ok", "ok", False)


def test_restart_scores_everything_again(job) -> None:
    job()
    assert job(restart=True).scored == 12


def test_interrupted_anywhere_ends_the_same(job) -> None:
    """Stop after each possible number of batches; the next run must complete the very same table."""
    job(batch=3)
    whole = job.csv.read_text()
    for stop_after in range(4):
        with Scorebook(job.csv.with_suffix(".sqlite"), job.root, job.opened.identity, restart=True) as book:
            left = [stop_after]

            def die(images: int, left=left) -> None:
                left[0] -= 1
                if left[0] < 0:
                    raise KeyboardInterrupt

            judge = Judge(job.opened, backends.create("onnxruntime", job.opened, 1))
            with pytest.raises(KeyboardInterrupt):
                score_folder(job.root, judge, book, job.csv, 3, 2, advance=die)
        summary = job(batch=3)
        assert job.csv.read_text() == whole
        assert summary.scored == 12 - 3 * (stop_after + 1) == sum(job.seen.values())


@pytest.mark.parametrize("other", ["folder", "bundle"])
def test_store_of_another_job_is_refused(job, tmp_path: Path, other: str) -> None:
    job()
    root = tmp_path if other == "folder" else job.root
    identity = job.opened.identity if other == "folder" else "other@0"
    with pytest.raises(SinkError, match="--restart to start over"):
        Scorebook(tmp_path / "s.sqlite", root, identity)
    with Scorebook(tmp_path / "s.sqlite", root, identity, restart=True):
        pass


def test_store_in_use_is_refused(job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inspector.database._BUSY_SECONDS", 0.05)
    with (
        Scorebook(tmp_path / "s.sqlite", job.root, "x"),
        pytest.raises(SinkError, match="another process is using it"),
    ):
        Scorebook(tmp_path / "s.sqlite", job.root, "x")


def test_window_bounds_what_is_held(job, monkeypatch: pytest.MonkeyPatch) -> None:
    """The listing is never read further ahead than two batches and the workers."""
    from inspector import scoring

    listed, done = [], []

    def watched(*arguments, real=scoring.images_in):
        for entry in real(*arguments):
            listed.append(entry)
            yield entry

    monkeypatch.setattr(scoring, "images_in", watched)
    judge = Judge(job.opened, backends.create("onnxruntime", job.opened, 1))
    with Scorebook(job.csv.with_suffix(".sqlite"), job.root, job.opened.identity) as book:

        def check(images: int) -> None:
            done.append(images)
            assert len(listed) - sum(done) <= 2 * 2 + 1

        score_folder(job.root, judge, book, job.csv, 2, 1, advance=check)
    assert len(listed) == 12
