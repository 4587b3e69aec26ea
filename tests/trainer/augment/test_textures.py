import cv2
import numpy as np
import pytest

from inspector.errors import DataError
from trainer.augment import textures


def test_find_searches_below_and_sorts(tmp_path):
    (tmp_path / "b").mkdir()
    for name in ("b/two.JPG", "one.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    assert textures.find(tmp_path) == [tmp_path / "b" / "two.JPG", tmp_path / "one.png"]


@pytest.mark.parametrize(
    ("folder", "says"),
    [
        pytest.param("empty", "holds no picture", id="empty folder"),
        pytest.param("missing", "does not exist", id="no such folder"),
        pytest.param("file.png", "does not exist", id="a file"),
    ],
)
def test_find_refuses(tmp_path, folder, says):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.png").write_bytes(b"x")
    with pytest.raises(DataError, match=says) as raised:
        textures.find(tmp_path / folder)
    assert folder in str(raised.value)


@pytest.mark.parametrize(
    "pixels",
    [
        pytest.param(np.full((40, 60), 77, np.uint8), id="mono"),
        pytest.param(np.full((40, 60), 77 * 257, np.uint16), id="16 bit"),
        pytest.param(np.full((300, 20, 3), 77, np.uint8), id="colour, narrow"),
        pytest.param(np.full((1, 1), 77, np.uint8), id="one pixel"),
    ],
)
def test_a_piece_of_any_file_fits(tmp_path, pixels):
    cv2.imwrite(str(tmp_path / "t.png"), pixels)
    for seed in range(5):
        piece = textures.from_file(tmp_path / "t.png", 48, 32, "full_range", np.random.default_rng(seed))
        assert piece.shape == (48, 32, 3)
        assert (piece == 77).all()


def test_pieces_differ_in_place(tmp_path):
    cv2.imwrite(str(tmp_path / "t.png"), np.random.default_rng(0).integers(0, 256, (90, 90, 3), np.uint8))
    pieces = {
        textures.from_file(tmp_path / "t.png", 48, 32, "full_range", np.random.default_rng(seed)).tobytes()
        for seed in range(10)
    }
    assert len(pieces) == 10


def test_every_rule_draws_a_picture_with_contrast():
    seen = set()
    for seed in range(60):
        picture, name = textures.procedural(60, 40, np.random.default_rng(seed))
        assert picture.shape == (60, 40, 3)
        assert picture.dtype == np.uint8
        assert picture.reshape(-1, 3).std(axis=0).max() > 4, name
        seen.add(name)
    assert seen == {"clouds", "veins", "stripes", "cells", "grain", "weave"}


@pytest.mark.parametrize(
    ("rows", "columns", "turn"), [(8, 4, False), (4, 8, True)], ids=["8 down where tall", "8 across where wide"]
)
def test_shuffling_moves_whole_cells_of_a_4_by_8_grid(rows, columns, turn):
    levels = np.arange(32, dtype=np.uint8).reshape(rows, columns)
    picture = np.repeat(np.kron(levels, np.ones((6, 6), np.uint8))[..., None], 3, axis=2)
    assert (picture.shape[1] > picture.shape[0]) == turn
    shuffled = textures.shuffled(picture, np.random.default_rng(0))
    cells = shuffled[..., 0].reshape(rows, 6, columns, 6).swapaxes(1, 2).reshape(32, 36)
    assert (cells == cells[:, :1]).all()
    assert sorted(cells[:, 0]) == list(range(32))
    assert (cells[:, 0] != np.arange(32)).sum() > 20


@pytest.mark.parametrize("size", [(600, 200), (17, 31), (16, 16)], ids=str)
def test_structural_keeps_the_shape_and_changes_the_part(size):
    part = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    source = textures.structural(part, np.random.default_rng(1))
    assert source.shape == part.shape
    assert (source != part).mean() > 0.5


def test_opposite_differs_everywhere_by_128():
    part = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    assert (np.abs(textures.opposite(part).astype(int) - part) == 128).all()
