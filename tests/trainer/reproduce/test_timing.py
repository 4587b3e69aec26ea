"""Estimates of a plan's time, by hand."""

import pytest

from inspector.errors import DataError
from trainer.data import synth
from trainer.data.readers import read
from trainer.data.samples import DataSet
from trainer.reproduce import plan, timing
from trainer.reproduce.cells import Result
from trainer.reproduce.tables import TABLES
from trainer.reproduce.timing import Speed


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("timing") / "data"
    synth.synthesise(folder, n_good=20, n_defect=10, width=48, height=32, seed=0)
    return read(folder)


def planned(*numbers, seeds=1, assignments=("train.epochs=2", "input.width=48", "input.height=32", "data.few_shot=3")):
    overrides = {"augment.generator": "in_domain"}
    return plan.cells([TABLES[number] for number in numbers], "paper", seeds, overrides, assignments)


def finished(cell, *, draws, train, fine_tune=0.0, other):
    return cell, Result(
        cell=cell.name,
        digest="",
        metrics={},
        threshold=0.5,
        synthetic=cell.n,
        draws=draws,
        train_seconds=train,
        fine_tune_seconds=fine_tune,
        other_seconds=other,
        provenance={},
        finished="",
    )


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (0.4, "0 s"),
        (89, "89 s"),
        (90, "2 min"),
        (59 * 60, "59 min"),
        (3600 * 3 + 1200, "3 h 20 min"),
        (3599, "1 h 0 min"),
        (52 * 3600, "2 d 4 h"),
    ],
)
def test_durations_are_said_as_people_say_them(length, text):
    assert timing.duration(length) == text


def test_draws_are_normals_defects_of_the_scenario_and_synthetic_ones_times_epochs(dataset):
    # 60 % of 20 good and 10 defective images train
    found = timing.draws(planned(1, 3, 5), dataset)
    assert found["zero_shot-memseg-80-seed0"] == 2 * (12 + 80)
    assert found["few_shot-memseg-100-seed0"] == 2 * (12 + 3 + 100)
    assert found["full_shot-none-0-seed0"] == 2 * (12 + 6)


def test_a_scenario_without_its_defects_is_refused_before_anything_is_built(dataset):
    with pytest.raises(DataError, match="few-shot with 9 defects: train has 6"):
        timing.draws(planned(3, assignments=["data.few_shot=9"]), dataset)


def test_the_speed_of_finished_cells():
    memseg, *_, diffusion = planned(6)
    assert timing.of_finished([]) is None
    one = timing.of_finished([finished(memseg, draws=1000, train=50.0, other=7.0)])
    assert one == Speed(0.05, None, 7.0, None, "1 finished cell")
    both = timing.of_finished(
        [
            finished(memseg, draws=1000, train=50.0, other=7.0),
            finished(diffusion, draws=3000, train=250.0, fine_tune=600.0, other=90.0),
        ]
    )
    assert both == Speed(300.0 / 4000, 90.0, 7.0, 600.0, "2 finished cells")


def test_a_generator_is_counted_once_a_scenario_and_seed():
    cells = planned(6, seeds=2)
    speed = Speed(per_draw=0.1, generating=30.0, plain=5.0, fine_tune=1000.0, source="")
    drawn = {cell.name: 100 for cell in cells}
    expected = timing.forecast(cells, [], drawn, speed)
    assert expected["full_shot-memseg-80-seed0"] == pytest.approx(10 + 5)
    assert expected["full_shot-diffusion.in_domain-80-seed0"] == pytest.approx(10 + 30 + 1000)
    assert expected["full_shot-diffusion.in_domain-100-seed0"] == pytest.approx(10 + 30)
    assert sum(expected.values()) == pytest.approx(6 * 15 + 6 * 40 + 2 * 1000)
    fitted = next(cell for cell in cells if cell.generates)
    done = [finished(fitted, draws=1, train=1.0, other=1.0)]
    left = [cell for cell in cells if cell is not fitted]
    assert sum(timing.forecast(left, done, drawn, speed).values()) == pytest.approx(6 * 15 + 5 * 40 + 1000)


@pytest.mark.parametrize(
    ("numbers", "speed", "says"),
    [
        ((6,), Speed(1, None, None, None, ""), ", without the generators' own learning and drawing"),
        ((6,), Speed(1, None, 3.0, None, ""), ", without the generators' own learning and drawing"),
        ((6,), Speed(1, 9.0, 3.0, 9.0, ""), ""),
    ],
)
def test_what_an_estimate_leaves_out_is_said(numbers, speed, says):
    assert timing.caveat(planned(*numbers), speed) == says
    plain = [cell for cell in planned(*numbers) if not cell.generates]
    assert timing.caveat(plain, speed) == ("" if speed.plain else ", without the stages beside training")


def test_what_no_pending_cell_needs_is_not_missed():
    cells = planned(6)
    generating = [cell for cell in cells if cell.generates]
    speed = Speed(1, 9.0, None, 9.0, "")
    assert timing.caveat(generating, speed) == timing.caveat([], speed) == ""
    assert timing.caveat(cells, speed) == ", without the stages beside training"


def test_steps_are_timed_on_the_sets_own_images(dataset):
    from trainer.build.processes import open_accelerator

    sets = ["train.workers=0", "model.levels=[layer1]", "input.width=48", "input.height=32", "train.epochs=1"]
    cell = planned(5, assignments=sets)[0]
    speed = timing.of_steps(cell, dataset, open_accelerator("no"))
    assert 0 < speed.per_draw < 60
    assert speed.source == "3 training steps, timed just now"
    few = DataSet(dataset.root, dataset.layout, dataset.samples[:8])
    assert timing.of_steps(cell, few, open_accelerator("no")).per_draw > 0
