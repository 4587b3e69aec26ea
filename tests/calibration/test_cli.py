"""`inandout-calibrate` on a real bundle with a real model: in process, and once as its own process."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from calibration.cli import command
from inspector.bundle import MANIFEST, load
from inspector.errors import BundleError, DataError

SCORES = "label,logit,split\n" + "".join(
    [*(f"0,{-3 + k / 20},val\n" for k in range(80)), *(f"1,{-0.51 + k / 20},val\n" for k in range(60)), "0,9,test\n"]
)


@pytest.fixture
def run():
    """Call the command; errors of the product come out as they are raised."""

    def call(*arguments):
        return CliRunner().invoke(command, [str(item) for item in arguments], catch_exceptions=False)

    return call


@pytest.fixture
def scores(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text(SCORES)
    return path


@pytest.fixture
def parts(tmp_path, tiny):
    """Good parts with greys 130 to 219, defects 10 to 99; the model's zero lies at 127.5."""
    for folder, greys in (("good", range(130, 220, 3)), ("defect", range(10, 100, 9))):
        (tmp_path / "parts" / folder).mkdir(parents=True)
        for grey in greys:
            cv2.imwrite(str(tmp_path / "parts" / folder / f"{grey}.png"), tiny.image(darkest=grey))
    return tmp_path / "parts"


def test_images_are_scored_and_the_threshold_put_in_force(run, tiny_bundle, parts, tmp_path):
    old = tiny_bundle().manifest.calibration
    result = run(tmp_path / "bundle", "--data", parts)
    assert result.exit_code == 0
    manifest = load(tmp_path / "bundle").manifest
    assert manifest.history == [old]
    new = manifest.calibration
    assert (new.n_defect, new.n_ok, new.metrics["ap"], new.source) == (10, 30, 1.0, "parts")
    decision = new.decision()
    # logit = 10 * (0.5 - grey / 255): the darkest good and the brightest defect part, by hand
    assert decision.judge(5 - 1300 / 255)[1] == "ok"
    assert decision.judge(5 - 910 / 255)[1] == "defect"
    assert f"0.5000 -> {new.threshold:.4f}" in result.output
    assert "10 defects, 30 good images" in result.output
    picture = cv2.imread(str(tmp_path / "calibration-bundle.png"))
    assert picture.shape == (572, 1782, 3)


def test_scores_use_val_and_say_so(run, tiny_bundle, scores, tmp_path):
    tiny_bundle()
    result = run(tmp_path / "bundle", "--scores", scores, "--policy", "recall>=0.95", "--review", "0.1")
    assert f"using split 'val' of {scores}" in result.stderr
    flat = " ".join(result.stdout.replace("│", " ").split())
    assert "at least 0.95 of new defects will be caught" in flat
    new = load(tmp_path / "bundle").manifest.calibration
    assert (new.policy, new.n_ok, new.source) == ("recall>=0.95", 80, "scores.csv, split val")
    assert new.guarantee is not None
    assert new.metrics["fn"] == 0
    assert new.review_band is not None
    assert new.metrics["review_share"] == 0.1


def test_json_is_the_only_thing_on_stdout_and_a_dry_run_writes_nothing(run, tiny_bundle, scores, tmp_path):
    bundle = tiny_bundle()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    result = run(bundle.path, "--scores", scores, "--split", "val", "--dry-run", "--json", "--policy", "fpr<=0.05")
    document = json.loads(result.stdout)
    assert (document["written"], document["plot"], document["bundle"]) == (False, None, bundle.identity)
    assert document["previous"]["threshold"] == 0.5
    assert document["calibration"]["guarantee"]["bound"] == 0.05
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    written = json.loads(run(bundle.path, "--scores", scores, "--json").stdout)
    assert written["bundle"] == load(bundle.path).identity != bundle.identity


def test_a_waived_guarantee_is_recorded_as_none(run, tiny_bundle, scores, tmp_path):
    tiny_bundle()
    result = run(tmp_path / "bundle", "--scores", scores, "--policy", "recall>=0.99", "--no-guarantee")
    assert "none: the figures hold for these images" in result.output
    assert load(tmp_path / "bundle").manifest.calibration.guarantee is None


def test_synthetic_defects_are_named(run, tiny_bundle, scores, tmp_path):
    tiny_bundle()
    result = run(tmp_path / "bundle", "--scores", scores, "--synthetic-defects", "--dry-run")
    assert "60 synthetic defects" in result.output
    assert "The threshold comes from synthetic defects" in result.output


def test_a_bundle_s_own_scores_are_the_default_and_stay_synthetic(run, tiny, tiny_bundle):
    origin = tiny.calibration().model_copy(update={"defects": "synthetic"})
    bundle = tiny_bundle(texts={"scores.csv": SCORES}, operating_point=origin)
    assert run(bundle.path).exit_code == 0
    new = load(bundle.path).manifest.calibration
    assert (new.n_defect, new.n_ok, new.defects, new.source) == (60, 80, "synthetic", "scores.csv, split val")


