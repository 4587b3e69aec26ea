"""What a calibration changed and what it promises, as a table for people."""

from rich.table import Table

from calibration.guarantee import sentence
from inspector.manifest import Calibration

_FIGURES = {"recall": "recall", "precision": "precision", "FPR": "fpr", "F1": "f1", "AP": "ap"}
_RELIABILITY = {"ECE": "ece", "Brier score": "brier", "log loss": "nll"}


def lines_of(old: Calibration, new: Calibration) -> list[tuple[str, str]]:
    """Name and value of each line of the table."""
    m = new.metrics
    kind = "synthetic defects" if new.defects == "synthetic" else "defects"
    band = "none" if new.review_band is None else f"{new.review_band[0]:.4f} to {new.review_band[1]:.4f}"
    if new.review_band is not None:
        band += f", {m['review_share']:.1%} of these images"
    lines = [
        ("policy", f"{old.policy} -> {new.policy}"),
        ("threshold", f"{old.threshold:.4f} -> {new.threshold:.4f}"),
        ("review band", band),
        ("support", f"{new.n_defect} {kind}, {new.n_ok} good images ({new.source})"),
        ("called defect", f"{m['tp']:.0f} of the defects, {m['fp']:.0f} of the good images"),
        *[(name, _with_interval(new, key)) for name, key in _FIGURES.items()],
        ("AUROC", f"{m['auroc']:.4f}"),
        ("scaling", f"temperature {new.temperature:.4g}, bias {new.bias:+.4g}"),
        *[(name, f"{m[f'{key}_before']:.4f} -> {m[key]:.4f}") for name, key in _RELIABILITY.items()],
    ]
    promise = sentence(new.guarantee) if new.guarantee else "none: the figures hold for these images"
    lines.append(("guarantee", promise))
    if new.defects == "synthetic":
        lines.append(
            ("note", "The threshold comes from synthetic defects: calibrate again once real ones are at hand.")
        )
    return lines


def as_table(old: Calibration, new: Calibration, title: str) -> Table:
    """The lines as a rich table."""
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in lines_of(old, new):
        table.add_row(name, value)
    return table


def _with_interval(calibration: Calibration, key: str) -> str:
    found = calibration.intervals[key]
    level = f"{found.confidence:.12g} interval"
    return f"{calibration.metrics[key]:.4f}  [{found.low:.4f}, {found.high:.4f}] ({level}, {found.method})"
