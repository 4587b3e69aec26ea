"""`inandout-inspect score` as a process, killed without warning and started again."""

import csv
import re
import signal
import time
from pathlib import Path

import cv2
import numpy as np
import pytest


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """100 images that take a moment to decode each."""
    noise = np.random.default_rng(0).integers(0, 256, (4, 400, 400), np.uint8)
    kinds = [cv2.imencode(".png", kind)[1].tobytes() for kind in noise]
    root = tmp_path / "images"
    for number in range(100):
        path = root / str(number % 4) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(kinds[number % 3])
    return root


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


def test_killed_and_started_again_equals_an_undisturbed_run(start, inspect_cli, tiny_bundle, images, tmp_path) -> None:
    tiny_bundle()
    arguments = ("score", images, "--bundle", "bundle", "--batch", "2", "--workers", "1")
    undisturbed = inspect_cli(*arguments, "--output", "whole.csv")
    assert undisturbed.returncode == 0, undisturbed.stderr
    whole = (tmp_path / "whole.csv").read_text()

    log = tmp_path / "parts.sqlite-wal"
    size = 0
    for _ in range(2):
        process = start(*arguments, "--output", "parts.csv")
        # The log of SQLite grows by at least a page of 4 KiB a batch: wait for about ten batches, of fifty.
        while process.poll() is None and (not log.exists() or log.stat().st_size <= size + 60_000):
            time.sleep(0.001)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert not (tmp_path / "parts.csv").exists()
        size = log.stat().st_size
    last = inspect_cli(*arguments, "--output", "parts.csv")
    assert last.returncode == 0, last.stderr
    scored = int(re.fullmatch(r"100 images \((\d+) scored now .*\n", last.stdout)[1])
    assert 0 < scored < 90
    assert (tmp_path / "parts.csv").read_text() == whole
    paths = [row["path"] for row in table(tmp_path / "parts.csv")]
    assert paths == sorted(set(paths)) and len(paths) == 100


def test_archive_and_environment(inspect_cli, tiny, tiny_bundle, tmp_path: Path, monkeypatch) -> None:
    import shutil

    shutil.make_archive(str(tmp_path / "b"), "tar", tiny_bundle().folder)
    (tmp_path / "one").mkdir()
    cv2.imwrite(str(tmp_path / "one" / "x.png"), tiny.image(darkest=0))
    archive = inspect_cli("score", "one", "--bundle", "b.tar")
    assert (archive.returncode, archive.stderr) == (0, "")
    (row,) = table(tmp_path / "scores.csv")
    assert (row["path"], row["verdict"], row["peak_x"], row["peak_y"]) == ("x.png", "defect", "12", "20")


def test_default_bundle_is_the_last_one_built_here(inspect_cli, tiny, tiny_bundle, tmp_path: Path) -> None:
    made = tiny_bundle(tmp_path / "runs" / "full_shot" / "bundle")
    (tmp_path / "runs" / "latest").symlink_to("full_shot")
    (tmp_path / "one").mkdir()
    cv2.imwrite(str(tmp_path / "one" / "x.png"), tiny.image())
    assert inspect_cli("score", "one").returncode == 0
    assert made.identity in inspect_cli("verify", "runs/latest").stdout
