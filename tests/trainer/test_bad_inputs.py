"""The trainer's part of the bad-input table: one clear line, exit code 1 (2 for usage), no bundle, no traceback.

Every case runs the program's entry point, in a folder that holds `data/good`, `data/defect` and `w.safetensors`.
"""

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from inspector import command
from trainer.cli import cli

BUILD = ("build", "--weights", "none", "--output", "run", "--set", "train.epochs=1", "--set", "input.width=32")
BUILD = (*BUILD, "--set", "input.height=32", "--set", "train.workers=0")


@dataclass(frozen=True)
class Case:
    """A command line that must fail: its arguments, what its one line says, what to harm before, its exit code."""

    arguments: tuple[str, ...]
    says: str
    harm: Callable[[Path], object] = lambda here: None
    code: int = 1


def put(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda here: (here / name).write_bytes(content)


def truncate(here: Path) -> None:
    path = here / "data" / "good" / "003.png"
    path.write_bytes(path.read_bytes()[:-40])


def without(name: str) -> Callable[[Path], object]:
    return lambda here: shutil.rmtree(here / name)


def empty(name: str) -> Callable[[Path], object]:
    def harm(here: Path) -> None:
        shutil.rmtree(here / name)
        (here / name).mkdir()

    return harm


def manifest(text: str) -> Callable[[Path], object]:
    return put("data/manifest.csv", text.encode())


CASES = {
    "no such data folder": Case((*BUILD, "--data", "nowhere"), "inandout-train data"),
    "empty data folder": Case(BUILD, "data", empty("data")),
    "one class only, defects": Case(BUILD, "good", without("data/good")),
    "one class only, good": Case((*BUILD, "--scenario", "full_shot"), "zero_shot", without("data/defect")),
    "truncated image": Case(BUILD, "003.png", truncate),
    "zero-byte image": Case(BUILD, "004.png is empty", put("data/good/004.png", b"")),
    "text named .png": Case(BUILD, "005.png", put("data/good/005.png", b"not a picture")),
    "manifest without label": Case(BUILD, "label", manifest("path\ngood/000.png\n")),
    "manifest with missing file": Case(BUILD, "gone.png", manifest("path,label\ngone.png,0\n")),
    "manifest with odd label": Case(BUILD, "perhaps", manifest("path,label\ngood/000.png,perhaps\n")),
    "unknown recipe": Case((*BUILD, "--recipe", "fastest"), "no recipe 'fastest'"),
    "recipe with unknown key": Case((*BUILD, "--recipe", "r.yaml"), "unknown key", put("r.yaml", b"trian: {}\n")),
    "recipe with wrong type": Case((*BUILD, "--set", "train.epochs=soon"), "train.epochs"),
    "override without value": Case((*BUILD, "--set", "train.epochs"), "KEY=VALUE"),
    "unknown layout": Case((*BUILD, "--set", "data.layout=coco"), "data.layout"),
    "policy nobody knows": Case((*BUILD, "--set", "calibrate.policy=always"), "max-f1"),
    "guarantee out of reach": Case((*BUILD, "--set", "calibrate.policy=recall>=0.99"), "are needed"),
    "no weights there": Case((*BUILD, "--weights", "w2.safetensors"), "no weights at w2.safetensors"),
    "weights of another network": Case((*BUILD, "--weights", "w.safetensors"), "does not fit a ResNet-50"),
    "pickled weights": Case(
        (*BUILD, "--weights", "w.pt"), "safetensors", lambda here: torch.save({"a": torch.zeros(1)}, here / "w.pt")
    ),
    "output is a file": Case((*BUILD, "--output", "w.safetensors"), "w.safetensors"),
    "output below a file": Case((*BUILD, "--output", "w.safetensors/run"), "w.safetensors"),
    "unknown scenario": Case((*BUILD, "--scenario", "half_shot"), "half_shot", code=2),
    "negative n-aug": Case((*BUILD, "--n-aug", "-1"), "-1", code=2),
    "texture folder without pictures": Case(
        (*BUILD, "--augment", "memseg", "--set", "augment.textures=data/none"), "none"
    ),
    "unknown preset": Case(("recipes", "cp", "fastest", "mine.yaml"), "no preset 'fastest'"),
    "preset over a file": Case(("recipes", "cp", "default", "w.safetensors"), "exists"),
}


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    rng = np.random.default_rng(0)
    for name, count in (("good", 16), ("defect", 8)):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(90, 160, (40, 40), dtype=np.uint8)
            cv2.imwrite(str(tmp_path / "data" / name / f"{number:03d}.png"), pixels)
    save_file({"encoder.weight": torch.zeros(4)}, tmp_path / "w.safetensors")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_one_line_and_no_bundle(case, here, monkeypatch, capsys):
    case.harm(here)
    monkeypatch.setattr(sys, "argv", ["inandout-train", *case.arguments])
    with pytest.raises(SystemExit) as ended:
        command.run(cli)
    errors = capsys.readouterr().err
    assert ended.value.code == case.code
    assert "Traceback" not in errors
    if case.code == 1:
        (line,) = [line for line in errors.splitlines() if line.startswith("error: ")]
        assert case.says in line
        assert errors.rstrip().endswith(line)
    else:
        assert case.says in errors
    assert not (here / "run" / "bundle").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_is_one_line_and_the_build_goes_on_with_more_room(here):
    place = here / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", place], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no small file system can be mounted here: {mounted.stderr.strip()}")
    try:
        arguments = [sys.executable, "-m", "trainer", *BUILD, "--output", "small/run"]
        full = subprocess.run(arguments, capture_output=True, text=True, timeout=300)
        assert full.returncode == 1, full.stderr
        assert "Traceback" not in full.stderr
        last = full.stderr.splitlines()[-1]
        assert last.startswith("error: ") and "free some space and run again" in last
        assert not (place / "run" / "bundle").exists()
        subprocess.run(["mount", "-o", "remount,size=1g", place], check=True)
        again = subprocess.run(arguments, capture_output=True, text=True, timeout=300)
        assert again.returncode == 0, again.stderr
        assert (place / "run" / "bundle" / "manifest.json").is_file()
    finally:
        subprocess.run(["umount", "-l", place], check=True)
