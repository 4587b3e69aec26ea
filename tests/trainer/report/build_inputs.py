"""Report inputs made by hand, with every part replaceable."""

from dataclasses import replace
from typing import Any

import numpy as np

from inspector.decision import Decision
from inspector.manifest import Calibration, Guarantee, Interval, Parity
from trainer.report import Picture, ReportInputs, Scores

CALIBRATION = Calibration(
    policy="recall>=0.9",
    threshold=0.5,
    temperature=2.0,
    bias=-0.5,
    n_defect=14,
    n_ok=82,
    source="validation split",
    metrics={"ap": 0.941, "recall": 0.93, "precision": 0.81, "fpr": 0.004, "f1": 0.87},
    intervals={"recall": Interval(low=0.66, high=0.998, confidence=0.9, method="Clopper-Pearson")},
    guarantee=Guarantee(metric="recall", bound=0.8, confidence=0.95, method="Clopper-Pearson"),
    created="2026-03-05T14:02:11+00:00",
)


def scores(labels: list[int], logits: list[float], calibration: Calibration = CALIBRATION) -> Scores:
    """Judge logits as the build does."""
    decision: Decision = calibration.decision()
    judged = [decision.judge(logit) for logit in logits]
    return Scores(
        paths=[f"test/{index}.png" for index in range(len(labels))],
        labels=np.array(labels, dtype=np.int64),
        logits=np.array(logits),
        probabilities=np.array([probability for probability, _ in judged]),
        verdicts=[kind for _, kind in judged],
    )


def picture(caption: str = "train/good/1.png", cam: bool = False, height: int = 60, width: int = 20) -> Picture:
    """A grey picture, with a map whose peak is at the bottom right."""
    heat = np.zeros((6, 2), np.float32)
    heat[5, 1] = 4.0
    return Picture(np.full((height, width, 3), 128, np.uint8), caption, heat if cam else None)


def inputs(**changed: Any) -> ReportInputs:
    """A whole set of inputs, parts replaced by `changed`."""
    whole = ReportInputs(
        name="line-2",
        scenario="full_shot",
        created="2026-03-05T14:02:11+00:00",
        notes=["Only 14 defects support the threshold."],
        data_table=[{"split": "train", "good": 1234, "defect": 18, "synthetic": 100, "groups": 67}],
        real_defects=[picture("train/defect/7.png")],
        normals=[picture()],
        synthetic_defects=[picture("synthetic:memseg/00003.png")],
        history=[{"epoch": epoch, "loss": 1 / epoch, "val_ap": 0.5 + epoch / 10} for epoch in (1, 2, 3)],
        validation=scores([0, 0, 0, 1, 1], [-4.0, -3.0, 2.0, 3.0, 5.0]),
        test=scores([0, 0, 0, 0, 1, 1, 1], [-6.0, -4.0, -3.0, 3.0, -2.0, 4.0, 6.0]),
        calibration=CALIBRATION,
        metrics={"ap": 0.9171, "ap_low": 0.8312, "ap_high": 0.9764, "recall": 2 / 3, "precision": 2 / 3, "fpr": 0.25},
        worst_errors=[picture("test/4.png: defect, judged ok", cam=True)],
        parity=Parity(
            images=64, max_probability_difference=3.1e-6, tolerance=1e-4, verdict_flips=0, runtime="onnxruntime"
        ),
        provenance={"seed": 7, "recipe": {"name": "default", "train": {"epochs": 30}}, "packages": {"torch": "2.15"}},
    )
    return replace(whole, **changed)
