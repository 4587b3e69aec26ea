"""The self-contained `report.html` of a build."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from inspector.manifest import Calibration, Parity

if TYPE_CHECKING:
    from trainer.report.generation import GenerationFigures
    from trainer.report.judges import Judges


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A picture for the report: `(H, W, 3)` uint8 RGB, an optional `(h, w)` float heat map, a caption."""

    pixels: npt.NDArray[np.uint8]
    caption: str
    cam: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Scored images of one split: labels (0/1), logits, probabilities and verdicts, all of length N."""

    paths: Sequence[str]
    labels: npt.NDArray[np.int64]
    logits: npt.NDArray[np.float64]
    probabilities: npt.NDArray[np.float64]
    verdicts: Sequence[str]


@dataclass(frozen=True, slots=True, eq=False)
class ReportInputs:
    """Everything the report shows; the report computes nothing but pictures and tables from it.

    Attributes:
        name, scenario, created: what was built, and when (UTC, ISO 8601).
        notes: plain sentences a reader must see first (e.g. "The threshold comes from synthetic defects.").
        data_table: one mapping a split: `split, good, defect, synthetic, groups`.
        real_defects, normals, synthetic_defects: sample pictures for the grids; may be empty.
        history: one mapping an epoch: `epoch, loss, val_ap, learning_rate`, in order.
        validation: scores that calibrated the threshold.
        test: scores of the sealed test split, or None where the data has no test split.
        calibration: operating point in force.
        metrics: test figures (`ap, ap_low, ap_high, precision, recall, f1, fpr, auroc`, ...).
        worst_errors: wrong or least certain test images with heat maps, worst first.
        parity: the export gate's figures.
        provenance: nested JSON: resolved recipe, data fingerprint, package versions, seed, weights, durations.
        generation: what is known of the synthetic defects, or None where there are none to speak of.
        judges: how several kinds of evidence were weighed, or None where one was asked for.
    """

    name: str
    scenario: str
    created: str
    notes: Sequence[str]
    data_table: Sequence[Mapping[str, Any]]
    real_defects: Sequence[Picture]
    normals: Sequence[Picture]
    synthetic_defects: Sequence[Picture]
    history: Sequence[Mapping[str, float]]
    validation: Scores
    test: Scores | None
    calibration: Calibration
    metrics: Mapping[str, float]
    worst_errors: Sequence[Picture]
    parity: Parity
    provenance: Mapping[str, Any]
    generation: "GenerationFigures | None" = None
    judges: "Judges | None" = None
