"""Stage `evaluate`: the one reading of the sealed test split."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from accelerate import Accelerator

from calibration import bootstrap
from calibration.curve import auroc, average_precision, operating_point
from inspector.decision import probability_of
from inspector.manifest import Calibration
from models.network import Network
from trainer.recipe import Recipe
from trainer.report import Scores
from trainer.stages import write_json
from trainer.torch_scores import score

SCORES = "scores.npz"


def work(
    model: Network,
    recipe: Recipe,
    paths: Sequence[Path],
    labels: npt.NDArray[np.int64],
    calibration: Calibration,
    folder: Path,
    accelerator: Accelerator,
) -> None:
    """Write `scores.npz` (logits, cams) and `metrics.json`; figures need a test split with both classes."""
    if not paths:
        np.savez(folder / SCORES, logits=np.zeros(0, np.float32), cams=np.zeros((0, 1, 1), np.float32))
        write_json(folder / "metrics.json", {})
        return
    scored = score(model.to(accelerator.device), paths, recipe.input, accelerator.device)
    np.savez(folder / SCORES, logits=scored.logits, cams=scored.cams)
    n_defect, n_ok = int(labels.sum()), int((labels == 0).sum())
    metrics = {"n_defect": float(n_defect), "n_ok": float(n_ok)}
    if n_defect and n_ok:
        probabilities = probability_of(scored.logits, calibration.temperature, calibration.bias)
        point = operating_point(labels, probabilities, calibration.threshold)
        interval = bootstrap.average_precision(labels, scored.logits, seed=recipe.seed)
        metrics |= {
            "ap": average_precision(labels, scored.logits),
            "ap_low": interval.low,
            "ap_high": interval.high,
            "auroc": auroc(labels, scored.logits),
            "precision": point.precision,
            "recall": point.recall,
            "f1": point.f1,
            "fpr": point.fpr,
        }
    write_json(folder / "metrics.json", metrics)


def judged(
    paths: Sequence[str],
    labels: npt.NDArray[np.int64],
    logits: npt.NDArray[np.float32],
    calibration: Calibration,
) -> Scores:
    """Logits with the probabilities and verdicts of an operating point."""
    decision = calibration.decision()
    verdicts = [decision.judge(float(logit)) for logit in logits]
    return Scores(
        paths=paths,
        labels=labels,
        logits=logits.astype(np.float64),
        probabilities=np.array([probability for probability, _ in verdicts], dtype=np.float64),
        verdicts=[kind for _, kind in verdicts],
    )
