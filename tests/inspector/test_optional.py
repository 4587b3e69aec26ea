"""Optional packages: the hint that installs them."""

import sys

import pytest

from inspector.errors import BackendError, InandoutError
from inspector.optional import require


def test_present() -> None:
    assert require("onnxruntime", "scoring") is sys.modules["onnxruntime"]


@pytest.mark.parametrize(
    ("module", "kind", "hint"),
    [
        ("onnxruntime", BackendError, r"pip install 'inandout\[edge\]' \(or"),
        ("torch", InandoutError, r"inandout\[train\]"),
    ],
)
def test_missing(monkeypatch: pytest.MonkeyPatch, module: str, kind: type, hint: str) -> None:
    def gone(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr("importlib.import_module", gone)
    with pytest.raises(kind, match=f"{module} is not installed, and scoring needs it: .*{hint}"):
        require(module, "scoring")


def test_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise ImportError("libx.so.1: cannot open\nshared object")

    monkeypatch.setattr("importlib.import_module", broken)
    with pytest.raises(BackendError, match=r"cannot be imported \(libx.so.1: cannot open shared object\)"):
        require("onnxruntime", "scoring")
