"""`curve` from end to end on a small drawn set: real builds, killed in the middle, gone on with."""

import csv
import json

import pytest

from inspector.errors import InandoutError
from tests.trainer.cli.small_campaign import SmallCampaign

CELLS = ["0_real-memseg-4-seed0", "2_real-none-0-seed0", "2_real-memseg-4-seed0"]
curve = SmallCampaign(("curve", "--seeds", "1", "--augment", "memseg"), sets=("augment.n=4",))


@pytest.fixture(scope="module")
def killed(data, tmp_path_factory):
    """A curve that was killed while its second cell was being built, and gone on with: `(output, stamp, outcome)`."""
    output = tmp_path_factory.mktemp("out") / "curve"
    counts = ["--counts", "0,2,40"]
    process = curve.start_until(output / "cells" / CELLS[1] / "run" / "split" / "done.json", data, output, *counts)
    process.kill()
    process.communicate()
    first, second = (output / "cells" / name / "result.json" for name in CELLS[:2])
    assert first.exists()
    assert not second.exists()
    return output, first.stat().st_mtime_ns, curve(data, output, *counts)


@pytest.mark.slow
def test_killed_in_the_middle_the_same_command_goes_on(killed):
    output, stamp, outcome = killed
    assert outcome.exit_code == 0, outcome.output
    assert "cell 1 of 2: " + CELLS[1] in outcome.stderr
    assert "cell 2 of 2: " + CELLS[2] in outcome.stderr
    assert (output / "cells" / CELLS[0] / "result.json").stat().st_mtime_ns == stamp
    assert not list(output.glob("cells/*/run"))


@pytest.mark.slow
def test_defects_that_the_data_lacks_are_left_out_and_said(killed):
    output, _, outcome = killed
    assert "has 10 real defects to train on: 40 left out\n" in outcome.stderr
    assert "Training has 10 real defects, so 40 could not be built." in (output / "curve.html").read_text()


@pytest.mark.slow
def test_every_cell_trained_on_what_it_was_asked_for(killed):
    output, _, outcome = killed
    with (output / "curve.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [row["cell"] for row in rows] == CELLS
    assert [(row["real_defects"], row["synthetic_defects"]) for row in rows] == [("0", "4"), ("2", "0"), ("2", "4")]
    for row in rows:
        with (output / "cells" / row["cell"] / "scores.csv").open(newline="") as handle:
            judged = [one for one in csv.DictReader(handle) if one["split"] == "val"]
        assert int(row["good_images"]) + int(row["defect_images"]) == len(judged)
    for row in rows[1:]:  # the first was built before the kill
        assert f"{row['cell']}: validation AP {float(row['ap']):.3f}" in outcome.stderr
    assert "real alone" in outcome.stdout
    assert "written" in outcome.stdout


@pytest.mark.slow
def test_finished_cells_are_shown_again_and_not_built(killed, data):
    output, _, _ = killed
    again = curve(data, output, "--counts", "0,2", "--split", "test")
    assert again.exit_code == 0, again.output
    assert "cell 1 of" not in again.stderr
    document = json.loads((output / "curve.json").read_text())
    for cell in document["cells"]:
        stored = json.loads((output / "cells" / cell["cell"] / "result.json").read_text())
        assert cell["ap"] == pytest.approx(stored["metrics"]["ap"])
    plan = curve(data, output, "--counts", "0,2,all", "--dry-run")
    assert plan.exit_code == 0, plan.output
    lines = plan.stdout.splitlines()
    assert [line.split()[0] for line in lines if line.endswith("finished")] == CELLS
    assert lines[-1].startswith("2 of 5 cells to build: about ")
    assert lines[-1].endswith("from 3 finished cells")


@pytest.mark.parametrize(
    ("head", "source"),
    [("plain", "3 training steps, timed just now"), ("memory", "a training in which no head learns")],
)
def test_a_dry_run_on_new_ground_leaves_nothing(data, tmp_path, head, source):
    plan = curve(data, tmp_path / "out", "--dry-run", "--only", "all*", sets=[f"model.head={head}"])
    assert plan.exit_code == 0, plan.output
    assert plan.stdout.count("to build, ") == 2
    assert plan.stdout.endswith(f"from {source}, without the stages beside training\n")
    assert not (tmp_path / "out").exists()


def relabelled(data, folder, keep):
    """The set without the manifest's lines that `keep` refuses."""
    folder.mkdir()
    header, *lines = (data / "manifest.csv").read_text().splitlines()
    kept = [line for line in lines if keep(line.split(","))]
    (folder / "manifest.csv").write_text("\n".join([header, *kept]) + "\n")
    for name in ("images", "masks"):
        (folder / name).symlink_to(data / name)
    return folder


@pytest.mark.parametrize(
    ("keep", "says"),
    [
        (lambda row: row[1:3] != ["1", "val"], "has no defect to validate on: average precision needs both kinds"),
        (lambda row: row[1:3] != ["0", "val"], "has no good image to validate on"),
        (lambda row: row[1:3] != ["1", "train"], "training has 0 real defects, fewer than any of the --counts"),
    ],
    ids=["no defect in validation", "no good image in validation", "no defect in training"],
)
def test_images_that_can_measure_nothing_are_refused_in_one_line(data, tmp_path, keep, says):
    outcome = curve(relabelled(data, tmp_path / "data", keep), tmp_path / "out", "--counts", "1,5,all")
    assert isinstance(outcome.exception, InandoutError)
    assert says in str(outcome.exception)
    assert "\n" not in str(outcome.exception)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "sets", "says"),
    [
        (["--only", "few*"], [], "no such cell"),
        ([], ["data.few_shot=3"], "the curve decides"),
        ([], ["augment.n=0"], "augment.n is 0"),
        (["--recipe", "none"], [], "no recipe 'none'"),
        (["--weights", "gone"], [], "no weights at gone"),
    ],
    ids=["pattern", "set", "nothing synthetic", "recipe", "weights"],
)
def test_what_cannot_be_is_refused_at_once(data, tmp_path, more, sets, says):
    outcome = curve(data, tmp_path / "out", *more, sets=sets)
    assert isinstance(outcome.exception, InandoutError)
    assert says in str(outcome.exception)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("counts", ["", "five", "1,,5", "-1,5", "1.5", "all of them"])
def test_bad_counts_are_wrong_usage(tmp_path, counts):
    outcome = curve(tmp_path, tmp_path / "out", "--counts", counts)
    assert outcome.exit_code == 2
    assert "give e.g. 0,1,5,all" in " ".join(outcome.stderr.split())
