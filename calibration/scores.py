"""Read a scores CSV: a bundle's own `scores.csv`, or any table of labels and scores."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from calibration import table
from calibration.binary import Labels, Scores
from calibration.labels import FORMS, label_of
from calibration.split import chosen_split
from inspector.errors import DataError

# Probabilities written as 0 and 1 have no logit: they count as this far from it.
_EDGE = 1e-15


@dataclass(frozen=True, slots=True, eq=False)
class ScoreTable:
    """Scores of one split.

    Attributes:
        labels, logits: `(N,)`.
        split: whose rows these are, None where the file has no splits.
        invalid: rows of the split left out because the image could not be scored (verdict `invalid`).
    """

    labels: Labels
    logits: Scores
    split: str | None
    invalid: int


def read(path: Path, split: str | None = None, temperature: float = 1.0, bias: float = 0.0) -> ScoreTable:
    """Read the rows of one split.

    Args:
        path: CSV with a header; columns `label` and `logit` (or `probability`) are needed, `split` and `verdict` used
            where present, others ignored.
        split: which rows; see `calibration.split.chosen_split` for None.
        temperature, bias: what turned logits into the file's probabilities, to turn them back where it has no
            `logit`: those of the bundle that made it.

    Raises:
        DataError: the file or a column is missing, or lines are wrong; all of these are reported with their numbers.
    """
    header, rows = table.read(path)
    score = "logit" if "logit" in header else "probability"
    if not {"label", score} <= set(header):
        raise DataError(
            f"{path} needs the columns label and logit (or probability), it has {', '.join(header) or 'none'}"
        )
    chosen = chosen_split([row.get("split", "") for _, row in rows], split, str(path))
    labels, values, faults, invalid = [], [], [], 0
    for line, row in rows:
        if chosen is not None and row["split"] != chosen:
            continue
        if row.get("verdict") == "invalid" and not row[score]:
            invalid += 1
            continue
        label, value = label_of(row["label"]), _number(row[score])
        if label is None:
            faults.append(f"line {line}: label {row['label']!r} is not one of {FORMS}")
        elif value is None or (score == "probability" and not 0 <= value <= 1):
            faults.append(
                f"line {line}: {score} {row[score]!r} is not a {'finite number' if score == 'logit' else 'share'}"
            )
        else:
            labels.append(label)
            values.append(value)
    table.refuse_faults(path, faults)
    logits = np.array(values, dtype=np.float64)
    if score == "probability":
        inner = np.clip(logits, _EDGE, 1 - _EDGE)
        logits = (np.log(inner) - np.log1p(-inner) - bias) * temperature
    return ScoreTable(np.array(labels, dtype=np.int64), logits, chosen, invalid)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
