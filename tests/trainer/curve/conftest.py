"""Finished cells without their builds: planned for real, scores drawn from a seed."""

import csv
from types import SimpleNamespace

import numpy as np
import pytest

from trainer.curve import plan
from trainer.reproduce.cells import Result, Workshop

GOOD, DEFECTS = 60, 30


def scores(seed, gap, tenths=True):
    """Labels and logits of validation images; defects lie `gap` above good ones."""
    labels = np.repeat([0, 1], [GOOD, DEFECTS])
    logits = np.random.default_rng(seed).normal(labels * gap, 1.0)
    return labels, np.round(logits, 1) if tenths else logits


def result(cell, real, synthetic, digest):
    return Result(
        cell=cell.name,
        digest=digest,
        metrics={"ap": 0.111, "precision": 0.111, "recall": 0.111},  # of the test split: must appear nowhere
        threshold=0.5,
        real=real,
        synthetic=synthetic,
        draws=100,
        train_seconds=60.0,
        fine_tune_seconds=0.0,
        other_seconds=30.0,
        provenance={},
        finished="2026-01-01T00:00:00+00:00",
    )


@pytest.fixture
def campaign(tmp_path):
    """`campaign(gaps, ...)`: what `publish` needs of a campaign in which the cells of `gaps` are finished.

    `gaps` maps (count, kind) to how far apart the cell's scores are; None leaves the cell unbuilt. With `noise` 0 all
    cells of a seed share their noise, as builds that judge the same images do.
    """

    def make(gaps, seeds=1, available=40, split="val", noise=1000):
        counts = list(dict.fromkeys(count for count, _ in gaps))
        planned = plan.cells(counts, "paper", seeds, "memseg", {}, [])
        workshop = Workshop(tmp_path / "parts", "none", "m", tmp_path / "out", split=split)
        done = {}
        for number, cell in enumerate(planned):
            count = plan.count_of(cell)
            if (gap := gaps.get((count, cell.kind))) is None:
                continue
            real = available if count == "all" else count
            done[cell.name] = result(cell, real, 0 if cell.kind == "none" else cell.n, workshop.digest(cell))
            workshop.folder(cell).mkdir(parents=True, exist_ok=True)
            with workshop.scores(cell).open("w", newline="") as handle:
                table = csv.writer(handle)
                table.writerow(("path", "label", "split", "logit", "probability"))
                for name, scale in (("val", 1.0), ("test", -1.0)):
                    labels, logits = scores(cell.seed + noise * number, gap)
                    for k, (label, logit) in enumerate(zip(labels, logits, strict=True)):
                        table.writerow((f"{name}/{k:03d}.png", label, name, scale * logit, 0.5))
        return SimpleNamespace(planned=planned, done=done, workshop=workshop)

    return make
