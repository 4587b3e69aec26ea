"""Replacement is all or nothing."""

from pathlib import Path

import pytest

from inspector import atomic


def test_file_is_replaced_only_when_the_block_ends_well(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    with atomic.replacing(path) as handle:
        handle.write("one\n")
        assert not path.exists()
    with pytest.raises(ValueError, match="stop"), atomic.replacing(path) as handle:
        handle.write("two\n")
        raise ValueError("stop")
    assert path.read_text() == "one\n" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kernel", ["exchange", "three steps"])
@pytest.mark.parametrize("old", [True, False], ids=["replaces", "creates"])
def test_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kernel: str, old: bool) -> None:
    if kernel == "three steps":
        monkeypatch.setattr(atomic.ctypes, "CDLL", lambda *_, **__: object())
    new, place = tmp_path / "new", tmp_path / "place"
    new.mkdir()
    (new / "a").write_text("new")
    if old:
        place.mkdir()
        (place / "b").write_text("old")
    atomic.swap_in(new, place)
    assert [path.name for path in tmp_path.iterdir()] == ["place"]
    assert [path.name for path in place.iterdir()] == ["a"]
