"""From the archive to the folder, with a small archive on a loopback server."""

import hashlib
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from inspector.errors import DataError
from trainer.data.ksdd2_archive import fetch
from trainer.data.readers import read

COUNTS = {("train", 0): 2, ("train", 1): 1, ("test", 0): 1, ("test", 1): 1}
IMAGES = {
    "train/10000": False,
    "train/10001": False,
    "train/10301": True,
    "test/20000": False,
    "test/20001": True,
}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def members(draw, tmp_path):
    """Archive name -> bytes, as in the official archive: a stray copy and weak-label files among the images."""
    found = {}
    for name, marked in IMAGES.items():
        found[f"{name}.png"] = draw(f"made/{name}.png").read_bytes()
        found[f"{name}_GT.png"] = draw(f"made/{name}_GT.png", marked=marked).read_bytes()
    found["train/10301 (copy).png"] = found["train/10301.png"]
    found["train/10301_GT (copy).png"] = found["train/10301_GT.png"]
    found["split_weakly_0.pyb"] = b"\x80\x04pickle"
    return found


def pack(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("prefix", ["", "KolektorSDD2/"])
def test_downloaded_checked_and_unpacked(prefix, members, tmp_path):
    served = tmp_path / "served"
    served.mkdir()
    sha256 = pack(served / "set.zip", {prefix + name: content for name, content in members.items()})
    seen = []
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=served)) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{http.server_port}/set.zip"
        fetch(tmp_path / "data", lambda done, total: seen.append((done, total)), url, sha256, COUNTS)
        http.shutdown()
    assert seen[-1][0] == seen[-1][1] == (served / "set.zip").stat().st_size
    names = sorted(p.relative_to(tmp_path / "data").as_posix() for p in (tmp_path / "data").rglob("*.*"))
    assert names == sorted([f"{n}.png" for n in IMAGES] + [f"{n}_GT.png" for n in IMAGES])
    assert [s.label for s in read(tmp_path / "data").samples] == [0, 1, 0, 0, 1]
    assert not (tmp_path / "KolektorSDD2.zip").exists()


def local(tmp_path, counts=COUNTS):
    """Unpack the archive that lies beside the output folder: no connection is made."""
    fetch(tmp_path / "data", lambda *_: None, "http://127.0.0.1:9/unused", None, counts)


def test_an_archive_that_is_there_is_used_and_kept(members, tmp_path):
    pack(tmp_path / "KolektorSDD2.zip", members)
    local(tmp_path)
    assert len(read(tmp_path / "data").samples) == 5
    assert (tmp_path / "KolektorSDD2.zip").exists()


def test_members_that_point_outside_are_not_written(members, tmp_path):
    evil = {"../train/9.png": b"x", "/train/9.png": b"x", "train/../../9.png": b"x", "a/b/train/9.png": b"x"}
    pack(tmp_path / "KolektorSDD2.zip", members | evil)
    local(tmp_path)
    assert not list(tmp_path.rglob("9.png"))


def flip(path):
    raw = bytearray(path.read_bytes())
    raw[100] ^= 1  # within the first image's bytes, which are stored as they are
    path.write_bytes(raw)


# name -> (what is done to the archive, message)
BAD = {
    "a flipped bit": (flip, "is damaged .*CRC"),
    "cut off": (lambda path: path.write_bytes(path.read_bytes()[:2000]), "is damaged"),
    "not a zip": (lambda path: path.write_bytes(b"<html>"), "is damaged"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_damaged_archive_leaves_no_folder(case, members, tmp_path):
    spoil, message = BAD[case]
    pack(tmp_path / "KolektorSDD2.zip", members)
    spoil(tmp_path / "KolektorSDD2.zip")
    with pytest.raises(DataError, match=message):
        local(tmp_path)
    assert not (tmp_path / "data").exists()


def test_other_counts_are_refused(members, tmp_path):
    pack(tmp_path / "KolektorSDD2.zip", members)
    with pytest.raises(DataError, match=r"good/defect images are train 2/1, test 1/1, expected train 2085/246"):
        fetch(tmp_path / "data", lambda *_: None)
    assert not (tmp_path / "data").exists()


def test_an_image_without_mask_is_refused_in_the_words_of_the_archive(members, tmp_path):
    del members["test/20001_GT.png"]
    pack(tmp_path / "KolektorSDD2.zip", members)
    with pytest.raises(DataError, match=r"KolektorSDD2\.zip is not KolektorSDD2") as caught:
        local(tmp_path)
    assert "test/20001.png: no 20001_GT.png" in str(caught.value)
    assert ".data." not in str(caught.value)


def test_a_folder_in_use_is_refused_before_any_download(members, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/mine.txt").write_text("keep")
    with pytest.raises(DataError, match="is not empty"):
        local(tmp_path)
    assert (tmp_path / "data/mine.txt").read_text() == "keep"
