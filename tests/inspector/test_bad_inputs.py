"""The inspector's part of the bad-input table: one clear line, the right exit code, nothing half-written.

Every case is a real command line. Most run through the program's entry point in this process; those marked `real`
start a process of their own.
"""

import json
import logging
import os
import shutil
import sys
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from inspector import command
from inspector.cli import cli

SCORE = ("score", "images", "--bundle", "bundle")
RUN = ("--bundle", "bundle", "--camera")


@dataclass(frozen=True)
class Case:
    """A command line that must fail.

    Attributes:
        arguments: of `inandout-inspect`, started in a folder holding `bundle` and `images/part.png`.
        says: what the one line on stderr contains.
        harm: what to do to the folder before.
        code: exit code.
    """

    arguments: tuple[str, ...]
    says: str
    harm: Callable[[Path], object] = lambda here: None
    code: int = 1


MODEL = "bundle/model.onnx"
MANIFEST = "bundle/manifest.json"
UNPACKED = "a folder or an uncompressed .tar"


def flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


def flipped(name: str) -> Callable[[Path], object]:
    return lambda here: flip(here / name)


def lost(name: str) -> Callable[[Path], object]:
    return lambda here: (here / name).unlink()


def text(name: str, content: str) -> Callable[[Path], object]:
    return lambda here: (here / name).write_text(content)


