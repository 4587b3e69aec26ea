"""Fixtures shared by every test folder."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings

# A busy machine is no reason to fail: nothing here is timed.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# Spawned workers import test modules by name. Last in line: an installed copy of the packages is what is tested.
sys.path.append(str(Path(__file__).parents[1]))


def _load(name: str) -> ModuleType:
    """Import a module that lies beside this file: with `--import-mode=importlib` no test folder is on sys.path."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[name] = module
    return sys.modules[name]


@pytest.fixture(scope="session")
def tiny() -> ModuleType:
    """The module `tests/tiny_bundle.py`: `make`, `image`, `calibration`."""
    return _load("tiny_bundle")


@pytest.fixture(scope="session")
def tiny_diffusion() -> ModuleType:
    """The module `tests/tiny_diffusion.py`: `make`, `make_inpaint`."""
    return _load("tiny_diffusion")


@pytest.fixture
def tiny_bundle(tiny: ModuleType, tmp_path: Path):
    """Factory `make(path=tmp_path / "bundle", width=32, height=48, ...) -> Bundle`; see `tests/tiny_bundle.py`."""

    def make(path: Path | None = None, **options):
        return tiny.make(path or tmp_path / "bundle", **options)

    return make
