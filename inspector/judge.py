"""Frame -> model input -> backend -> decision -> verdict: the one path on which every picture is judged."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from inspector import preprocess
from inspector.backends import Backend
from inspector.bundle import Bundle
from inspector.errors import BackendError, DataError
from inspector.frames import Frame, Verdict

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A frame on its way to the model: its pixels are gone, its model input (or the reason for none) is there.

    Attributes:
        frame_id, source, captured_at, monotonic_ns: the frame's.
        width, height: the frame's own size in pixels, 0 where unknown.
        image: `(spec.height, spec.width, 3)` uint8 RGB, or None when the frame cannot be scored.
        reason: why there is no image; empty otherwise.
    """

    frame_id: int
    source: str
    captured_at: datetime
    monotonic_ns: int
    width: int = 0
    height: int = 0
    image: preprocess.Image | None = None
    reason: str = ""


class Judge:
    """Judges frames by a bundle; a frame that could not be scored is `invalid`, never `ok`.

    Args:
        bundle: gives input size, operating point and identity.
        backend: runs the bundle's model.
    """

    def __init__(self, bundle: Bundle, backend: Backend) -> None:
        self.spec = bundle.manifest.input
        self.decision = bundle.manifest.calibration.decision()
        self.identity = bundle.identity
        self._backend = backend
        self._batch = np.empty((0, self.spec.height, self.spec.width, 3), np.uint8)

    def prepare(self, frame: Frame) -> Prepared:
        """Crop and resize one frame; safe to call from many threads."""
        height, width = (*frame.pixels.shape, 0, 0)[:2]
        image, reason = None, ""
        if not frame.complete:
            reason = "incomplete frame: lines or data are missing"
        else:
            try:
                image = preprocess.fit(frame.pixels, self.spec)
            except DataError as error:
                reason = str(error)
        return Prepared(
            frame.frame_id, frame.source, frame.captured_at, frame.monotonic_ns, width, height, image, reason
        )

    def decide(self, prepared: Sequence[Prepared]) -> list[Verdict]:
        """Score prepared frames as one batch and judge them; verdicts in the order given. One thread at a time."""
        images = [item.image for item in prepared if item.image is not None]
        try:
            logits, cams = self._score(images)
        except BackendError as error:
            _log.error("%s", error)
            return [self._invalid(item, item.reason or str(error)) for item in prepared]
        verdicts = []
        scored = 0
        for item in prepared:
            if item.image is None:
                verdicts.append(self._invalid(item, item.reason))
            else:
                verdicts.append(self._verdict(item, float(logits[scored]), cams[scored]))
                scored += 1
        return verdicts

    def judge(self, frame: Frame) -> Verdict:
        """Prepare and decide one frame."""
        return self.decide([self.prepare(frame)])[0]

    def _score(self, images: list[preprocess.Image]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        if not images:
            return np.empty(0, np.float32), np.empty((0, 1, 1), np.float32)
        if len(images) == 1:
            batch = images[0][None]
        else:
            if len(self._batch) < len(images):
                self._batch = np.empty((len(images), *self._batch.shape[1:]), np.uint8)
            batch = np.stack(images, out=self._batch[: len(images)])
        return self._backend.run(batch)

    def _verdict(self, item: Prepared, logit: float, cam: npt.NDArray[np.float32]) -> Verdict:
        probability, kind = self.decision.judge(logit)
        if kind == "invalid" or not np.isfinite(cam).all():
            return self._invalid(item, "the model answered with a number that is not finite")
        return Verdict(
            frame_id=item.frame_id,
            source=item.source,
            captured_at=item.captured_at,
            kind=kind,
            logit=logit,
            probability=probability,
            threshold=self.decision.threshold,
            peak=self._peak(item, cam),
            reason="",
            latency_ms=_milliseconds_since(item.monotonic_ns),
            bundle=self.identity,
        )

    def _peak(self, item: Prepared, cam: npt.NDArray[np.float32]) -> tuple[int, int]:
        """Centre of the strongest cell, in the frame's own pixels; the cells tile the model's input evenly."""
        rows, columns = cam.shape
        row, column = divmod(int(cam.argmax()), columns)
        x = (column + 0.5) * self.spec.width / columns - 0.5
        y = (row + 0.5) * self.spec.height / rows - 0.5
        return preprocess.to_frame(x, y, item.width, item.height, self.spec)

    def _invalid(self, item: Prepared, reason: str) -> Verdict:
        return Verdict(
            frame_id=item.frame_id,
            source=item.source,
            captured_at=item.captured_at,
            kind="invalid",
            logit=None,
            probability=None,
            threshold=self.decision.threshold,
            peak=None,
            reason=reason,
            latency_ms=_milliseconds_since(item.monotonic_ns),
            bundle=self.identity,
        )


def _milliseconds_since(monotonic_ns: int) -> float:
    return (time.monotonic_ns() - monotonic_ns) / 1e6
