"""Latency at the edge: ONNX Runtime against torch eager in one process, `--help`, and the first verdict.

    python benchmarks/latency.py --bundle runs/full_shot/bundle

The two runtimes take turns image by image, so that a change of the machine's speed meets both alike.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch

from inspector import bundle
from inspector.backends.onnxruntime import OnnxRuntimeBackend
from models.classifier import Classifier, ClassifierConfig
from models.network import Network


def interleaved(
    first: Callable[[], object], second: Callable[[], object], rounds: int
) -> tuple[list[float], list[float]]:
    """Milliseconds of each call, taken in turns after a warm-up."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 5):
        for call, sink in zip((first, second), times, strict=True):
            begun = time.perf_counter()
            call()
            if number >= 5:
                sink.append(1000 * (time.perf_counter() - begun))
    return times


def process_seconds(command: list[str], until_line: bool) -> float:
    """Wall seconds from process start to its first line on stdout, or to its end."""
    begun = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.readline()
        elapsed = time.perf_counter() - begun
        process.stdout.read()
    return elapsed if until_line else time.perf_counter() - begun


def script(name: str) -> str:
    """An entry point of this interpreter's environment."""
    return str(Path(sys.executable).with_name(name))


def video(path: Path, width: int, height: int) -> Path:
    """A few frames of noise, for the first verdict."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (width, height))
    rng = np.random.default_rng(0)
    for _ in range(5):
        writer.write(rng.integers(0, 255, (height, width, 3), dtype=np.uint8))
    writer.release()
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, default=Path("runs/latest"))
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    loaded = bundle.load(options.bundle)
    spec = loaded.manifest.input
    images = np.random.default_rng(0).integers(0, 255, (1, spec.height, spec.width, 3), dtype=np.uint8)
    backend = OnnxRuntimeBackend(loaded.model_path())
    config = ClassifierConfig.from_dict(loaded.manifest.provenance["classifier"])
    model = Network(Classifier(config)).eval().to(memory_format=torch.channels_last)
    tensor = torch.from_numpy(images)
    with torch.inference_mode():
        exported, eager = interleaved(lambda: backend.run(images), lambda: model(tensor), options.rounds)
    print(f"{spec.width} x {spec.height}, batch 1, {torch.get_num_threads()} threads, {options.rounds} rounds in turns")
    for name, times in ((backend.name, exported), ("torch eager (channels_last)", eager)):
        p95 = sorted(times)[int(0.95 * len(times))]
        print(f"  {name:<28} median {statistics.median(times):7.1f} ms   p95 {p95:7.1f} ms")
    ratio = statistics.median(b / a for a, b in zip(exported, eager, strict=True))
    print(f"  torch eager / {backend.name}: median ratio {ratio:.2f}")
    with tempfile.TemporaryDirectory() as folder:
        clip = video(Path(folder) / "clip.avi", spec.width, spec.height)
        inspect = [script("inandout-inspect")]
        run = [*inspect, "--camera", str(clip), "--bundle", str(options.bundle), "--store", f"{folder}/verdicts.sqlite"]
        figures = {
            "inandout-inspect --help": [process_seconds([*inspect, "--help"], False) for _ in range(5)],
            "inandout-train --help": [process_seconds([script("inandout-train"), "--help"], False) for _ in range(5)],
            "first verdict": [process_seconds(run, True) for _ in range(5)],
        }
    for name, seconds in figures.items():
        print(f"  {name:<28} median {statistics.median(seconds):7.2f} s    max {max(seconds):7.2f} s")


if __name__ == "__main__":
    main()
