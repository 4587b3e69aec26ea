"""`reproduce` from end to end on a small drawn set: real builds, an interruption, a failing cell, a generator."""

import csv
import json
import signal

import pytest

from inspector.errors import InandoutError
from tests.trainer.cli.small_campaign import SmallCampaign
from trainer.augment.in_domain.generator import InDomain
from trainer.recipe import resolve

NONE, MEMSEG, PAINTED = (f"full_shot-{kind}-seed0" for kind in ("none-0", "memseg-80", "diffusion.inpaint-80"))
reproduce = SmallCampaign(
    ("reproduce", "--generator", "inpaint"), sets=("gate.enabled=false", "inpaint.base=/nowhere/at/all")
)
reproduce_in_domain = SmallCampaign(
    ("reproduce", "--generator", "in_domain"),
    sets=(
        "gate.enabled=false",
        "in_domain.codec=small",
        "in_domain.codec_steps=10",
        "in_domain.channels=[16, 32]",
        "in_domain.steps=10",
        "in_domain.sampler_steps=2",
    ),
)


@pytest.fixture(scope="module")
def first(data, tmp_path_factory):
    """Two cells that build and one that cannot."""
    output = tmp_path_factory.mktemp("out") / "reproduce"
    only = [word for name in (NONE, PAINTED, MEMSEG) for word in ("--only", name)]
    return output, reproduce(data, output, "--table", "5", "--table", "6", "--seeds", "1", *only)


def test_a_failing_cell_is_named_in_one_line_and_the_others_run_on(first):
    output, outcome = first
    assert isinstance(outcome.exception, InandoutError)
    message = str(outcome.exception)
    assert message.startswith(f"1 of 3 cells failed, run again to retry them: {PAINTED}: ")
    assert "/nowhere/at/all" in message
    assert "\n" not in message
    assert f"{PAINTED} failed: " in outcome.stderr
    for name in (NONE, MEMSEG):
        assert sorted(path.name for path in (output / "cells" / name).iterdir()) == [
            "recipe.yaml",
            "result.json",
            "scores.csv",
        ]
    assert not (output / "cells" / PAINTED / "result.json").exists()


def test_the_tables_show_the_builds_own_figures_beside_the_published_ones(first):
    output, outcome = first
    assert outcome.stdout.count("Table 5: In&Out") == outcome.stdout.count("Table 6: MemSeg") == 1
    for number, label, n, name in ((5, "In&Out", "0", NONE), (6, "MemSeg", "80", MEMSEG)):
        result = json.loads((output / "cells" / name / "result.json").read_text())
        with (output / f"table-{number}.csv").open(newline="") as handle:
            rows = [row for row in csv.DictReader(handle) if (row["augmentation"], row["n_aug"]) == (label, n)]
        assert {row["metric"]: float(row["ours_mean"]) for row in rows} == {
            metric: pytest.approx(result["metrics"][metric]) for metric in ("ap", "precision", "recall")
        }
        assert {row["seeds"] for row in rows} == {"1"}
        assert f"{result['metrics']['ap']:.3f}".lstrip("0") in outcome.stdout
        assert all(
            float(row["ours_low"]) - 1e-9 <= float(row["ours_mean"]) <= float(row["ours_high"]) + 1e-9 for row in rows
        )
    assert ".747 (.055)" in outcome.stdout


def test_the_stored_recipe_builds_the_cell(first):
    output, _ = first
    recipe = resolve(str(output / "cells" / MEMSEG / "recipe.yaml"), {})
    assert (recipe.scenario, recipe.augment.kind, recipe.augment.n, recipe.seed) == ("full_shot", "memseg", 80, 0)
    assert recipe.train.epochs == 1


def test_finished_cells_are_not_built_again_and_tell_the_time(first, data):
    output, _ = first
    stamps = {path: path.stat().st_mtime_ns for path in output.rglob("result.json")}
    again = reproduce(data, output, "--table", "5", "--seeds", "1", "--only", NONE)
    assert again.exit_code == 0, again.output
    assert "cell 1 of" not in again.stderr
    assert {path: path.stat().st_mtime_ns for path in output.rglob("result.json")} == stamps
    plan = reproduce(data, output, "--table", "5", "--table", "6", "--seeds", "1", "--dry-run")
    assert plan.exit_code == 0, plan.output
    lines = plan.stdout.splitlines()
    assert len(lines) == 10 + 1
    assert [line.split()[0] for line in lines if line.endswith("finished")] == [NONE, MEMSEG]
    assert [line.split()[0] for line in lines if "  begun, " in line] == [PAINTED]
    assert lines[-1].startswith("8 of 10 cells to build: about ")
    assert lines[-1].endswith("from 2 finished cells, without the generators' own learning and drawing")


