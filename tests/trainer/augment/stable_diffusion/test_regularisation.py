"""Regularisation images: what is drawn, and what is reused."""

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from inspector.errors import SinkError
from trainer.augment.stable_diffusion import regularisation
from trainer.interruption import Interrupted


def _sum(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*.png"))}


class Pictures:
    """Draws flat pictures and remembers which were asked for."""

    def __init__(self, stop_at: int | None = None, error: Exception | None = None) -> None:
        self.stop_at, self.error, self.drawn = stop_at, error, []

    def __call__(self, numbers):
        for number in numbers:
            if number == self.stop_at:
                raise self.error
            self.drawn.append(number)
            yield np.full((8, 8, 3), number, np.uint8)


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), Interrupted("stop")], ids=["full disk", "stop"]
)
def test_regularisation_goes_on_where_it_stopped(tmp_path, error):
    folder = tmp_path / "regularisation"
    with pytest.raises(SinkError if isinstance(error, OSError) else Interrupted):
        regularisation.complete(folder, 5, {"a": 1}, Pictures(3, error))
    before, pictures = _sum(folder), Pictures()
    assert list(before) == ["00000.png", "00001.png", "00002.png"]
    paths = regularisation.complete(folder, 5, {"a": 1}, pictures)
    assert pictures.drawn == [3, 4]
    assert [cv2.imread(str(path))[0, 0, 0] for path in paths] == [0, 1, 2, 3, 4]
    assert before.items() <= _sum(folder).items()


@pytest.mark.parametrize(
    ("spoil", "redrawn"),
    [
        pytest.param(lambda folder: None, [], id="nothing"),
        pytest.param(lambda folder: (folder / "00001.png").unlink(), [1], id="one gone"),
        pytest.param(lambda folder: (folder / "00001.png").write_bytes(b"half"), [1], id="one damaged"),
        pytest.param(lambda folder: (folder / "record.json").write_text("{"), [0, 1, 2], id="record damaged"),
        pytest.param(lambda folder: (folder / "record.json").unlink(), [0, 1, 2], id="record gone"),
        pytest.param(lambda folder: (folder / "00003.png").write_bytes(b"more"), [], id="a further file"),
    ],
)
def test_only_whole_regularisation_images_are_reused(tmp_path, spoil, redrawn):
    regularisation.complete(tmp_path, 3, {"a": 1}, Pictures())
    spoil(tmp_path)
    pictures = Pictures()
    regularisation.complete(tmp_path, 3, {"a": 1}, pictures)
    assert pictures.drawn == redrawn


def test_regularisation_images_of_another_prompt_are_drawn_anew(tmp_path):
    regularisation.complete(tmp_path, 2, {"prompt": "background"}, Pictures())
    pictures = Pictures()
    regularisation.complete(tmp_path, 2, {"prompt": "surface"}, pictures)
    assert pictures.drawn == [0, 1]


def test_a_stopped_regularisation_of_another_prompt_leaves_no_mixture(tmp_path):
    regularisation.complete(tmp_path, 3, {"prompt": "background"}, Pictures())
    with pytest.raises(Interrupted):
        regularisation.complete(tmp_path, 3, {"prompt": "surface"}, Pictures(1, Interrupted("stop")))
    pictures = Pictures()
    regularisation.complete(tmp_path, 3, {"prompt": "surface"}, pictures)
    assert pictures.drawn == [1, 2]
