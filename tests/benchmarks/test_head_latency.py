"""The benchmark of heads: every head's network is built, exported and timed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_every_head_is_timed_beside_plain_resnet_50():
    sizes = ["--width", "32", "--height", "48", "--rounds", "2"]
    done = subprocess.run(
        [sys.executable, "benchmarks/head_latency.py", *sizes], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    head, *lines = done.stdout.splitlines()
    assert head.startswith("onnxruntime/") and "32 x 48, batch 1, 2 rounds" in head
    form = r"  (.+?) +median +([\d.]+) ms   p95 +([\d.]+) ms   ratio ([\d.]+)(?:   (\d+) patches)?"
    found = [re.fullmatch(form, line).groups() for line in lines]
    assert [name for name, *_ in found] == ["plain, paper", "plain, default", "dense", "memory", "fused"]
    assert found[0][3] == "1.00"
    assert [name for name, *_, patches in found if patches] == ["memory", "fused"]
    assert all(0 < float(median) <= float(p95) for _, median, p95, *_ in found)
