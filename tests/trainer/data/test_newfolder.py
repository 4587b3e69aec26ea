import cv2
import numpy as np
import pytest

from inspector.errors import DataError, SinkError
from trainer.data.newfolder import new_folder, write_png


@pytest.mark.parametrize("exists", [False, True], ids=["new", "empty"])
def test_the_folder_appears_when_the_block_ends(tmp_path, exists):
    output = tmp_path / "deep" / "set"
    if exists:
        output.mkdir(parents=True)
    with new_folder(output) as folder:
        (folder / "a.txt").write_text("a")
        assert not output.exists() or not list(output.iterdir())
    assert (output / "a.txt").read_text() == "a"
    assert [path.name for path in output.parent.iterdir()] == ["set"]


def test_a_folder_with_files_is_refused_and_kept(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="is not empty"), new_folder(tmp_path / "set"):
        raise AssertionError("the block must not run")
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["mine.txt"]
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


@pytest.mark.parametrize(
    ("output", "kind", "says"),
    [
        pytest.param("file", DataError, "is a file", id="a file"),
        pytest.param("file/set", SinkError, "cannot write", id="below a file"),
    ],
)
def test_places_that_cannot_be_folders(tmp_path, output, kind, says):
    (tmp_path / "file").write_text("x")
    with pytest.raises(kind, match=says), new_folder(tmp_path / output):
        raise AssertionError("the block must not run")


def test_nothing_is_left_when_the_block_fails(tmp_path):
    with pytest.raises(ValueError, match="boom"), new_folder(tmp_path / "set") as folder:
        (folder / "a.txt").write_text("a")
        raise ValueError("boom")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 3)], ids=["mono", "colour"])
def test_pictures_are_written_as_they_are(tmp_path, shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    write_png(tmp_path / "a.png", pixels)
    read = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(read if read.ndim == 2 else read[..., ::-1], pixels)
