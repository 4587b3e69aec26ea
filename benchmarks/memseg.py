"""Print how many MemSeg images one core draws in a second of its own time, with and without decoding the normal image.

    OMP_NUM_THREADS=1 python benchmarks/memseg.py [--width 200 --height 600 --n 200]

The bar is 50 images/s at 200 x 600.
"""

import tempfile
import time
from pathlib import Path

import click
import cv2
import numpy as np

from inspector import imagefile, preprocess
from inspector.preprocess import InputSpec
from trainer.augment.memseg import MemSeg
from trainer.data.newfolder import write_png
from trainer.data.synth import draw


@click.command()
@click.option("--width", default=200, show_default=True)
@click.option("--height", default=600, show_default=True)
@click.option("--n", default=200, show_default=True, help="Images a measurement.")
def main(width: int, height: int, n: int) -> None:
    """Measure on synthetic surfaces, 32 files of 250 x 620 grey PNG."""
    cv2.setNumThreads(1)
    spec = InputSpec(width=width, height=height)
    with tempfile.TemporaryDirectory() as folder:
        normals = [Path(folder) / f"{number}.png" for number in range(32)]
        for number, path in enumerate(normals):
            write_png(path, draw("", 620, 250, np.random.SeedSequence(number))[0])
        parts = [preprocess.fit(imagefile.read(path), spec) for path in normals]
        for name, structural_share in (("procedural textures", 0.0), ("structural", 1.0), ("both", 0.5)):
            memseg = MemSeg(normals, spec, structural_share=structural_share)
            started = time.process_time()
            for _ in memseg.generate(n, seed=0):
                pass
            whole = time.process_time() - started
            rng = np.random.default_rng(0)
            started = time.process_time()
            for number in range(n):
                memseg.paint(parts[number % len(parts)], rng)
            painting = time.process_time() - started
            click.echo(
                f"{name:20} {width} x {height}: {n / whole:6.1f} images/s from files, "
                f"{n / painting:6.1f} images/s without decoding"
            )


if __name__ == "__main__":
    main()
