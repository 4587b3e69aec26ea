"""The walk over a folder: order, links, loops, and folders that cannot be listed."""

import os
from pathlib import Path

import pytest

from inspector.listing import images_in


def names(root: Path) -> list[str]:
    problems: list[str] = []
    found = [entry.name for entry in images_in(root, problems.append)]
    assert not problems
    return found


def touch(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")


def test_order_is_that_of_the_relative_paths(tmp_path: Path) -> None:
    """`a-b/x` sorts before `a/x` as a string although the folder `a` sorts before `a-b`."""
    touch(tmp_path, "b.png", "a/x.png", "a-b/x.png", "a.png", "a/b/c.PNG", "é/x.jpg", "Z.tif", "a0.webp")
    found = names(tmp_path)
    assert found == sorted(found) and len(found) == 8


def test_other_files_and_hidden_ones_are_skipped(tmp_path: Path) -> None:
    touch(tmp_path, "x.png", "x.txt", "png", ".hidden.png", ".git/x.png", "._x.png", "y.png.part")
    assert names(tmp_path) == ["x.png"]


def test_excluded_names(tmp_path: Path) -> None:
    touch(tmp_path, "1.png", "1_GT.png", "sub/2_GT.png", "sub_GT.png/3.png")
    assert [entry.name for entry in images_in(tmp_path, pytest.fail, ["*_GT.png", "*.bmp"])] == [
        "1.png",
        "sub_GT.png/3.png",
    ]


def test_folder_named_like_an_image_is_entered(tmp_path: Path) -> None:
    touch(tmp_path, "x.png/y.png")
    assert names(tmp_path) == ["x.png/y.png"]


def test_links(tmp_path: Path) -> None:
    touch(tmp_path / "else", "far.png")
    root = tmp_path / "root"
    touch(root, "sub/near.png")
    (root / "folder").symlink_to(tmp_path / "else")
    (root / "file.png").symlink_to(tmp_path / "else" / "far.png")
    (root / "sub" / "loop").symlink_to(root)
    (root / "sub" / "self").symlink_to(root / "sub")
    (root / "circle.png").symlink_to(root / "circle.png")
    (root / "dangling.png").symlink_to("nowhere")
    assert names(root) == ["circle.png", "dangling.png", "file.png", "folder/far.png", "sub/near.png"]


def test_size_and_time(tmp_path: Path) -> None:
    touch(tmp_path, "x.png")
    os.utime(tmp_path / "x.png", ns=(5, 7))
    (tmp_path / "y.png").symlink_to("nowhere")
    entries = list(images_in(tmp_path, pytest.fail))
    assert [(entry.size, entry.mtime_ns) for entry in entries] == [(1, 7), (-1, -1)]


def test_name_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.png")).write_bytes(b"x")
    (entry,) = images_in(tmp_path, pytest.fail)
    assert entry.name == "caf\\xe9.png" and entry.path.read_bytes() == b"x"


def test_folder_that_vanishes_is_told(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.png", "b/x.png")
    problems: list[str] = []
    walk = images_in(tmp_path, problems.append)
    assert next(walk).name == "a/x.png"
    (tmp_path / "b" / "x.png").unlink()
    (tmp_path / "b").rmdir()
    assert list(walk) == []
    assert problems == [f"cannot list {tmp_path / 'b'}: No such file or directory"]
