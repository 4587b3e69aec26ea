"""Bundles: written whole or not at all, verified to the last byte, never deleting what is no bundle."""

import io
import json
import shutil
import tarfile
from pathlib import Path

import pytest
from pydantic import ValidationError

from inspector import bundle
from inspector.errors import BundleError
from inspector.manifest import Calibration, Manifest


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def pack(folder: Path, archive: Path, prefix: str = "") -> Path:
    with tarfile.open(archive, "w") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, f"{prefix}{path.name}")
    return archive


def edit(folder: Path, change) -> None:
    path = folder / "manifest.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_round_trip(tiny_bundle, tmp_path: Path) -> None:
    made = tiny_bundle()
    again = bundle.load(tmp_path / "bundle")
    assert again == made
    assert again.identity.startswith("tiny@") and len(again.identity) == len("tiny@") + 12
    assert entries(tmp_path) == ["bundle"] and entries(tmp_path / "bundle") == ["manifest.json", "model.onnx"]


def test_files_that_are_not_listed_are_let_be(tiny_bundle, tmp_path: Path) -> None:
    made = tiny_bundle()
    (tmp_path / "bundle" / "notes.txt").write_text("ours")
    assert bundle.load(tmp_path / "bundle") == made


@pytest.mark.parametrize("prefix", ["", "./", "bundle/"], ids=["top level", "dot", "one folder"])
def test_archive(tiny_bundle, tmp_path: Path, prefix: str) -> None:
    made = tiny_bundle()
    loaded = bundle.load(pack(made.folder, tmp_path / "b.tar", prefix))
    assert (loaded.manifest, loaded.identity) == (made.manifest, made.identity)
    assert loaded.model_path().read_bytes() == made.model_path().read_bytes()


def test_unknown_rung(tiny_bundle) -> None:
    with pytest.raises(BundleError, match="no int8 model"):
        tiny_bundle().model_path("int8")


DAMAGE = {
    "flipped byte": (lambda b: b.joinpath("model.onnx").write_bytes(b"X" + (b / "model.onnx").read_bytes()[1:]),
                     "model.onnx does not match"),
    "cut model": (lambda b: b.joinpath("model.onnx").write_bytes((b / "model.onnx").read_bytes()[:-1]),
                  "model.onnx does not match"),
    "missing model": (lambda b: (b / "model.onnx").unlink(), "model.onnx is missing"),
    "linked model": (lambda b: (b / "model.onnx").rename(b / "m") and (b / "model.onnx").symlink_to("m"),
                     "model.onnx is missing or not a regular"),
    "missing manifest": (lambda b: (b / "manifest.json").unlink(), "manifest.json is missing"),
    "no JSON": (lambda b: (b / "manifest.json").write_text("{"), "is not JSON"),
    "not UTF-8": (lambda b: (b / "manifest.json").write_bytes(b'{"a": "\xff"}'), "is not JSON"),
    "nested too deep": (lambda b: (b / "manifest.json").write_text("[" * 100_000), "is not JSON"),
    "a list": (lambda b: (b / "manifest.json").write_text("[]"), "format version None"),
    "future version": (lambda b: edit(b, lambda d: d.update(format_version=2)), "format version 2, .* reads 1"),
    "unknown key": (lambda b: edit(b, lambda d: d.update(colour=1)), "colour: Extra inputs"),
    "NaN": (lambda b: edit(b, lambda d: d["provenance"].update(x=float("nan"))), "NaN is not a number"),
    "threshold of 2": (lambda b: edit(b, lambda d: d["calibration"].update(threshold=2)), "calibration.threshold"),
    "path out of the folder": (lambda b: edit(b, lambda d: d["models"][0].update(path="../m.onnx")), "models.0.path"),
    "hidden path": (lambda b: edit(b, lambda d: d["models"][0].update(path=".x")), "models.0.path"),
    "no fp32 rung": (lambda b: edit(b, lambda d: d["models"][0].update(precision="int8")), "one fp32 rung"),
    "a file twice": (lambda b: edit(b, lambda d: d.update(files=[{k: v for k, v in d["models"][0].items()
                                                                  if k != "precision"}])), "listed twice"),
}  # fmt: skip


@pytest.mark.parametrize(("harm", "message"), DAMAGE.values(), ids=DAMAGE)
def test_damage_is_named_in_one_line(tiny_bundle, harm, message: str) -> None:
    folder = tiny_bundle().folder
    harm(folder)
    with pytest.raises(BundleError, match=message) as caught:
        bundle.load(folder)
    assert "\n" not in str(caught.value) and str(folder) in str(caught.value)


