"""`inandout-inspect run` as a process: its lines, its store, and a clean stop on a signal."""

import json
import signal
from pathlib import Path

import cv2
import numpy as np
import pytest

from inspector.store import VerdictStore


def write_video(path: Path, frames: int) -> None:
    """Frame n is grey 220 with an 8 x 8 patch, on the tiny model's grid, that is black in every fourth frame."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"FFV1"), 25, (32, 48))
    for number in range(frames):
        pixels = np.full((48, 32, 3), 220, np.uint8)
        pixels[16:24, 8:16] = 0 if number % 4 == 0 else 220
        writer.write(pixels)
    writer.release()


@pytest.fixture
def place(tiny_bundle, tmp_path: Path) -> Path:
    tiny_bundle()
    write_video(tmp_path / "belt.avi", 40)
    return tmp_path


@pytest.mark.parametrize("command", [(), ("run",)], ids=["bare", "named"])
def test_video_to_its_end(inspect_cli, place: Path, command: tuple[str, ...]) -> None:
    done = inspect_cli(*command, "--camera", "belt.avi", "--bundle", "bundle", "--json")
    assert done.returncode == 0
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["frame_id"] for line in lines] == list(range(40))
    assert [line["verdict"] for line in lines] == ["defect", "ok", "ok", "ok"] * 10
    assert lines[0]["peak"] == [12, 20] and lines[0]["probability"] > 0.99
    assert done.stderr.startswith("40 frames, 40 verdicts (30 ok, 10 defect, 0 review, 0 invalid), 0 dropped")
    with VerdictStore(place / "inandout-verdicts.sqlite") as store:
        assert [(number, v.frame_id, v.kind) for number, v in store.read()] == [
            (line["id"], line["frame_id"], line["verdict"]) for line in lines
        ]


def test_ids_go_on_in_the_next_run(inspect_cli, place: Path) -> None:
    arguments = ("--camera", "belt.avi", "--bundle", "bundle", "--store", "v.sqlite", "--json", "--max-frames", "3")
    first, second = (inspect_cli(*arguments).stdout.splitlines() for _ in range(2))
    assert [json.loads(line)["id"] for line in first + second] == [1, 2, 3, 4, 5, 6]


def test_lines_for_people(inspect_cli, place: Path) -> None:
    done = inspect_cli("--camera", "belt.avi", "--bundle", "bundle", "--max-frames", "2")
    defect, ok = done.stdout.splitlines()
    assert "belt.avi frame 0: DEFECT probability 0.9933 (threshold 0.5000, margin +0.4933) at (12, 20)" in defect
    assert "belt.avi frame 1: OK probability" in ok


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_signal_stops_cleanly_and_nothing_is_lost(start, place: Path, number: signal.Signals) -> None:
    """What was taken is judged, what was judged is stored, what is stored was printed."""
    write_video(place / "long.avi", 3_000)
    process = start("--camera", "long.avi", "--bundle", "bundle", "--store", "v.sqlite", "--json")
    heard = [process.stdout.readline() for _ in range(5)]
    process.send_signal(number)
    rest, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    lines = [json.loads(line) for line in heard + rest.splitlines()]
    count = len(lines)
    assert 5 <= count < 3_000
    assert [line["frame_id"] for line in lines] == list(range(count))
    assert err.startswith(f"{count} frames, {count} verdicts (") and " 0 dropped" in err
    with VerdictStore(place / "v.sqlite") as store:
        assert [number for number, _ in store.read()] == [line["id"] for line in lines]


def test_killed_without_warning_keeps_what_was_printed(start, place: Path) -> None:
    write_video(place / "long.avi", 3_000)
    process = start("--camera", "long.avi", "--bundle", "bundle", "--store", "v.sqlite", "--json")
    heard = [json.loads(process.stdout.readline())["id"] for _ in range(20)]
    process.kill()
    rest, _ = process.communicate()
    heard += [json.loads(line)["id"] for line in rest.splitlines() if line.endswith("}")]
    with VerdictStore(place / "v.sqlite") as store:
        stored = [number for number, _ in store.read()]
    assert stored[: len(heard)] == heard and len(stored) - len(heard) <= 1


def test_reader_that_leaves_ends_the_run_quietly(start, place: Path) -> None:
    write_video(place / "long.avi", 3_000)
    process = start("--camera", "long.avi", "--bundle", "bundle")
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(30) == 1
    assert process.stderr.read() == ""
    process.stderr.close()
