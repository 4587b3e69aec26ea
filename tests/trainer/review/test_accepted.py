"""What a build takes from the review."""

import subprocess
import sys

import cv2
import numpy as np
import pytest

from inspector.bundle import sha256_of
from trainer.review import accepted
from trainer.review.built import LastBuild
from trainer.review.painter import Order, Painter
from trainer.review.run_folder import open_run
from trainer.review.store import ReviewStore
from trainer.review.studio import Studio


@pytest.fixture
def drawn(run, painters, settle):
    """Three images drawn by prompt in the region of the lower half, the first two accepted, the third flagged."""
    region = np.zeros((48, 32), np.uint8)
    region[24:] = 255
    with Studio(Painter("painter", open_run(run.path)), run.path, run.path / accepted.STORE) as studio:
        settle(studio)
        studio.draw(Order(wanted=3, seed=11, prompt="a crack", normal=2, region=region, vary=True))
        settle(studio)
    with ReviewStore(run.path / accepted.STORE) as store:
        for number, judgement in ((1, "accept"), (2, "accept"), (3, "flag")):
            store.judge(number, judgement)
    return run


def test_accepted_images_with_mask_and_provenance(drawn):
    first, second = accepted.load(drawn.path)
    assert first.path == drawn.path / "review/images/00001_000.png"
    assert first.sha256 == sha256_of(first.path)
    mask = cv2.imread(str(first.mask), cv2.IMREAD_UNCHANGED)
    assert (mask[24:] == 255).all() and not mask[:24].any()
    pixels, part = cv2.imread(str(first.path)), cv2.imread(str(drawn.normals[2]))
    np.testing.assert_array_equal(pixels[:24], part[:24])
    assert (pixels[24:] == (11 * 7 + len("a crack")) % 90).all()
    assert {name: first.provenance["review"][name] for name in ("image", "prompt", "seed", "source")} == {
        "image": 1,
        "prompt": "a crack",
        "seed": 11,
        "source": str(drawn.normals[2]),
    }
    assert first.provenance["generator"] == "painter"
    assert second.provenance["review"]["source"] == str(drawn.normals[3])


def test_nothing_reviewed_makes_no_file(run):
    assert accepted.load(run.path) == [] and accepted.rejected(run.path) == set()
    assert not (run.path / "review").exists()


@pytest.mark.parametrize("harm", ["gone", "mask gone", "changed"])
def test_a_file_that_was_tampered_with_is_left_out_and_named(drawn, caplog, harm):
    victim = drawn.path / f"review/images/00001_000{'_mask' if harm == 'mask gone' else ''}.png"
    if harm == "changed":
        victim.write_bytes(victim.read_bytes() + b"more")
    else:
        victim.unlink()
    assert [image.path.name for image in accepted.load(drawn.path)] == ["00001_001.png"]
    assert "00001_000.png was" in caplog.text


def test_rejected_pictures_are_followed_by_content_not_by_name(run):
    run.generated(10, 20, 30)
    with ReviewStore(run.path / accepted.STORE) as store:
        LastBuild(run.path).refresh(store)
        store.judge(2, "reject")
        store.judge(3, "flag")
    assert accepted.rejected(run.path) == {"train/00001.png"}
    run.generated(20, 40, 50)  # the same picture, now first
    assert accepted.rejected(run.path) == {"train/00000.png"}
    run.generated(60, 70, 80)
    assert accepted.rejected(run.path) == set()
    run.generated(10, 20, 30)
    assert accepted.rejected(run.path) == {"train/00001.png"}


def test_the_last_build_is_shown_once_and_followed(run, drawn):
    run.generated(10, 20)
    watch = LastBuild(run.path)
    with ReviewStore(run.path / accepted.STORE) as store:
        watch.refresh(store)
        built = [image for image in store.images() if image.batch is None]
        assert [image.path for image in built] == ["generate/train/00000.png", "generate/train/00001.png"]
        assert built[0].mask == "generate/train/00000_mask.png" and built[0].seed == 3
        (run.path / "generate/train/00001.png").write_bytes((run.path / "review/images/00001_000.png").read_bytes())
        (run.path / "generate/records.json").touch()
        watch.refresh(store)
        built = [image for image in store.images() if image.batch is None]
        assert [image.path for image in built] == ["generate/train/00000.png"]  # the other one was drawn here
        (run.path / "generate/records.json").unlink()
        watch.refresh(store)
        assert all(image.batch is not None for image in store.images())


def test_a_build_in_the_middle_of_its_writing_is_asked_again(run):
    run.generated(10)
    picture = (run.path / "generate/train/00000.png").read_bytes()
    (run.path / "generate/train/00000.png").unlink()
    watch = LastBuild(run.path)
    with ReviewStore(run.path / accepted.STORE) as store:
        watch.refresh(store)
        assert store.images() == []
        (run.path / "generate/train/00000.png").write_bytes(picture)
        watch.refresh(store)
        assert len(store.images()) == 1


def test_a_build_can_ask_without_the_web_packages():
    program = "import sys, trainer.review.accepted; print(*sorted({'fastapi', 'uvicorn', 'torch'} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == []
