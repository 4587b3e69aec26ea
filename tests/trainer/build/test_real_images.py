"""Small but real builds on real images: a trainer that does not learn cannot land."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from trainer.cli import cli

SHARED = Path(__file__).parents[4] / "shared"
DATA = SHARED / "data" / "ksdd_half"
WEIGHTS = SHARED / "weights" / "resnet50_imagenet_layer1-3.safetensors"


# The test split holds 13 % defects; a blind model scores about 0.13.
@pytest.mark.slow
@pytest.mark.skipif(not (DATA.is_dir() and WEIGHTS.is_file()), reason="the shared real images and weights are not here")
@pytest.mark.parametrize(
    ("scenario", "more", "wanted_ap"),
    [
        pytest.param("full_shot", [], 0.6, id="full_shot"),
        pytest.param("zero_shot", ["--generator", "strokes", "--n-aug", "60"], 0.5, id="zero_shot"),
    ],
)
def test_a_small_build_finds_real_defects(tmp_path, scenario, more, wanted_ap):
    outcome = CliRunner().invoke(
        cli,
        ["build", "--scenario", scenario, "--data", str(DATA), "--weights", str(WEIGHTS), "--json", *more]
        + ["--output", str(tmp_path / "run"), "--set", "input.width=72", "--set", "input.height=216"]
        + ["--set", "train.epochs=4"],
        catch_exceptions=False,
    )
    assert outcome.exit_code == 0, outcome.output
    metrics = json.loads(outcome.stdout.splitlines()[-1])["metrics"]
    assert (metrics["n_ok"], metrics["n_defect"]) == (167, 25)
    assert metrics["ap"] > wanted_ap