def edit(here: Path, **values: object) -> None:
    path = here / "bundle" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def evil_tar(here: Path) -> None:
    with tarfile.open(here / "evil.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("../evil.txt"))


def foreign_sqlite(here: Path) -> None:
    import sqlite3

    with sqlite3.connect(here / "scores.sqlite") as direct:
        direct.execute("CREATE TABLE customers (name)")


def scored_by_another_bundle(here: Path) -> None:
    from inspector.scorebook import Scorebook

    Scorebook(here / "scores.sqlite", here / "images", "other@0").close()


CASES = {
    "bundle with a flipped byte": Case(SCORE, "model.onnx does not match its checksum", flipped(MODEL)),
    "bundle without its model": Case(SCORE, "model.onnx is missing", lost(MODEL)),
    "bundle without manifest": Case(SCORE, "make one with 'inandout-train build'", lost(MANIFEST)),
    "bundle of a future format": Case(SCORE, "format version 2, this", lambda h: edit(h, format_version=2)),
    "manifest is no JSON": Case(SCORE, "is not JSON", text(MANIFEST, "{")),
    "manifest with NaN": Case(SCORE, "NaN is not a number", lambda h: edit(h, metrics={"ap": float("nan")})),
    "manifest with an unknown key": Case(SCORE, "speed: Extra inputs", lambda h: edit(h, speed=1)),
    "bundle path does not exist": Case((*SCORE[:-1], "nowhere"), "no bundle at nowhere"),
    "bundle is a text file": Case((*SCORE[:-1], "images/part.png"), UNPACKED),
    "bundle tar writes elsewhere": Case((*SCORE[:-1], "evil.tar"), "'../evil.txt', which does not belong", evil_tar),
    "no bundle named at all": Case(("score", "images"), "neither --bundle nor $INANDOUT_BUNDLE"),
    "verify: flipped byte": Case(("verify", "bundle"), "model.onnx does not match its checksum", flipped(MODEL)),
    "verify: no bundle": Case(("verify", "images"), "no bundle at images"),
    "no folder of images": Case(("score", "nowhere", "--bundle", "bundle"), "nowhere is not a folder"),
    "a file instead of a folder": Case(("score", MODEL, "--bundle", "bundle"), "model.onnx is not a folder"),
    "empty folder": Case(SCORE, "no image under images", lambda h: empty(h / "images")),
    "folder without images": Case(SCORE, "no image under", lambda h: (h / "images/part.png").rename(h / "images/x")),
    "output is a folder": Case((*SCORE, "--output", "bundle"), "bundle is a folder: --output needs the name"),
    "output below a file": Case((*SCORE, "--output", "bundle/model.onnx/s.csv"), "is not a folder that can be written"),
    "output and store are one": Case((*SCORE, "--output", "x.sqlite"), "--output and --store are both"),
    "store is no database": Case(SCORE, "not a store of this product", text("scores.sqlite", "hello " * 500)),
    "store of another program": Case(SCORE, "is a database, but not a score store", foreign_sqlite),
    "store of another bundle": Case(SCORE, "--restart to start over", scored_by_another_bundle),
    "store is a folder": Case((*SCORE, "--store", "bundle"), "cannot use bundle"),
    "batch of zero": Case((*SCORE, "--batch", "0"), "--batch", code=2),
    "unknown command": Case(("inspect",), "No such command 'inspect'", code=2),
    "run: no camera named": Case(("run",), "Missing option '--camera'", code=2),
    "run: camera does not exist": Case((*RUN, "/dev/video99"), "no camera at /dev/video99"),
    "run: device is no camera": Case((*RUN, "/dev/null"), "cannot open /dev/null"),
    "run: no video": Case((*RUN, "belt.mp4"), "no video at belt.mp4"),
    "run: text file as video": Case((*RUN, "belt.mp4"), "not a video", text("belt.mp4", "hello")),
    "run: folder as camera": Case((*RUN, "images"), "'inandout-inspect score images'"),
    "run: unsupported scheme": Case((*RUN, "gst:videotestsrc"), "without GStreamer"),
    "run: nobody at the address": Case((*RUN, "rtsp://u:secret@127.0.0.1:9/x"), "cannot open rtsp://127.0.0.1:9/x"),
    "run: impossible size": Case((*RUN, "/dev/video99", "--size", "big"), "write it as WIDTHxHEIGHT", code=2),
    "run: broken bundle": Case((*RUN, "/dev/video99"), "model.onnx is missing", lost(MODEL)),
}  # fmt: skip
REAL = (
    "bundle with a flipped byte",
    "empty folder",
    "run: camera does not exist",
    "store is no database",
    "run: no camera named",
)


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    """Run a command line in this process: `inside(*arguments) -> (exit code, stdout, stderr)`."""

    def run(*arguments: str) -> tuple[int, str, str]:
        root = logging.getLogger()
        handlers = root.handlers[:]
        monkeypatch.setattr(sys, "argv", ["inandout-inspect", *arguments])
        capfd.readouterr()
        try:
            with pytest.raises(SystemExit) as exit_:
                command.run(cli)
        finally:
            root.handlers[:] = handlers
        return (exit_.value.code, *capfd.readouterr())

    return run


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def check(case: Case, code: int | None, out: str, err: str, before: dict[str, bytes], after: dict[str, bytes]) -> None:
    assert code == case.code, err
    lines = err.strip().splitlines()
    assert case.says in lines[-1]
    assert "Traceback" not in err and "secret" not in err and out == ""
    if case.code == 1:
        assert len(lines) == 1 and lines[0].startswith("error: ")
    assert after == before


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_refused(case: Case, here: Path, inside) -> None:
    case.harm(here)
    before = tree(here)
    code, out, err = inside(*case.arguments)
    check(case, code, out, err, before, tree(here))


@pytest.mark.parametrize("name", REAL)
def test_refused_as_a_process(name: str, here: Path, inspect_cli) -> None:
    case = CASES[name]
    case.harm(here)
    before = tree(here)
    done = inspect_cli(*case.arguments)
    check(case, done.returncode, done.stdout, done.stderr, before, tree(here))


def image(suffix: str, pixels: np.ndarray) -> bytes:
    return cv2.imencode(suffix, pixels)[1].tobytes()


GREY = np.full((48, 32), 220, np.uint8)
BAD_IMAGES = {
    "truncated PNG": (lambda p: p.write_bytes(image(".png", GREY)[:-9]), "its end is missing"),
    "truncated JPEG": (lambda p: p.write_bytes(image(".jpg", GREY)[:-9]), "its end is missing"),
    "truncated TIFF": (lambda p: p.write_bytes(image(".tiff", GREY)[:100]), "its end is missing"),
    "PNG with a flipped bit": (lambda p: p.write_bytes(image(".png", GREY)) and flip(p), "checksum"),
    "zero bytes": (lambda p: p.touch(), "is empty"),
    "text named .png": (lambda p: p.write_text("hello"), "is not an image"),
    "1x1 image": (lambda p: p.write_bytes(image(".png", GREY[:1, :1])), "too small"),
    "float TIFF": (lambda p: p.write_bytes(image(".tiff", GREY.astype(np.float32))), "float32 pixels"),
    "link to itself": (lambda p: p.symlink_to(p), "Too many levels of symbolic links"),
    "dangling link": (lambda p: p.symlink_to("nowhere"), "No such file"),
    "pipe": (os.mkfifo, "not a regular file"),
    "newline in the name": (lambda p: p.with_name("a\nb.png").touch(), "is empty"),
}


@pytest.mark.parametrize(("make", "reason"), BAD_IMAGES.values(), ids=BAD_IMAGES)
def test_bad_image_is_an_invalid_row_and_exit_code_1(here: Path, inside, make, reason: str) -> None:
    import csv

    make(here / "images" / "bad.png")
    code, out, err = inside(*SCORE)
    assert code == 1
    assert err == "error: 1 of 2 images could not be scored: see the invalid rows of scores.csv\n"
    assert out.startswith("2 images")
    with (here / "scores.csv").open(newline="") as handle:
        bad, good = csv.DictReader(handle)
    assert (good["path"], good["verdict"], good["reason"]) == ("part.png", "ok", "")
    assert bad["verdict"] == "invalid" and reason in bad["reason"]
    assert [bad[key] for key in ("logit", "probability", "peak_x", "peak_y")] == [""] * 4
    assert sorted(p.name for p in here.iterdir()) == ["bundle", "images", "scores.csv", "scores.sqlite"]


def cmyk() -> bytes:
    import io

    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(GREY).convert("CMYK").save(stream, "JPEG")
    return stream.getvalue()


UNUSUAL_IMAGES = {
    "16-bit TIFF": image(".tiff", GREY.astype(np.uint16) * 257),
    "CMYK JPEG": cmyk(),
    "8 x 8": image(".png", np.full((8, 8), 220, np.uint8)),
    "with alpha": image(".png", np.full((48, 32, 4), 220, np.uint8)),
    "wrong suffix": image(".jpg", GREY),
}


@pytest.mark.parametrize("raw", UNUSUAL_IMAGES.values(), ids=UNUSUAL_IMAGES)
def test_unusual_image_is_scored(here: Path, inside, raw: bytes) -> None:
    (here / "images" / "part.png").write_bytes(raw)
    code, out, err = inside(*SCORE)
    assert (code, err) == (0, "") and "1 ok, 0 defect, 0 review, 0 invalid" in out


def test_folder_loop_and_folder_named_like_an_image(here: Path, inside) -> None:
    (here / "images" / "loop.png").symlink_to(here / "images")
    (here / "images" / "x.png").mkdir()
    code, out, err = inside(*SCORE)
    assert (code, err) == (0, "") and out.startswith("1 images")
