"""The edge never imports torch, and its help needs none of the heavy libraries."""

import subprocess
import sys

import pytest

EVERYTHING = """
import importlib, pkgutil, sys
import inspector
for module in pkgutil.walk_packages(inspector.__path__, "inspector."):
    importlib.import_module(module.name)
"""
HELP = """
import sys
from inspector.cli import cli
cli.main(["--help"], standalone_mode=False)
"""


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        (EVERYTHING, {"torch", "torchvision", "trainer", "models", "calibration", "sklearn", "matplotlib"}),
        (HELP, {"cv2", "numpy", "onnxruntime", "pydantic", "rich", "sqlite3"}),
    ],
    ids=["everything", "help"],
)
def test_not_imported(code: str, absent: set[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nprint(*sys.modules)"], capture_output=True, text=True, check=True
    )
    assert not absent & set(done.stdout.splitlines()[-1].split())
