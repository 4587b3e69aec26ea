"""`inandout-train review`: one clear line for each thing that can be wrong, and a page when nothing is."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from inspector.errors import InandoutError
from trainer import stages
from trainer.build.index import save_samples
from trainer.cli import cli
from trainer.data.samples import Sample
from trainer.recipe import resolve
from trainer.run_lock import exclusive


@pytest.fixture
def run(tmp_path) -> Path:
    """A run folder with one good training image."""
    run = tmp_path / "run"
    (run / "split").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "good.png"), np.random.default_rng(0).integers(120, 160, (48, 32), dtype=np.uint8))
    save_samples(run / "split" / "samples.json", [Sample(tmp_path / "good.png", 0, "train")])
    recipe = resolve("default", {}, ["input.width=32", "input.height=48"])
    stages.write_json(run / "recipe.json", recipe.model_dump(mode="json"))
    return run


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["{tmp}/none"], "no run at .*none: make one with 'inandout-train build", id="missing"),
        pytest.param(["{tmp}"], "is not the run of a build", id="some folder"),
        pytest.param(["{run}", "--generator", "magic"], "unknown generator 'magic': use memseg", id="generator"),
        pytest.param(["{run}", "--host", "0.0.0.0"], "0.0.0.0 is not this machine's loopback", id="open to all"),
        pytest.param(["{run}", "--host", "203.0.113.7", "--allow-remote"], "cannot listen on 203.0.113.7", id="host"),
    ],
)
def test_refusals(run, tmp_path, arguments, says):
    outcome = CliRunner().invoke(cli, ["review", *[text.format(tmp=tmp_path, run=run) for text in arguments]])
    assert isinstance(outcome.exception, InandoutError), outcome.output
    assert re.search(says, str(outcome.exception)) and "\n" not in str(outcome.exception)


def test_a_port_in_use(run):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        outcome = CliRunner().invoke(cli, ["review", str(run), "--port", str(port)])
    assert str(outcome.exception) == f"port {port} on 127.0.0.1 is in use: end what uses it, or choose another --port"


def test_a_build_in_progress(run):
    with exclusive(run):
        outcome = CliRunner().invoke(cli, ["review", str(run)])
    assert str(outcome.exception) == f"a build is working in {run}: wait for it, then review"


def test_usage(run):
    assert CliRunner().invoke(cli, ["review", str(run), "--port", "70000"]).exit_code == 2
    assert CliRunner().invoke(cli, ["review"]).exit_code == 2


def test_the_page_is_served_until_interrupted(run):
    command = [sys.executable, "-m", "trainer", "review", str(run), "--port", "0", "--target", "7"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    ) as process:
        try:
            line = process.stdout.readline()
            address = re.fullmatch(r"review of .*run: (http://127\.0\.0\.1:\d+/)  \(Ctrl-C ends it\)\n", line).group(1)
            with urllib.request.urlopen(address + "api/setup") as answer:
                setup = json.load(answer)
            assert (setup["generator"], setup["target"], setup["steered_by"]) == ("memseg", 7, [])
            with urllib.request.urlopen(address) as answer:
                assert b"/page/review.js" in answer.read()
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
        finally:
            process.kill()
    assert (run / "review" / "review.db").is_file()
