"""The benchmark of fine-tuning runs, both loops, without a GPU."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_both_loops_run_on_a_tiny_network():
    command = [sys.executable, "benchmarks/dreambooth.py", "--tiny", "--batch", "1", "--warm-up", "0", "--steps", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[:2]] == ["example", "ours"]
    assert re.fullmatch(r"ours is \d+\.\d\d times as fast", lines[2])
