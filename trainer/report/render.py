"""Write the report: one HTML file that needs nothing else, neither a network nor a script."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inspector.atomic import replacing
from inspector.errors import SinkError
from trainer.report import ReportInputs, charts, figures, generation, html, judges, numbers, pictures

_HERE = Path(__file__).parent
_GRID = 12  # pictures in each grid
_ERRORS = 12


def write(inputs: ReportInputs, destination: Path) -> None:
    """Render `inputs` to `destination` (`.html`), atomically: an older report stays until the new one is whole.

    Raises:
        SinkError: the disk refuses.
        InandoutError: jinja2 is not installed.
    """
    text = page(inputs)
    try:
        with replacing(destination) as handle:
            handle.write(text)
    except OSError as error:
        raise SinkError(f"cannot write report {destination}: {error.strerror or error}") from error


def page(inputs: ReportInputs) -> str:
    """The report as HTML; every text of `inputs` is escaped."""
    environment = html.environment(_HERE, "writing the report")
    for style in (numbers.count, numbers.probability, numbers.scientific, numbers.date):
        environment.filters[style.__name__] = style
    shown: str = environment.get_template("report.html.j2").render(
        inputs=inputs,
        style=(_HERE / "report.css").read_text(encoding="utf-8"),
        headline=figures.measured(inputs),
        calibrated=figures.calibrated(inputs.calibration),
        level=figures.level(inputs.calibration),
        operating_point=figures.operating_point(inputs.calibration),
        guarantee=figures.guarantee(inputs.calibration),
        confusion=figures.confusion(inputs.test if inputs.test is not None else inputs.validation),
        charts=_charts(inputs),
        grids=_grids(inputs),
        errors=pictures.tiles(inputs.worst_errors, _ERRORS),
        provenance=sections(inputs.provenance),
        generation=_generation(inputs),
        judges=_judges(inputs),
    )
    return shown


def sections(provenance: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Provenance as `(title, rows)`: its own leaves first, then one section a top-level mapping, keys dotted."""
    leaves = [
        (_title(key), numbers.plain(value)) for key, value in provenance.items() if not isinstance(value, Mapping)
    ]
    nested = [(_title(key), _rows(value, "")) for key, value in provenance.items() if isinstance(value, Mapping)]
    return [("Build", leaves), *nested] if leaves else nested


def _rows(mapping: Mapping[str, Any], prefix: str) -> list[tuple[str, str]]:
    rows = []
    for key, value in mapping.items():
        if isinstance(value, Mapping):
            rows += _rows(value, f"{prefix}{key}.")
        else:
            rows.append((f"{prefix}{key}", numbers.plain(value)))
    return rows


def _title(key: str) -> str:
    text = str(key).replace("_", " ")
    return text[:1].upper() + text[1:]


def _charts(inputs: ReportInputs) -> dict[str, str]:
    judged = inputs.test if inputs.test is not None else inputs.validation
    return {
        "loss": charts.loss_curve(inputs.history),
        "validation": charts.validation_curve(inputs.history),
        "precision_recall": charts.precision_recall(inputs.validation, inputs.test, inputs.calibration.threshold),
        "histogram": charts.histogram(judged, inputs.calibration),
        "reliability": charts.reliability(judged, inputs.calibration),
    }


def _generation(inputs: ReportInputs) -> dict[str, Any] | None:
    known = inputs.generation
    if known is None:
        return None
    shown = {
        "gate": generation.gate_table(known.gate),
        "space": generation.feature_space(known.features),
        "candidates": generation.candidates(known.chosen or ()),
    }
    return shown if known.gate or shown["space"] or shown["candidates"] else None


def _judges(inputs: ReportInputs) -> dict[str, Any] | None:
    known = inputs.judges
    return None if known is None else {"rows": judges.rows(known), "synthetic": known.synthetic}


def _grids(inputs: ReportInputs) -> list[tuple[str, list[pictures.Tile], int]]:
    named = (
        ("Good parts", inputs.normals),
        ("Real defects", inputs.real_defects),
        ("Synthetic defects", inputs.synthetic_defects),
    )
    return [(title, pictures.tiles(shown, _GRID), len(shown)) for title, shown in named]
