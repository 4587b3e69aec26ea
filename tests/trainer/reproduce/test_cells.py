"""What is stored of a cell, when it counts as finished, and which stages go from cell to cell."""

import json
from pathlib import Path

import pytest

from inspector.errors import DataError, InandoutError
from trainer.data.samples import DataSet, Sample
from trainer.recipe import resolve
from trainer.reproduce import cells, plan
from trainer.reproduce.cells import Result, Workshop
from trainer.reproduce.tables import TABLES


def planned(numbers=(6,), seeds=1, assignments=()):
    overrides = {"augment.generator": "in_domain"}
    return {
        cell.name: cell
        for cell in plan.cells([TABLES[number] for number in numbers], "paper", seeds, overrides, assignments)
    }


@pytest.fixture
def workshop(tmp_path):
    return Workshop(data=tmp_path / "data", weights="none", material="m", output=tmp_path / "out")


def result(cell, workshop, **changes):
    figures = {"ap": 0.5, "precision": 0.5, "recall": 0.5}
    fields = {
        "cell": cell.name,
        "digest": workshop.digest(cell),
        "metrics": figures,
        "threshold": 0.5,
        "synthetic": cell.n,
        "draws": 1000,
        "train_seconds": 100.0,
        "fine_tune_seconds": 0.0,
        "other_seconds": 10.0,
        "provenance": {},
        "finished": "2026-01-01T00:00:00+00:00",
    }
    return Result(**fields | changes)


def finish(cell, workshop):
    workshop.folder(cell).mkdir(parents=True, exist_ok=True)
    (workshop.folder(cell) / "result.json").write_text(result(cell, workshop).model_dump_json())


def begin(cell, workshop, *stages):
    for stage in stages:
        folder = workshop.run(cell) / stage
        folder.mkdir(parents=True)
        (folder / "done.json").write_text(json.dumps({"of": cell.name}))


def owner(cell, workshop, stage):
    return json.loads((workshop.run(cell) / stage / "done.json").read_text())["of"]


MEMSEG, DIFFUSION = "full_shot-memseg-80-seed0", "full_shot-diffusion.in_domain-80-seed0"


@pytest.mark.parametrize(
    ("assignments", "material", "finished"),
    [
        ([], "m", True),
        (["train.workers=0", "stable_diffusion.batch=1"], "m", True),
        (["train.epochs=3"], "m", False),
        ([], "other images or weights", False),
    ],
)
def test_a_cell_is_finished_while_nothing_that_decides_it_changes(workshop, assignments, material, finished):
    finish(planned()[MEMSEG], workshop)
    later = Workshop(workshop.data, workshop.weights, material, workshop.output)
    assert (later.finished(planned(assignments=assignments)[MEMSEG]) is not None) is finished


@pytest.mark.parametrize("content", ["", "{", '{"cell": "x"}'], ids=["empty", "cut off", "lacks fields"])
def test_a_damaged_result_is_built_again(workshop, content, caplog):
    cell = planned()[MEMSEG]
    finish(cell, workshop)
    (workshop.folder(cell) / "result.json").write_text(content)
    assert workshop.finished(cell) is None
    assert "built again" in caplog.text


def test_a_finished_cells_run_folder_moves_on(workshop):
    found = planned()
    begin(found[MEMSEG], workshop, "index", "split", "train")
    finish(found[MEMSEG], workshop)
    cells._take_over(found[DIFFUSION], list(found.values()), workshop)
    assert owner(found[DIFFUSION], workshop, "split") == MEMSEG
    assert not workshop.run(found[MEMSEG]).exists()


@pytest.mark.parametrize("keep", [False, True], ids=["unfinished", "kept"])
def test_of_an_unfinished_or_kept_one_shared_stages_are_copied(workshop, keep):
    found = planned()
    workshop = Workshop(workshop.data, workshop.weights, workshop.material, workshop.output, keep)
    begin(found[MEMSEG], workshop, "index", "split", "generate", "train")
    if keep:
        finish(found[MEMSEG], workshop)
    cells._take_over(found[DIFFUSION], list(found.values()), workshop)
    assert sorted(path.name for path in workshop.run(found[DIFFUSION]).iterdir()) == ["index", "split"]
    assert owner(found[MEMSEG], workshop, "train") == MEMSEG


