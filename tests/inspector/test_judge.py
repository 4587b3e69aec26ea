"""The path from frame to verdict on a real model, and with a backend that misbehaves."""

import math

import numpy as np
import pytest

from inspector import backends
from inspector.errors import BackendError
from inspector.judge import Judge


class Answers:
    """A backend that gives the same cam whatever it sees."""

    name = "answers"

    def __init__(self, cam: np.ndarray, logit: float | None = None) -> None:
        self.cam = cam.astype(np.float32)
        self.logit = float(cam.max()) if logit is None else logit

    def run(self, images):
        return np.full(len(images), self.logit, np.float32), np.repeat(self.cam[None], len(images), 0)


class Fails:
    name = "fails"

    def run(self, images):
        raise BackendError("out of order")


@pytest.fixture
def judge(tiny_bundle) -> Judge:
    made = tiny_bundle()
    return Judge(made, backends.create("onnxruntime", made, threads=1))


@pytest.mark.parametrize(
    ("darkest", "kind", "logit"),
    # the tiny model's logit is 10 * (0.5 - darkest / 255)
    [
        (0, "defect", 5.0),
        (127, "defect", 10 * (0.5 - 127 / 255)),
        (128, "ok", 10 * (0.5 - 128 / 255)),
        (None, "ok", 10 * (0.5 - 220 / 255)),
    ],
)
def test_verdict(judge: Judge, frame, tiny, darkest: int | None, kind: str, logit: float) -> None:
    verdict = judge.judge(frame(tiny.image(darkest=darkest), frame_id=7))
    assert (verdict.kind, verdict.frame_id, verdict.source, verdict.reason) == (kind, 7, "test", "")
    assert verdict.logit == pytest.approx(logit, abs=1e-5)
    assert verdict.probability == pytest.approx(1 / (1 + math.exp(-logit)), abs=1e-6)
    assert (verdict.threshold, verdict.bundle) == (0.5, judge.identity)
    assert 0 <= verdict.latency_ms < 60_000


def test_peak_is_in_the_frames_own_pixels(judge: Judge, frame, tiny) -> None:
    """The dark patch covers columns 8..15 and rows 16..23 of the model's 32 x 48; the frame is ten times as large."""
    pixels = tiny.image(darkest=0).repeat(10, 0).repeat(10, 1)
    assert judge.judge(frame(pixels)).peak == (120, 200)


@pytest.mark.parametrize(
    ("cell", "peak"), [((0, 0), (4, 4)), ((5, 3), (28, 44)), ((2, 1), (12, 20))], ids=["first", "last", "middle"]
)
def test_peak_of_a_cell_is_its_centre(tiny_bundle, frame, cell: tuple[int, int], peak: tuple[int, int]) -> None:
    cam = np.zeros((6, 4))
    cam[cell] = 3
    assert Judge(tiny_bundle(), Answers(cam)).judge(frame()).peak == peak


UNSCORABLE = {
    "incomplete": (np.full((48, 32), 220, np.uint8), False, "incomplete"),
    "no pixels": (np.zeros((0, 0), np.uint8), True, "shape"),
    "float pixels": (np.zeros((48, 32), np.float32), True, "float32"),
    "two channels": (np.zeros((48, 32, 2), np.uint8), True, "shape"),
}


@pytest.mark.parametrize(("pixels", "complete", "reason"), UNSCORABLE.values(), ids=UNSCORABLE)
def test_unscorable_frame_is_invalid_and_spares_its_neighbours(
    judge: Judge, frame, pixels: np.ndarray, complete: bool, reason: str
) -> None:
    frames = [frame(frame_id=0), frame(pixels, 1, complete), frame(frame_id=2)]
    verdicts = judge.decide([judge.prepare(each) for each in frames])
    assert [verdict.kind for verdict in verdicts] == ["ok", "invalid", "ok"]
    assert [verdict.frame_id for verdict in verdicts] == [0, 1, 2]
    bad = verdicts[1]
    assert reason in bad.reason and (bad.logit, bad.probability, bad.peak) == (None, None, None)


@pytest.mark.parametrize(
    "backend",
    [
        pytest.param(Fails(), id="backend error"),
        pytest.param(Answers(np.zeros((6, 4)), math.nan), id="nan logit"),
        pytest.param(Answers(np.zeros((6, 4)), -math.inf), id="infinite logit"),
        pytest.param(Answers(np.full((6, 4), math.nan), -5.0), id="nan cam"),
    ],
)
@pytest.mark.parametrize("count", [1, 3])
def test_never_ok_without_a_score(tiny_bundle, frame, backend, count: int) -> None:
    judge = Judge(tiny_bundle(), backend)
    verdicts = judge.decide([judge.prepare(frame()) for _ in range(count)])
    assert [verdict.kind for verdict in verdicts] == ["invalid"] * count
    assert all(verdict.reason for verdict in verdicts)


def test_batches_of_any_size_agree_with_single_frames(judge: Judge, frame, tiny) -> None:
    frames = [frame(tiny.image(darkest=grey)) for grey in range(0, 250, 25)]
    alone = [judge.judge(each).logit for each in frames]
    for size in (3, 10, 2):
        together = [v.logit for v in judge.decide([judge.prepare(each) for each in frames[:size]])]
        assert together == alone[:size]
