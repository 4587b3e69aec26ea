"""`curve` and `reproduce` on small drawn pictures: builds of seconds, in this process or in one of their own."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from trainer.cli import cli

_SETS = (
    "input.width=48",
    "input.height=32",
    "train.epochs=1",
    "train.batch=16",
    "train.workers=0",
    "model.levels=[layer1]",
)


@dataclass(frozen=True)
class SmallCampaign:
    """A command that builds cells.

    Attributes:
        words: its name, and options that all tests give it.
        sets: `--set` of all tests, beside those that make a build small.
    """

    words: tuple[str, ...]
    sets: tuple[str, ...] = ()

    def __call__(self, data: Path, output: Path, *more: str, sets: Sequence[str] = ()) -> Result:
        """Run it in this process."""
        return CliRunner().invoke(cli, self._arguments(data, output, more, sets))

    def start_until(
        self, begun: Path, data: Path, output: Path, *more: str, sets: Sequence[str] = ()
    ) -> subprocess.Popen[Any]:
        """Start it as a process, and return that as soon as the file `begun` is there."""
        process = subprocess.Popen(
            [sys.executable, "-m", "trainer", *self._arguments(data, output, more, sets)],
            cwd=Path(__file__).parents[3],
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        deadline = time.monotonic() + 600
        while not begun.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        return process

    def _arguments(self, data: Path, output: Path, more: Sequence[str], sets: Sequence[str]) -> list[str]:
        chosen = [word for assignment in (*_SETS, *self.sets, *sets) for word in ("--set", assignment)]
        return [*self.words, "--data", str(data), "--output", str(output), "--weights", "none", *chosen, *more]
