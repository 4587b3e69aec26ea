"""The whole build on a small drawn set: real training, real export, real bundle."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.metrics import average_precision_score

from inspector import bundle
from inspector.errors import InandoutError
from trainer import stages
from trainer.cli import cli

SMALL = ["input.width=48", "input.height=64", "train.epochs=2", "train.batch=8", "train.workers=0"]


def draw(root: Path, good: int = 30, defect: int = 12) -> Path:
    """Grey noise; defects carry a dark bar. Plain good/ and defect/ folders."""
    rng = np.random.default_rng(0)
    for name, count in (("good", good), ("defect", defect)):
        (root / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.normal(150, 12, (80, 60)).clip(0, 255).astype(np.uint8)
            if name == "defect":
                row = int(rng.integers(10, 60))
                pixels[row : row + 8, 5:50] = 20
            cv2.imwrite(str(root / name / f"{number:03d}.png"), pixels)
    return root


def arguments(data: Path, run: Path, *more: str) -> list[str]:
    sets = [word for assignment in SMALL for word in ("--set", assignment)]
    return ["build", "--data", str(data), "--output", str(run), "--weights", "none", *sets, *more]


def build(data: Path, run: Path, *more: str) -> bundle.Bundle:
    outcome = CliRunner().invoke(cli, arguments(data, run, "--json", *more), catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    return bundle.load(Path(json.loads(outcome.stdout.splitlines()[-1])["bundle"]))


def command(data: Path, run: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "trainer", *arguments(data, run, *more)]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("data") / "set")


@pytest.fixture(scope="module")
def built(data, tmp_path_factory):
    run = tmp_path_factory.mktemp("run") / "runs" / "full_shot"
    return build(data, run, "--augment", "memseg", "--n-aug", "6"), run


def test_the_reports_ap_is_scikit_learns_on_the_score_table(built):
    made, _ = built
    table = [row for row in rows(made.folder / "scores.csv") if row["split"] == "test"]
    labels = [int(row["label"]) for row in table]
    ap = average_precision_score(labels, [float(row["logit"]) for row in table])
    assert made.manifest.metrics["ap"] == pytest.approx(ap, abs=1e-6)
    assert f"{ap:.3f}" in (made.folder / "report.html").read_text(encoding="utf-8")


def test_scoring_the_folder_gives_the_builds_verdicts(built, data, tmp_path):
    from inspector.cli import cli as inspect

    made, _ = built
    output = tmp_path / "scores.csv"
    outcome = CliRunner().invoke(inspect, ["score", str(data), "--bundle", str(made.path), "--output", str(output)])
    assert outcome.exit_code == 0, outcome.output
    scored = {row["path"]: row for row in rows(output)}
    table = [row for row in rows(made.folder / "scores.csv") if not row["path"].startswith("synthetic:")]
    assert len(table) > 10
    for row in table:
        assert scored[row["path"]]["verdict"] == row["verdict"]
        assert float(scored[row["path"]]["probability"]) == pytest.approx(float(row["probability"]), abs=1e-3)


def test_the_bundle_tells_what_it_is(built, data):
    made, run = built
    manifest = made.manifest
    assert manifest.provenance["recipe"]["augment"]["kind"] == "memseg"
    assert manifest.provenance["recipe"]["augment"]["n"] == 6
    assert manifest.provenance["data"]["images"] == 42
    assert manifest.parity.verdict_flips == 0
    assert manifest.parity.max_probability_difference <= manifest.parity.tolerance
    assert (run.parent / "latest").resolve() == (run / "bundle").resolve()
    assert not (run / "train" / "checkpoint").exists()
    splits = {row["split"] for row in rows(made.folder / "scores.csv")}
    assert splits == {"val", "test"}


def test_a_changed_policy_redoes_only_what_depends_on_it(built, data):
    made, run = built
    before = (run / "train" / "model.safetensors").stat().st_mtime_ns
    again = build(data, run, "--augment", "memseg", "--n-aug", "6", "--set", "calibrate.policy=cost(fn=10,fp=1)")
    assert (run / "train" / "model.safetensors").stat().st_mtime_ns == before
    assert again.manifest.calibration.policy == "cost(fn=10,fp=1)"
    assert made.manifest.calibration.policy == "max-f1"


def test_zero_shot_without_any_defect_says_where_the_threshold_comes_from(data, tmp_path):
    only_good = tmp_path / "good-only"
    shutil.copytree(data / "good", only_good / "good")
    made = build(only_good, tmp_path / "run", "--scenario", "zero_shot", "--augment", "memseg", "--n-aug", "8")
    assert made.manifest.calibration.defects == "synthetic"
    assert "ap" not in made.manifest.metrics
    page = (made.folder / "report.html").read_text(encoding="utf-8")
    assert "The threshold comes from synthetic defects" in page


@pytest.mark.parametrize(
    ("defects", "more", "says"),
    [
        (0, ["--scenario", "full_shot"], "zero_shot"),
        (12, ["--scenario", "few_shot", "--set", "data.few_shot=40"], "few-shot with 40 defects"),
        (12, ["--scenario", "zero_shot", "--augment", "none"], "--augment memseg"),
        (12, ["--set", "calibrate.policy=recall>=0.99"], "defect"),
        (12, ["--set", "calibrate.policy=best"], "max-f1"),
    ],
    ids=["no defect", "too few", "nothing to learn from", "guarantee out of reach", "unknown policy"],
)
def test_builds_that_cannot_be_honest_are_refused(tmp_path, defects, more, says):
    data = draw(tmp_path / "set", good=20, defect=defects)
    with pytest.raises(InandoutError) as caught:
        CliRunner().invoke(
            cli, arguments(data, tmp_path / "run", "--set", "train.epochs=1", *more), catch_exceptions=False
        )
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run" / "bundle").exists()


@pytest.mark.slow
def test_a_killed_build_continues_to_the_same_bundle(built, data, tmp_path):
    run = tmp_path / "run"
    process = subprocess.Popen(
        command(data, run, "--augment", "memseg", "--n-aug", "6", "--set", "train.checkpoint_seconds=0.01"),
        stderr=subprocess.DEVNULL,
    )
    state = run / "train" / "checkpoint" / "state.json"
    deadline = time.monotonic() + 300
    while not state.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (run / "bundle").exists()
    made = build(data, run, "--augment", "memseg", "--n-aug", "6")
    weights = [folder / "train" / "model.safetensors" for folder in (run, built[1])]
    assert bundle.sha256_of(weights[0]) == bundle.sha256_of(weights[1])
    assert made.manifest.metrics["ap"] == built[0].manifest.metrics["ap"]


@pytest.mark.slow
def test_two_processes_build_one_bundle(data, tmp_path):
    launch = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--cpu",
        "--num_processes",
        "2",
        "--num_machines",
        "1",
    ]
    launch += ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0", "-m", "trainer"]
    done = subprocess.run(
        [*launch, *arguments(data, tmp_path / "run", "--json")],
        capture_output=True,
        text=True,
        timeout=600,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    results = [line for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(results) == 1
    made = bundle.load(Path(json.loads(results[0])["bundle"]))
    assert made.manifest.parity.verdict_flips == 0
    assert len(stages.read_json(tmp_path / "run" / "train" / "history.json")) == 2


def test_one_build_at_a_time(data, tmp_path):
    from trainer.run_lock import exclusive

    with exclusive(tmp_path / "run"), pytest.raises(InandoutError, match="another build is working"):
        CliRunner().invoke(cli, arguments(data, tmp_path / "run"), catch_exceptions=False)
