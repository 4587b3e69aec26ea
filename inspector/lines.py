"""A verdict as one line of text: for people, or as JSON for programs."""

import json

from inspector.frames import Verdict


def for_people(number: int, verdict: Verdict) -> str:
    """`number` is the verdict's id in the store."""
    moment = verdict.captured_at.isoformat(timespec="milliseconds")
    start = f"{number} {moment} {verdict.source} frame {verdict.frame_id}: {verdict.kind.upper()}"
    if verdict.probability is None:
        return f"{start} {verdict.reason}"
    margin = verdict.probability - verdict.threshold
    return (
        f"{start} probability {verdict.probability:.4f} (threshold {verdict.threshold:.4f}, margin {margin:+.4f}) "
        f"at {verdict.peak} in {verdict.latency_ms:.1f} ms"
    )


def as_json(number: int, verdict: Verdict) -> str:
    """One JSON object without line breaks; the fields of `Verdict`, its `kind` as `verdict`, and `id`."""
    return json.dumps(
        {
            "id": number,
            "frame_id": verdict.frame_id,
            "source": verdict.source,
            "captured_at": verdict.captured_at.isoformat(),
            "verdict": verdict.kind,
            "logit": verdict.logit,
            "probability": verdict.probability,
            "threshold": verdict.threshold,
            "peak": verdict.peak,
            "reason": verdict.reason,
            "latency_ms": verdict.latency_ms,
            "bundle": verdict.bundle,
        },
        allow_nan=False,
    )
