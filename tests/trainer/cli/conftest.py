"""Small drawn pictures to build from."""

from pathlib import Path

import pytest

from trainer.data import synth


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    """24 good and 16 defective pictures of 48 x 32 pixels, of which 10 defects train; not to be changed."""
    folder = tmp_path_factory.mktemp("small") / "data"
    synth.synthesise(folder, n_good=24, n_defect=16, width=48, height=32, seed=0, contrast=3)
    return folder
