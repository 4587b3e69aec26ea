"""Time `inspector.preprocess.fit` on one thread, decoding excluded: `python benchmarks/preprocess.py`.

Prints the median and 95th percentile in milliseconds; the target for 250 x 620 -> 200 x 600 is a median under 1 ms.
"""

import time

import cv2
import numpy as np

from inspector.preprocess import InputSpec, fit

REPEATS = 500


def picture(width: int, height: int, channels: int, kind: type[np.unsignedinteger]) -> np.ndarray:
    """A smooth random texture of the asked shape and depth."""
    shape = (height, width) if channels == 1 else (height, width, channels)
    noise = np.random.default_rng(0).integers(0, np.iinfo(kind).max, shape, dtype=kind)
    return cv2.GaussianBlur(noise, (0, 0), 2)


def milliseconds(pixels: np.ndarray, spec: InputSpec) -> np.ndarray:
    """Wall time of `REPEATS` calls after a warm-up."""
    for _ in range(50):
        fit(pixels, spec)
    times = np.empty(REPEATS)
    for index in range(REPEATS):
        started = time.perf_counter_ns()
        fit(pixels, spec)
        times[index] = (time.perf_counter_ns() - started) / 1e6
    return times


def main() -> None:
    """Print one line a case."""
    cv2.setNumThreads(1)
    paper = InputSpec()
    cases = {
        "mono 250x620 -> 200x600": (picture(250, 620, 1, np.uint8), paper),
        "colour 250x620 -> 200x600": (picture(250, 620, 3, np.uint8), paper),
        "colour 250x620 -> 200x600, centre crop": (picture(250, 620, 3, np.uint8), InputSpec(crop="center")),
        "mono 16-bit 250x620 -> 200x600": (picture(250, 620, 1, np.uint16), paper),
        "colour 16-bit 250x620 -> 200x600": (picture(250, 620, 3, np.uint16), paper),
        "mono 500x1240 -> 200x600 (averaged)": (picture(500, 1240, 1, np.uint8), paper),
        "colour 500x1240 -> 200x600 (averaged)": (picture(500, 1240, 3, np.uint8), paper),
    }
    print(f"{'case':42} {'median ms':>10} {'p95 ms':>8}")
    for name, (pixels, spec) in cases.items():
        times = milliseconds(pixels, spec)
        print(f"{name:42} {np.median(times):10.3f} {np.percentile(times, 95):8.3f}")


if __name__ == "__main__":
    main()
