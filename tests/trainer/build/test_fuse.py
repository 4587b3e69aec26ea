"""Builds with other heads than the plain one, from images to a bundle that the edge runs."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from inspector import bundle, imagefile, preprocess
from inspector.backends.onnxruntime import OnnxRuntimeBackend
from trainer.cli import cli
from trainer.data import synth

TINY = [
    *("--recipe", "demo", "--weights", "none", "--scenario", "full_shot"),
    *("--set", "input.width=48", "--set", "input.height=64", "--set", "train.epochs=1", "--set", "train.workers=0"),
    *("--set", "dense.levels=[layer2]", "--set", "dense.hidden=8", "--set", "memory.levels=[layer1, layer2]"),
    *("--set", "memory.dimensions=16", "--set", "memory.patches=50", "--augment", "memseg", "--n-aug", "4"),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuse") / "data"
    synth.synthesise(folder, n_good=20, n_defect=10, width=48, height=64, seed=0, contrast=3)
    return folder


def _build(data, run, *arguments):
    return CliRunner().invoke(cli, ["build", "--data", str(data), "--output", str(run), *TINY, *arguments])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("head", "parts"),
    [("dense", {"dense"}), ("memory", {"memory"}), ("fused", {"plain", "dense", "memory"}), ("auto", None)],
)
def test_every_head_becomes_a_bundle_with_the_same_two_outputs(data, tmp_path, head, parts):
    outcome = _build(data, tmp_path, "--head", head)
    assert outcome.exit_code == 0, (outcome.output, outcome.exception)
    stored = json.loads((tmp_path / "fuse" / "fusion.json").read_text())
    assert set(stored["fusion"]["parts"]) <= (parts or {"plain", "dense", "memory"})
    if head in ("fused", "auto"):
        assert {"plain", "dense", "memory", "plain+dense+memory"} <= set(stored["table"])
        assert stored["compared"] == {"fused": 4, "auto": 7}[head]
    made = bundle.load(tmp_path / "bundle")
    assert made.manifest.provenance["fusion"] == stored["fusion"]
    assert made.manifest.calibration.compared == stored["compared"]
    paths = sorted(data.rglob("*.png"))[:3]
    images = np.stack([preprocess.fit(imagefile.read(path), made.manifest.input) for path in paths])
    logit, cam = OnnxRuntimeBackend(made.model_path()).run(images)
    assert logit.shape == (3,) and cam.ndim == 3 and np.isfinite(cam).all()


@pytest.mark.slow
def test_a_memory_needs_good_images_of_two_parts(tmp_path):
    synth.synthesise(tmp_path / "data", n_good=20, n_defect=6, width=48, height=64, seed=0, contrast=3)
    rows = (tmp_path / "data" / "manifest.csv").read_text().splitlines()
    kept, seen = rows[:1], 0
    for row in rows[1:]:
        good = ",0,train," in row
        seen += good
        if not good or seen == 1:
            kept.append(row)
    (tmp_path / "data" / "manifest.csv").write_text("\n".join(kept) + "\n")
    outcome = _build(tmp_path / "data", tmp_path / "run", "--head", "memory", "--augment", "none")
    assert outcome.exit_code == 1
    assert "two different parts" in str(outcome.exception)
