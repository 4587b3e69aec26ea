"""The two events that cross package borders on the hot path: a frame going in, a verdict coming out."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
import numpy.typing as npt

VerdictKind = Literal["ok", "defect", "review", "invalid"]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of a part, as the source delivered it.

    Attributes:
        pixels: `(H, W)` mono or `(H, W, 3)` BGR, uint8 or uint16 (OpenCV's convention).
        frame_id: strictly increasing within one source, gaps mean dropped frames.
        source: where it came from: a file path, a device, a URI.
        captured_at: UTC, time-zone aware.
        monotonic_ns: `time.monotonic_ns()` at capture, for latencies and ordering across clock jumps.
        complete: false when lines or data are known to be missing; such a frame is never scored.
    """

    pixels: npt.NDArray[np.generic]
    frame_id: int
    source: str
    captured_at: datetime
    monotonic_ns: int
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the inspector says of one frame.

    Attributes:
        frame_id: the frame's id.
        source: the frame's source.
        captured_at: the frame's UTC capture time.
        kind: `ok`, `defect`, `review` (inside the review band) or `invalid` (could not be scored).
        logit: raw model output, None when invalid.
        probability: calibrated probability of a defect in [0, 1], None when invalid.
        threshold: probability at or above which a frame is a defect.
        peak: `(x, y)` in the frame's own pixels where the evidence is strongest, None when invalid.
        reason: why the frame is invalid; empty otherwise.
        latency_ms: capture to decision.
        bundle: identity of the bundle that judged: `name@sha256[:12]` of its manifest.
    """

    frame_id: int
    source: str
    captured_at: datetime
    kind: VerdictKind
    logit: float | None
    probability: float | None
    threshold: float
    peak: tuple[int, int] | None
    reason: str
    latency_ms: float
    bundle: str
