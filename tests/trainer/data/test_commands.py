"""`inandout-train data ...` as a process: what is printed, where, and the exit code."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from trainer.cli.data_check import check
from trainer.data.readers import READERS


def run(*arguments, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from trainer.cli import main; main()", "data", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "100"},
    )


@pytest.fixture
def folder(draw, tmp_path) -> Path:
    for split in ("train", "test"):
        for label in ("good", "defect"):
            for i in range(10):
                draw(f"set/{split}/{label}/{i}.png")
    return tmp_path / "set"


def test_check_of_a_sound_set(folder):
    done = run("check", folder)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == f"{folder} (folders)"
    assert [word.strip() for word in lines[4].strip("│").split("│")] == ["train", "10", "10", "0", "0"]
    assert lines[-1] == f"no errors, 0 warning(s); next: inandout-train build --data {folder}"


def test_check_of_a_spoilt_set(folder, tmp_path):
    (folder / "train/good/0.png").write_bytes(b"")
    (folder / "test/good/0.png").write_bytes((folder / "train/good/1.png").read_bytes())
    done = run("check", folder, "--pairs", tmp_path / "pairs.csv")
    assert done.returncode == 1
    assert "error: train/good/0.png is empty (0 bytes)" in done.stdout
    assert "error: the same pixels are in test and train: test/good/0.png, train/good/1.png -> delete" in done.stdout
    assert done.stderr == "error: 2 of these would spoil a build (1 unreadable, 1 leak): correct them and check again\n"
    assert (tmp_path / "pairs.csv").read_text() == "split,path,match_split,match,similarity,groups_differ\n"


def test_a_random_split_leaks_and_the_pairs_are_written(folder, tmp_path):
    for i in range(10):  # a second exposure of each good part of train, in train
        pixels = cv2.imread(str(folder / f"train/good/{i}.png"), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(folder / f"train/good/{i}_again.png"), cv2.convertScaleAbs(pixels, alpha=0.7, beta=9))
    assert run("check", folder).returncode == 0
    done = run("check", folder, "--resplit", 0, "--pairs", tmp_path / "pairs.csv")
    assert done.returncode == 1
    assert "show the same part as a train image" in done.stdout
    rows = list(csv.DictReader((tmp_path / "pairs.csv").read_text().splitlines()))
    assert rows
    for row in rows:
        assert Path(row["path"]).stem.removesuffix("_again") == Path(row["match"]).stem.removesuffix("_again")
        assert row["split"] != row["match_split"]
        assert 0.6 <= float(row["similarity"]) <= 1
        assert row["groups_differ"] == "0"


def test_check_without_a_folder_takes_data_and_says_how_to_get_it(tmp_path):
    done = run("check", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path}/data does not exist")
    assert "inandout-train data synth" in done.stderr
    assert done.stderr.count("\n") == 1


def test_layouts_offered_are_the_readers():
    (layout,) = (option for option in check.params if option.name == "layout")
    assert list(layout.type.choices) == ["auto", *READERS]


def test_synth_then_check(tmp_path):
    made = run("synth", tmp_path / "s", "--n-good", 60, "--n-defect", 55, "--width", 48, "--height", 96)
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.startswith("60 good and 55 defect images are in ")
    checked = run("check", tmp_path / "s")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "(manifest)" in checked.stdout


def test_fetch_without_a_network_is_one_line(tmp_path):
    done = run("fetch", "ksdd2", "--output", tmp_path / "data", "--url", "http://127.0.0.1:9/KolektorSDD2.zip")
    assert done.returncode == 1
    assert done.stderr.strip().startswith("error: no connection to http://127.0.0.1:9/KolektorSDD2.zip")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [["check", "--layout", "coco"], ["check", "--resplit", "-1"], ["nonsense"]])
def test_usage_errors(arguments):
    assert run(*arguments).returncode == 2