@pytest.mark.parametrize(
    ("head", "source"),
    [("plain", "3 training steps, timed just now"), ("memory", "a training in which no head learns")],
)
def test_a_dry_run_on_new_ground_times_a_few_steps_and_leaves_nothing(data, tmp_path, head, source):
    words = ["--table", "1", "--seeds", "2", "--dry-run"]
    plan = reproduce(data, tmp_path / "out", *words, sets=[f"model.head={head}"])
    assert plan.exit_code == 0, plan.output
    assert plan.stdout.count("to build, ") == 12
    assert f"from {source}" in plan.stdout
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "sets", "says"),
    [
        (["--table", "1", "--only", "few*"], [], "no such cell"),
        (["--table", "1"], ["augment.n=3"], "the table decides"),
        (["--table", "3"], ["data.few_shot=40"], "few-shot with 40 defects"),
        (["--table", "1", "--recipe", "none"], [], "no recipe 'none'"),
        (["--table", "1", "--weights", "gone"], [], "no weights at gone"),
        (["--table", "1", "--layout", "coco"], [], "data.layout"),
    ],
    ids=["pattern", "set", "few defects", "recipe", "weights", "layout"],
)
def test_what_cannot_be_is_refused_at_once(data, tmp_path, more, sets, says):
    outcome = reproduce(data, tmp_path / "out", *more, sets=sets)
    assert isinstance(outcome.exception, InandoutError)
    assert says in str(outcome.exception)
    assert "\n" not in str(outcome.exception)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "more", [[], ["--table", "7"], ["--table", "1", "--seeds", "0"], ["--generator", "gan"]], ids=str
)
def test_wrong_usage_is_told_apart(tmp_path, more):
    assert reproduce(tmp_path, tmp_path / "out", *more).exit_code == 2


@pytest.mark.slow
def test_interrupted_it_ends_with_one_line_and_goes_on_there(data, tmp_path):
    output = tmp_path / "out"
    sets = ["train.epochs=3", "train.checkpoint_seconds=0.01"]
    words = ["--table", "5", "--seeds", "1", "--only", NONE]
    state = output / "cells" / NONE / "run" / "train" / "checkpoint" / "state.json"
    process = reproduce.start_until(state, data, output, *words, sets=sets)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 1
    last = errors.strip().splitlines()[-1]
    assert last.startswith(f"error: {NONE}: interrupted ")
    assert "Traceback" not in errors
    again = reproduce(data, output, *words, sets=sets)
    assert again.exit_code == 0, again.output
    for epoch in ("1/3", "2/3", "3/3"):  # each one ended once
        assert (f"epoch   {epoch}" in errors) + (f"epoch   {epoch}" in again.stderr) == 1
    assert (output / "cells" / NONE / "result.json").exists()
    assert not (output / "cells" / NONE / "run").exists()


@pytest.mark.slow
def test_cells_of_a_scenario_draw_with_one_generator_fitted_once(data, tmp_path, monkeypatch):
    fitted = []
    fit = InDomain.fit
    monkeypatch.setattr(InDomain, "fit", lambda self, folder, *more: (fitted.append(folder), fit(self, folder, *more)))
    output = tmp_path / "out"
    numbers = [word for number in "1256" for word in ("--table", number)]
    words = [*numbers, "--seeds", "1", "--only", "*.in_domain-80-*"]
    outcome = reproduce_in_domain(data, output, *words)
    assert outcome.exit_code == 0, outcome.output

    names = {
        (scenario, kind): f"{scenario}-{kind}.in_domain-80-seed0"
        for scenario in ("zero_shot", "full_shot")
        for kind in ("diffusion", "in_and_out")
    }
    results = {key: json.loads((output / "cells" / name / "result.json").read_text()) for key, name in names.items()}
    for scenario in ("zero_shot", "full_shot"):
        pair = [results[scenario, kind] for kind in ("diffusion", "in_and_out")]
        assert [result["synthetic"] for result in pair] == [80, 80]
        assert [result["real"] for result in pair] == [0 if scenario == "zero_shot" else 10] * 2
        assert pair[0]["fine_tune_seconds"] == pair[1]["fine_tune_seconds"] > 0
        assert sum(folder.parents[1].name in (result["cell"] for result in pair) for folder in fitted) == 1
    assert len(fitted) == 2

    published = {
        (1, "DDPM", "zero_shot", "diffusion"): ".547 (.086)",
        (2, "In&Out", "zero_shot", "in_and_out"): ".556 (.085)",
        (5, "In&Out", "full_shot", "in_and_out"): ".747 (.022)",
        (6, "DDPM", "full_shot", "diffusion"): ".758 (.007)",
    }
    lines = [" ".join(line.split()) for line in outcome.stdout.splitlines()]
    for (number, label, *key), theirs in published.items():
        ours = results[*key]["metrics"]["ap"]
        with (output / f"table-{number}.csv").open(newline="") as handle:
            [row] = [
                row
                for row in csv.DictReader(handle)
                if (row["augmentation"], row["n_aug"], row["metric"]) == (label, "80", "ap")
            ]
        assert float(row["ours_mean"]) == pytest.approx(ours)
        assert f"{row['published_mean']} ({row['published_std']})".replace("0.", ".") == theirs
        shown = f"{ours:.3f}".removeprefix("0")
        assert any(line.startswith(f"{label} 80 {theirs} {shown} ") for line in lines)

    stamps = {path: path.stat().st_mtime_ns for path in output.rglob("result.json")}
    again = reproduce_in_domain(data, output, *words)
    assert again.exit_code == 0, again.output
    assert "cell 1 of" not in again.stderr
    assert again.stdout == outcome.stdout
    assert len(fitted) == 2
    assert {path: path.stat().st_mtime_ns for path in output.rglob("result.json")} == stamps