def test_the_folder_with_a_fitted_generator_goes_first_and_other_divisions_give_the_index_alone(workshop):
    found = planned(seeds=2)
    one, fitted, other = MEMSEG, "full_shot-diffusion.in_domain-100-seed0", "full_shot-memseg-80-seed1"
    begin(found[one], workshop, "index", "split")
    begin(found[fitted], workshop, "index", "split", "fine_tune")
    begin(found[other], workshop, "index", "split", "fine_tune")
    cells._take_over(found[DIFFUSION], list(found.values()), workshop)
    assert owner(found[DIFFUSION], workshop, "fine_tune") == fitted
    scenario = planned([1])["zero_shot-memseg-80-seed0"]
    cells._take_over(scenario, [*found.values(), scenario], workshop)
    assert [path.name for path in workshop.run(scenario).iterdir()] == ["index"]
    assert all(workshop.run(found[name]).exists() for name in (one, other, DIFFUSION))


def test_a_run_folder_of_its_own_is_gone_on_with(workshop):
    found = planned()
    begin(found[DIFFUSION], workshop, "index")
    begin(found[MEMSEG], workshop, "index", "split")
    finish(found[MEMSEG], workshop)
    cells._take_over(found[DIFFUSION], list(found.values()), workshop)
    assert owner(found[DIFFUSION], workshop, "index") == DIFFUSION
    assert workshop.run(found[MEMSEG]).exists()


@pytest.mark.parametrize("keep", [False, True])
def test_only_unfinished_runs_are_left_unless_they_are_kept(workshop, keep):
    found = planned()
    workshop = Workshop(workshop.data, workshop.weights, workshop.material, workshop.output, keep)
    for name in (MEMSEG, DIFFUSION):
        begin(found[name], workshop, "index")
    finish(found[MEMSEG], workshop)
    cells.tidy(list(found.values()), workshop)
    assert workshop.run(found[MEMSEG]).exists() is keep
    assert workshop.run(found[DIFFUSION]).exists()
    assert workshop.finished(found[MEMSEG])


def samples(tmp_path, *rows):
    made = []
    for number, (label, split) in enumerate(rows):
        path = tmp_path / f"{number}.png"
        path.write_bytes(b"x" * (number + 1))
        made.append(Sample(path, label, split))
    return DataSet(tmp_path, "folders", tuple(made))


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([(0, ""), (1, "")], None),
        ([(0, "train"), (1, "train"), (0, "test"), (1, "test")], None),
        ([(0, "train"), (1, "train"), (0, "test")], "no defect"),
        ([(0, "train"), (1, "train"), (1, "test")], "no good image"),
        ([(0, ""), (0, "")], "no defect"),
    ],
)
def test_a_set_that_can_measure_nothing_is_refused(tmp_path, rows, says):
    dataset = samples(tmp_path, *rows)
    if says is None:
        cells.require_both_kinds(dataset)
        return
    with pytest.raises(DataError, match=says):
        cells.require_both_kinds(dataset)


def test_the_material_is_told_by_content_not_by_place(tmp_path):
    rows = [(0, "train"), (1, "test")]
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    one, two = (cells.material(samples(folder, *rows), "none") for folder in folders)
    assert one == two
    assert cells.material(samples(folders[0], (0, "train"), (0, "test")), "none") != one
    (folders[1] / "0.png").write_bytes(b"another size")
    found = DataSet(folders[1], "folders", samples(tmp_path, *rows).samples)
    moved = [Sample(folders[1] / s.path.name, s.label, s.split) for s in found.samples]
    assert cells.material(DataSet(folders[1], "folders", tuple(moved)), "none") != one
    weights = tmp_path / "w.safetensors"
    weights.write_bytes(b"w")
    assert cells.material(samples(folders[0], *rows), str(weights)) != one
    with pytest.raises(InandoutError, match="no weights at"):
        cells.material(samples(folders[0], *rows), str(Path("nowhere")))


@pytest.mark.parametrize(
    ("labels", "synthetic", "share", "draws"),
    [
        ([0] * 10 + [1] * 2, 0, None, 2 * 12),
        ([0] * 10 + [1] * 2, 8, None, 2 * 20),
        ([0] * 10, 5, 0.5, 2 * 20),  # defects repeated until they are half
    ],
)
def test_draws_of_a_training(labels, synthetic, share, draws):
    recipe = resolve("paper", {"train.epochs": 2, "train.defect_share": share}, [])
    assert cells.training_draws(labels, synthetic, recipe) == draws
