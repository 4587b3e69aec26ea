"""Drawing in the background: progress, stop, failures told and survived."""

import errno
import time

import cv2
import numpy as np
import pytest
import torch  # noqa: F401  (a learner's loading imports it: slow the first time, and no part of any wait here)

from inspector.bundle import sha256_of
from inspector.errors import DataError, InandoutError
from trainer.review import accepted, studio
from trainer.review.painter import Order, Painter
from trainer.review.run_folder import open_run
from trainer.review.store import ReviewStore
from trainer.review.studio import Progress, Studio

FULL = np.full((48, 32), 255, np.uint8)


@pytest.fixture
def make_studio(run, painters):
    """Factory `make(name="painter") -> Studio`, closed at the end."""
    made = []

    def make(name: str = "painter") -> Studio:
        made.append(Studio(Painter(name, open_run(run.path)), run.path, run.path / accepted.STORE))
        return made[-1]

    yield make
    painters.GO_ON.set()
    for each in made:
        each.close()


def images(run):
    with ReviewStore(run.path / accepted.STORE) as store:
        return store.images()


def test_a_batch_arrives_with_its_pictures(run, make_studio, settle):
    made = make_studio()
    assert settle(made) == Progress("idle")
    made.draw(Order(wanted=3, seed=5, prompt="p", normal=1))
    assert settle(made) == Progress("idle", batch=1, drawn=3, wanted=3)
    found = images(run)
    assert [image.seed for image in found] == [5, 6, 7]
    for image in found:
        assert sha256_of(run.path / image.path) == image.sha256
        assert image.source == str(run.normals[1])
    assert sorted(path.name for path in (run.path / "review/images").iterdir()) == sorted(
        f"00001_00{number}{kind}.png" for number in range(3) for kind in ("", "_mask")
    )


def test_memseg_draws_by_seed_and_number(run, make_studio, settle):
    made = make_studio("memseg")
    settle(made)
    made.draw(Order(wanted=2, seed=9, prompt="not heeded", normal=1, region=FULL))
    settle(made)
    expected = list(Painter("memseg", open_run(run.path))._augmenter.generate(2, 9))
    for image, wanted in zip(images(run), expected, strict=True):
        np.testing.assert_array_equal(cv2.imread(str(run.path / image.path))[..., ::-1], wanted.pixels)
        assert (image.prompt, image.seed, image.provenance["index"]) == (None, 9, wanted.provenance["index"])


def test_stop_keeps_what_is_drawn(run, make_studio, settle, painters):
    made = make_studio()
    settle(made)
    painters.GO_ON.clear()
    made.draw(Order(wanted=50, seed=5, prompt="p"))
    with pytest.raises(InandoutError, match="the generator is drawing: wait for it"):
        made.draw(Order(wanted=1, seed=5, prompt="p"))
    made.stop()
    assert made.progress.state == "stopping"
    painters.GO_ON.set()
    after = settle(made)
    assert after.drawn == len(images(run)) < 50 and after.problem == ""
    made.draw(Order(wanted=1, seed=5, prompt="p"))
    assert settle(made).batch == 2


@pytest.mark.parametrize(
    ("prompt", "problem"),
    [
        pytest.param("impossible", "the prompt has too many words: shorten it", id="refused"),
        pytest.param("crash", "the generator failed: RuntimeError: out of memory", id="crashed"),
    ],
)
def test_a_failure_is_told_and_the_next_order_drawn(run, make_studio, settle, prompt, problem):
    made = make_studio()
    settle(made)
    made.draw(Order(wanted=2, seed=5, prompt=prompt))
    after = settle(made)
    assert (after.state, after.drawn, after.problem) == ("idle", 0, problem)
    made.draw(Order(wanted=1, seed=5, prompt="p"))
    assert settle(made).problem == "" and len(images(run)) == 1


def test_a_full_disk_leaves_no_half_picture(run, make_studio, settle, monkeypatch):
    def full(path, pixels):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    made = make_studio()
    settle(made)
    monkeypatch.setattr(studio, "write_png", full)
    made.draw(Order(wanted=2, seed=5, prompt="p"))
    assert "No space left on device; free some space and draw again" in settle(made).problem
    assert list((run.path / "review/images").iterdir()) == [] and images(run) == []


@pytest.mark.parametrize(
    ("order", "says"),
    [
        pytest.param({"prompt": "  "}, "the prompt is empty", id="no prompt"),
        pytest.param({"prompt": "p", "normal": 6}, "no good image 6: the training split has 6", id="no such image"),
        pytest.param(
            {"prompt": "p", "region": np.ones((10, 20), np.uint8)}, "the region is 20 x 10 pixels", id="region's size"
        ),
        pytest.param({"prompt": "p", "region": FULL * 0}, "the region is empty", id="empty region"),
    ],
)
def test_orders_that_cannot_be_drawn(make_studio, settle, order, says):
    made = make_studio()
    settle(made)
    with pytest.raises(DataError, match=says):
        made.draw(Order(wanted=1, seed=0, **order))
    assert made.progress == Progress("idle")


def test_close_waits_for_the_image_in_hand_alone(run, make_studio, settle, painters):
    made = make_studio()
    settle(made)
    made.draw(Order(wanted=10_000, seed=5, prompt="p"))
    while made.progress.drawn < 2:
        time.sleep(0.01)
    made.close()
    assert 2 <= len(images(run)) < 10_000


def trained(run):
    (run.path / "fine_tune").mkdir()
    (run.path / "fine_tune" / "done.json").write_text("{}")
    (run.path / "fine_tune" / "inputs.json").write_text('{"generator": "in_domain"}')


def test_a_learner_is_loaded_from_the_builds_training(run, make_studio, settle, monkeypatch):
    from trainer.augment import registry

    monkeypatch.setitem(registry.AUGMENTERS, "in_domain", "review_painter:create_trained")
    trained(run)
    broken = settle(make_studio("in_domain"))
    assert broken.state == "broken" and "holds no weights: train again" in broken.problem
    (run.path / "fine_tune" / "weights").write_text("trained")
    made = make_studio("in_domain")
    assert settle(made).state == "idle"
    assert made._painter._augmenter.loaded == run.path / "fine_tune"


def test_a_learner_that_was_not_trained_here_is_refused(run, make_studio, monkeypatch):
    from trainer.augment import registry

    with pytest.raises(DataError, match=r"trained has not been trained in .*--augment diffusion --generator trained"):
        make_studio("trained")
    trained(run)
    monkeypatch.setitem(registry.AUGMENTERS, "inpaint", "review_painter:create_trained")
    with pytest.raises(DataError, match="trained in_domain, not inpaint"):
        make_studio("inpaint")