def member(name: str, **attributes: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for key, value in attributes.items():
        setattr(info, key, value)
    return info


EVIL = {
    "parent folder": member("../evil"),
    "absolute": member("/evil"),
    "inside then out": member("a/../../evil"),
    "deep": member("a/b/c"),
    "symbolic link": member("model.onnx", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "hard link": member("model.onnx", type=tarfile.LNKTYPE, linkname="/etc/passwd"),
    "device": member("model.onnx", type=tarfile.CHRTYPE),
    "pipe": member("model.onnx", type=tarfile.FIFOTYPE),
}


@pytest.mark.parametrize("info", EVIL.values(), ids=EVIL)
def test_archives_cannot_write_elsewhere(tmp_path: Path, info: tarfile.TarInfo) -> None:
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        tar.addfile(info)
    with pytest.raises(BundleError, match="does not belong in a bundle"):
        bundle.load(tmp_path / "evil.tar")
    assert entries(tmp_path) == ["evil.tar"]


def test_compressed_archive_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "b.tar", "w:gz") as tar:
        tar.addfile(member("zeros", size=2**20), io.BytesIO(bytes(2**20)))
    with pytest.raises(BundleError, match=r"uncompressed \.tar is wanted"):
        bundle.load(tmp_path / "b.tar")


def write_again(made: bundle.Bundle, destination: Path) -> bundle.Bundle:
    return bundle.write(destination, made.manifest, {"model.onnx": made.model_path()})


def test_write_replaces_a_bundle_whole(tiny_bundle, tmp_path: Path) -> None:
    old = tiny_bundle(tmp_path / "old", name="old")
    (old.folder / "stale.txt").write_text("x")
    new = tiny_bundle(tmp_path / "new", name="new")
    assert write_again(new, old.folder).manifest.name == "new"
    assert entries(old.folder) == ["manifest.json", "model.onnx"] and entries(tmp_path) == ["new", "old"]


def test_write_through_a_link_keeps_the_link(tiny_bundle, tmp_path: Path) -> None:
    new = tiny_bundle(tmp_path / "new", name="new")
    old = tiny_bundle(tmp_path / "old", name="old")
    link = tmp_path / "latest"
    link.symlink_to("old")
    write_again(new, link)
    assert link.is_symlink() and bundle.load(old.folder).manifest.name == "new"


@pytest.mark.parametrize("content", ["folder", "file"])
def test_write_never_deletes_what_is_no_bundle(tiny_bundle, tmp_path: Path, content: str) -> None:
    place = tmp_path / "home"
    if content == "folder":
        place.mkdir()
        (place / "thesis.txt").write_text("years")
    else:
        place.write_text("years")
    with pytest.raises(BundleError, match="is not a bundle and would be deleted"):
        write_again(tiny_bundle(), place)
    assert (place / "thesis.txt" if content == "folder" else place).read_text() == "years"


def test_failed_write_leaves_the_old_one(tiny_bundle, tmp_path: Path) -> None:
    old = tiny_bundle(tmp_path / "old", name="old")
    broken = tiny_bundle(tmp_path / "broken")
    broken.model_path().write_bytes(b"other")
    with pytest.raises(BundleError, match="does not match its checksum"):
        write_again(broken, old.folder)
    assert bundle.load(old.folder) == old and entries(tmp_path) == ["broken", "old"]


def test_manifest_and_files_must_agree(tiny_bundle, tmp_path: Path) -> None:
    made = tiny_bundle()
    with pytest.raises(BundleError, match=r"extra\.txt"):
        bundle.write(tmp_path / "b", made.manifest, {"model.onnx": made.model_path(), "extra.txt": Path("x")})
    assert entries(tmp_path) == ["bundle"]


def test_recalibrate_keeps_the_history(tiny, tiny_bundle, tmp_path: Path) -> None:
    made = tiny_bundle()
    second = bundle.recalibrate(made.folder, tiny.calibration(0.7))
    third = bundle.recalibrate(made.folder, tiny.calibration(0.2, review_band=(0.1, 0.3)))
    assert [point.threshold for point in third.manifest.history] == [0.5, 0.7]
    assert third.manifest.calibration.review_band == (0.1, 0.3)
    assert len({made.identity, second.identity, third.identity}) == 3
    assert entries(made.folder) == ["manifest.json", "model.onnx"]


def test_recalibrate_refuses_archives(tiny, tiny_bundle, tmp_path: Path) -> None:
    archive = pack(tiny_bundle().folder, tmp_path / "b.tar")
    with pytest.raises(BundleError, match="extract it"):
        bundle.recalibrate(archive, tiny.calibration())


def test_extracted_copy_is_complete_before_the_archive_goes(tiny_bundle, tmp_path: Path) -> None:
    archive = pack(tiny_bundle().folder, tmp_path / "b.tar")
    loaded = bundle.load(archive)
    archive.unlink()
    shutil.rmtree(tmp_path / "bundle")
    assert loaded.model_path().is_file()


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": float("nan")},
        {"temperature": 0},
        {"review_band": (0.6, 0.4)},
        {"review_band": (-0.1, 0.4)},
        {"bias": float("inf")},
        {"n_ok": -1},
        {"defects": "imaginary"},
    ],
    ids=str,
)
def test_calibration_refuses(tiny, wrong: dict) -> None:
    with pytest.raises(ValidationError):
        Calibration(**(tiny.calibration().model_dump() | wrong))


def test_manifest_survives_json(tiny_bundle) -> None:
    manifest = tiny_bundle().manifest
    assert Manifest.model_validate_json(manifest.model_dump_json()) == manifest
