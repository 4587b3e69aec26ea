"""Stages: reuse, restart, continuation, and failures that leave nothing called done."""

import errno

import pytest

from inspector.errors import SinkError
from trainer import stages


def writer(calls, text="x"):
    def work(folder):
        calls.append(folder.name)
        (folder / "out.txt").write_text(text)

    return work


def test_a_stage_with_unchanged_inputs_is_reused(tmp_path):
    calls = []
    first = stages.run(tmp_path, "train", {"a": 1}, writer(calls))
    again = stages.run(tmp_path, "train", {"a": 1}, writer(calls))
    assert calls == ["train"]
    assert again.fingerprint == first.fingerprint


def test_other_inputs_start_from_an_empty_folder(tmp_path):
    stages.run(tmp_path, "train", {"a": 1}, writer([]))
    (tmp_path / "train" / "leftover").touch()
    outcome = stages.run(tmp_path, "train", {"a": 2}, writer([]))
    assert sorted(path.name for path in outcome.folder.iterdir()) == ["done.json", "inputs.json", "out.txt"]


def test_an_interrupted_stage_keeps_what_it_has_and_is_not_done(tmp_path):
    def half(folder):
        (folder / "checkpoint").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stages.run(tmp_path, "train", {"a": 1}, half)
    assert not stages.finished(tmp_path, "train", {"a": 1})
    found = []
    stages.run(tmp_path, "train", {"a": 1}, lambda folder: found.append((folder / "checkpoint").exists()))
    assert found == [True]
    assert stages.finished(tmp_path, "train", {"a": 1})


def test_a_full_disk_is_one_line_and_not_done(tmp_path):
    def full(folder):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(SinkError, match="No space left on device.*run again"):
        stages.run(tmp_path, "export", {}, full)
    assert not stages.finished(tmp_path, "export", {})


def test_json_is_replaced_whole_or_not_at_all(tmp_path):
    stages.write_json(tmp_path / "a.json", {"kept": 1})
    with pytest.raises(TypeError):
        stages.write_json(tmp_path / "a.json", {"broken": object()})
    assert stages.read_json(tmp_path / "a.json") == {"kept": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
