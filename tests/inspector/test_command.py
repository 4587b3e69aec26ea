"""The shared command-line plumbing."""

import sys

import click
import pytest

from inspector import command
from inspector.cli import cli
from inspector.errors import DataError


def run(monkeypatch: pytest.MonkeyPatch, capsys, target: click.Command, *arguments: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["program", *arguments])
    with pytest.raises(SystemExit) as exit_:
        command.run(target)
    return (exit_.value.code, *capsys.readouterr())


def fails(error: BaseException | None):
    @click.command()
    def target() -> None:
        if error is not None:
            raise error

    return target


@pytest.mark.parametrize(
    ("error", "code", "err"),
    [
        (None, 0, ""),
        (DataError("x.png is empty"), 1, "error: x.png is empty\n"),
        (OSError(28, "No space left on device"), 1, "error: [Errno 28] No space left on device\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
    ids=["done", "failed", "output lost", "interrupted"],
)
def test_exit_codes(monkeypatch, capsys, error, code: int, err: str) -> None:
    assert run(monkeypatch, capsys, fails(error)) == (code, "", err if code != 130 else "\ninterrupted\n")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--help"], 0, "Commands:"),
        (["-h"], 0, "Commands:"),
        (["--version"], 0, "inandout-inspect, version"),
        (["--camera"], 2, "Option '--camera' requires an argument"),
        (["--json"], 2, "Missing option '--camera'"),
        (["score", "--help"], 0, "score [OPTIONS] DIR"),
        (["run", "--help"], 0, "--max-frames"),
        ([], 2, "Commands:"),
        (["nonsense"], 2, "No such command 'nonsense'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_default_command(monkeypatch, capsys, arguments: list[str], code: int, says: str) -> None:
    got, out, err = run(monkeypatch, capsys, cli, *arguments)
    assert got == code and says in out + err
