import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from inspector.errors import InandoutError
from inspector.preprocess import InputSpec
from trainer.augment.memseg import MemSeg
from trainer.cli import cli
from trainer.data import readers, synth


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("generate") / "data"
    synth.synthesise(folder, n_good=10, n_defect=4, width=48, height=64, seed=0)
    return folder


def _generate(*arguments: object):
    return CliRunner().invoke(cli, ["generate", *map(str, arguments)])


def test_images_masks_records_and_sheet_are_written(data, tmp_path):
    output = tmp_path / "out"
    result = _generate("--data", data, "--output", output, "--n", 5, "--width", 32, "--height", 48, "--seed", 3)
    assert result.exit_code == 0, result.output
    assert str(output / "sheet.png") in result.output
    assert sorted(path.name for path in output.iterdir()) == ["images", "masks", "provenance.jsonl", "sheet.png"]
    records = [json.loads(line) for line in (output / "provenance.jsonl").read_text().splitlines()]
    good = [s.path for s in readers.read(data).samples if s.label == 0 and s.split == "train"]
    expected = MemSeg(good, InputSpec(width=32, height=48)).generate(5, 3)
    for record, image in zip(records, expected, strict=True):
        np.testing.assert_array_equal(cv2.imread(str(output / record["path"]))[..., ::-1], image.pixels)
        np.testing.assert_array_equal(cv2.imread(str(output / record["mask"]), cv2.IMREAD_UNCHANGED), image.mask)
        assert Path(record["source"]) in good
    assert len(records) == 5


def test_without_splits_every_good_image_serves(data, tmp_path):
    (tmp_path / "plain" / "good").mkdir(parents=True)
    (tmp_path / "plain" / "defect").mkdir()
    for number, sample in enumerate(readers.read(data).samples[:6]):
        (tmp_path / "plain" / ("good" if number < 4 else "defect") / sample.path.name).write_bytes(
            sample.path.read_bytes()
        )
    result = _generate(
        "--data", tmp_path / "plain", "--output", tmp_path / "out", "--n", 2, "--width", 32, "--height", 32
    )
    assert result.exit_code == 0, result.output
    assert "2 images on 4 good ones" in result.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["--data", "{data}", "--output", "{data}"], "is not empty", id="output in use"),
        pytest.param(["--data", "{tmp}/none", "--output", "{tmp}/out"], "none does not exist", id="no data"),
        pytest.param(["--data", "{data}", "--output", "{tmp}/out", "--layout", "x"], "unknown layout 'x'", id="layout"),
        pytest.param(["--data", "{data}", "--output", "{tmp}/out", "--textures", "{tmp}"], "no picture", id="textures"),
    ],
)
def test_refusals_leave_nothing(data, tmp_path, arguments, says):
    before = sorted(data.rglob("*"))
    result = _generate(*[argument.format(data=data, tmp=tmp_path) for argument in arguments])
    assert isinstance(result.exception, InandoutError)
    assert says in str(result.exception)
    assert "\n" not in str(result.exception)
    assert not list(tmp_path.iterdir())
    assert sorted(data.rglob("*")) == before


@pytest.mark.parametrize(
    "arguments", [["--n", "0"], ["--width", "8"], ["--generator", "magic"], ["--seed", "-1"]], ids=str
)
def test_wrong_usage_is_told_apart(tmp_path, arguments):
    assert _generate("--output", tmp_path / "out", *arguments).exit_code == 2
