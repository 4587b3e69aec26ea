"""A machine at the line: a fresh environment with the `edge` extra alone, no torch, doing its whole job.

The package is built and installed from a copy of the sources, so that what is missing from the wheel is missed here.
"""

import csv
import json
import os
import shutil
import subprocess
import venv
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import cv2
import pytest

from inspector.bundle import Bundle

ROOT = Path(__file__).parents[1]
TRAINING_ONLY = ("torch", "torchvision", "accelerate", "onnx", "onnxscript", "safetensors", "yaml", "jinja2")
pytestmark = pytest.mark.slow

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """Run a program of the fresh environment, in an empty folder and without the checkout on any path."""
    place = tmp_path_factory.mktemp("edge")
    source = place / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for package in ("calibration", "inspector", "models", "trainer"):
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    programs = place / "venv" / "bin"
    venv.create(place / "venv", with_pip=True)
    (place / "cwd").mkdir()
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "INANDOUT"))}

    def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [str(programs / program), *map(str, arguments)]
        return subprocess.run(command, cwd=place / "cwd", env=clean, capture_output=True, text=True, timeout=600)

    installed = run("python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"{source}[edge]")
    assert installed.returncode == 0, installed.stderr
    return run


@pytest.fixture
def parts(tiny: ModuleType, tmp_path: Path) -> Path:
    """Twelve good and twelve defective pictures: bright, and bright with a dark patch."""
    for label, darkest in (("good", None), ("defect", 20)):
        (tmp_path / "parts" / label).mkdir(parents=True)
        for index in range(12):
            pixels = tiny.image(darkest=darkest, background=200 + index)
            cv2.imwrite(str(tmp_path / "parts" / label / f"{index:02d}.png"), pixels)
    return tmp_path / "parts"


def test_nothing_of_the_training_side_is_installed(edge: Command) -> None:
    program = f"from importlib.util import find_spec; print([n for n in {TRAINING_ONLY!r} if find_spec(n)])"
    assert edge("python", "-c", program).stdout.strip() == "[]"


def test_scores_a_folder(edge: Command, tiny_bundle: Callable[[], Bundle], parts: Path, tmp_path: Path) -> None:
    table = tmp_path / "scores.csv"
    done = edge("inandout-inspect", "score", parts, "--bundle", tiny_bundle().path, "--output", table)
    assert done.returncode == 0, done.stderr
    with table.open(newline="") as handle:
        verdicts = {row["path"]: row["verdict"] for row in csv.DictReader(handle)}
    assert len(verdicts) == 24
    assert {path.partition("/")[0]: verdict for path, verdict in verdicts.items()} == {"good": "ok", "defect": "defect"}


def test_an_unreadable_picture_is_invalid_and_the_exit_code_says_so(
    edge: Command, tiny_bundle: Callable[[], Bundle], parts: Path, tmp_path: Path
) -> None:
    (parts / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    table = tmp_path / "scores.csv"
    done = edge("inandout-inspect", "score", parts, "--bundle", tiny_bundle().path, "--output", table)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    with table.open(newline="") as handle:
        assert {row["path"] for row in csv.DictReader(handle) if row["verdict"] == "invalid"} == {"broken.png"}


def test_judges_a_video_file_as_a_camera(
    edge: Command, tiny: ModuleType, tiny_bundle: Callable[[], Bundle], tmp_path: Path
) -> None:
    video = tmp_path / "line.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 10, (32, 48))
    for darkest in (None, 0, None):
        writer.write(tiny.image(darkest=darkest))
    writer.release()
    done = edge("inandout-inspect", "--camera", video, "--bundle", tiny_bundle().path, "--json")
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["verdict"] for line in done.stdout.splitlines()] == ["ok", "defect", "ok"]


def test_verifies_a_bundle_and_names_the_file_that_was_changed(
    edge: Command, tiny_bundle: Callable[[], Bundle]
) -> None:
    bundle = tiny_bundle()
    assert edge("inandout-inspect", "verify", bundle.path).returncode == 0
    with (bundle.path / "model.onnx").open("r+b") as handle:
        first = handle.read(1)
        handle.seek(0)
        handle.write(bytes([first[0] ^ 1]))
    damaged = edge("inandout-inspect", "verify", bundle.path)
    assert damaged.returncode == 1 and "model.onnx" in damaged.stderr


def test_calibrates_on_labelled_pictures(edge: Command, tiny_bundle: Callable[[], Bundle], parts: Path) -> None:
    bundle = tiny_bundle()
    done = edge("inandout-calibrate", bundle.path, "--data", parts, "--policy", "recall>=0.7")
    assert done.returncode == 0, done.stderr
    manifest = json.loads((bundle.path / "manifest.json").read_text())
    assert manifest["calibration"]["policy"] == "recall>=0.7"
    assert (manifest["calibration"]["n_defect"], manifest["calibration"]["n_ok"]) == (12, 12)
    assert len(manifest["history"]) == 1
    assert edge("inandout-inspect", "verify", bundle.path).returncode == 0


@pytest.mark.parametrize("command", ["build", "recipes ls"])
def test_training_names_the_extra_it_needs(edge: Command, command: str) -> None:
    refused = edge("inandout-train", *command.split())
    assert refused.returncode == 1
    assert "pip install 'inandout[train]'" in refused.stderr and "Traceback" not in refused.stderr