def test_a_bundle_s_own_scores_also_chose_its_network(run, tiny, tiny_bundle, scores):
    """60 defects prove a recall of .95 for a given network, not for the best of seven; other images chose none."""
    origin = tiny.calibration().model_copy(update={"compared": 7})
    bundle = tiny_bundle(texts={"scores.csv": SCORES}, operating_point=origin)
    with pytest.raises(DataError, match="97 defects are needed, there are 60"):
        run(bundle.path, "--policy", "recall>=0.95")
    assert run(bundle.path, "--policy", "recall>=0.9").exit_code == 0
    kept = load(bundle.path).manifest.calibration
    assert kept.compared == 7 and kept.guarantee is not None and "7 networks" in kept.guarantee.method
    assert run(bundle.path, "--scores", scores, "--policy", "recall>=0.95").exit_code == 0
    assert load(bundle.path).manifest.calibration.compared == 1


def test_the_bundle_defaults_to_the_environment(run, tiny_bundle, scores, tmp_path, monkeypatch):
    monkeypatch.setenv("INANDOUT_BUNDLE", str(tiny_bundle().path))
    assert run("--scores", scores, "--dry-run").exit_code == 0
    monkeypatch.delenv("INANDOUT_BUNDLE")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BundleError, match=r"no bundle at runs/latest: .* make one with 'inandout-train build'"):
        run("--scores", scores, "--dry-run")


def test_unreadable_images_are_listed_and_refused_unless_skipped(run, tiny_bundle, parts, tmp_path):
    bundle = tiny_bundle()
    (parts / "good" / "empty.png").write_bytes(b"")
    (parts / "defect" / "cut.png").write_bytes((parts / "defect" / "10.png").read_bytes()[:60])
    with pytest.raises(DataError) as caught:
        run(bundle.path, "--data", parts)
    message = str(caught.value)
    assert all(part in message for part in ("2 images cannot be scored", "empty.png is empty", "cut.png is truncated"))
    assert load(bundle.path).identity == bundle.identity
    result = run(bundle.path, "--data", parts, "--skip-unreadable")
    assert result.stderr.count("left out: ") == 2
    assert load(bundle.path).manifest.calibration.n_ok == 30


def test_too_few_images_are_refused_before_any_is_scored(run, tiny_bundle, parts):
    bundle = tiny_bundle()
    (parts / "good" / "empty.png").write_bytes(b"")  # would be found by scoring
    with pytest.raises(DataError, match="299 defects are needed, there are 10"):
        run(bundle.path, "--data", parts, "--policy", "recall>=0.99")


def test_one_class_only_is_refused(run, tiny_bundle, parts):
    for path in (parts / "defect").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="0 defects and 30 good images"):
        run(tiny_bundle().path, "--data", parts)


def test_a_picture_that_cannot_be_written_leaves_the_bundle_alone(run, tiny_bundle, scores, tmp_path):
    bundle = tiny_bundle()
    with pytest.raises(DataError, match=r"cannot write .*: No such file or directory; name another place with --plot"):
        run(bundle.path, "--scores", scores, "--plot", tmp_path / "none" / "p.png")
    assert load(bundle.path).identity == bundle.identity


def test_an_archive_is_refused_before_the_work(run, tmp_path, scores):
    (tmp_path / "bundle.tar").write_bytes(b"")
    with pytest.raises(BundleError, match="is an archive and cannot be rewritten in place"):
        run(tmp_path / "bundle.tar", "--scores", scores)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(["--policy", "best"], "give one of max-f1, recall>=0.99", id="policy"),
        pytest.param(["--review", "5%"], "'5%' is not a review band", id="review"),
        pytest.param(["--confidence", "1"], "1.0 is not in the range 0<x<1", id="confidence"),
        pytest.param(["--data", "x", "--scores", "y"], "give --data or --scores, not both", id="two inputs"),
        pytest.param([], "carries no scores.csv: give --data DIR or --scores CSV", id="no input"),
    ],
)
def test_usage_errors(run, tiny_bundle, options, message):
    result = run(tiny_bundle().path, *options)
    assert result.exit_code == 2
    assert message in result.stderr


def test_as_a_process(tiny_bundle, parts):
    bundle = tiny_bundle()
    program = Path(sys.executable).with_name("inandout-calibrate")

    def call(*arguments):
        return subprocess.run([program, bundle.path, *arguments], capture_output=True, text=True, check=False)

    refused = call("--data", parts, "--policy", "recall>=0.99")
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1)
    assert refused.stderr.startswith("error: recall>=0.99 cannot be guaranteed with confidence 0.95: 299 defects")
    done = call("--data", parts, "--policy", "fpr<=0.1", "--json", "--threads", "1")
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)["calibration"]
    assert document["guarantee"]["method"].endswith("0 of the 30 good images may raise an alarm")
    assert json.loads((bundle.path / MANIFEST).read_text())["calibration"] == document
    # the threshold lies between the darkest good part and the defect below it
    greys = np.array([130, 91])
    p = 1 / (1 + np.exp(-((5 - 10 * greys / 255) / document["temperature"] + document["bias"])))
    assert p[0] < document["threshold"] < p[1]


def test_help_loads_nothing_heavy():
    script = "import sys, calibration.cli as c; c.command.main(['-h'], standalone_mode=False); print(list(sys.modules))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert "Choose the threshold of BUNDLE" in found
    for module in ("numpy", "cv2", "sklearn", "scipy", "matplotlib", "pydantic", "rich", "onnxruntime", "torch"):
        assert f"'{module}'" not in found
