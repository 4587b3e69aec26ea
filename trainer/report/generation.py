"""The report on synthetic defects: what the gate let pass, where they lie among real ones, which mix was chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from trainer.report.numbers import MISSING, count, percent, share
from trainer.report.svg import ACCENT, DEFECT, GOOD, MUTED, REVIEW, render

REASONS = {
    "near-duplicate": "Near-duplicate",
    "not visible": "Not visible",
    "off texture": "Off texture",
    "degenerate": "Degenerate",
}
"""Why the gate rejects an image, with the column's title."""

_ABOUT = ("generator", "drawn", "kept")
# Shape tells the groups apart without colour: filled is real, open and crossed is generated.
_STYLES: dict[str, tuple[str, dict[str, Any]]] = {
    "real normal": ("real, good", {"marker": "o", "color": GOOD, "markersize": 4, "alpha": 0.45}),
    "memseg": ("MemSeg", {"marker": "x", "color": REVIEW, "markersize": 5.5, "markeredgewidth": 1.3}),
    "diffusion": ("diffusion", {"marker": "^", "color": ACCENT, "markersize": 6, "fillstyle": "none"}),
    "real defect": ("real, defect", {"marker": "D", "color": DEFECT, "markersize": 4.8, "alpha": 0.9}),
}
_SHOWN = 400  # points of a group: more would be a blot, and a heavy page


@dataclass(frozen=True, slots=True, eq=False)
class GenerationFigures:
    """What is known of a build's synthetic defects.

    Attributes:
        gate: one mapping a generator: `generator, drawn, kept`, and the number rejected for each reason of `REASONS`
            (any other key counts as a reason of its own); empty where nothing was generated.
        features: `(N, 2)` projected features by group - `real normal`, `real defect`, `memseg`, `diffusion` - all
            by the same projection; groups may be missing or empty.
        chosen: the search for the mix, one mapping a candidate: `n, share` (of diffusion, 0..1), `ap` (validation),
            its standard `error` where known, and `chosen` (whether it won); None where the recipe fixed the mix.
    """

    gate: Sequence[Mapping[str, Any]] = ()
    features: Mapping[str, npt.NDArray[np.floating[Any]]] | None = None
    chosen: Sequence[Mapping[str, Any]] | None = None


@dataclass(frozen=True, slots=True)
class GateTable:
    """The acceptance table as text: titles of the reasons' columns, and `(generator, drawn, kept, rate, rejected)`."""

    titles: tuple[str, ...]
    rows: tuple[tuple[str, str, str, str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A line of the search for the mix, as text, and whether it won."""

    n: str
    share: str
    ap: str
    chosen: bool


def gate_table(gate: Sequence[Mapping[str, Any]]) -> GateTable:
    """Acceptance by generator; the house's reasons always have a column, others where they occur."""
    other = dict.fromkeys(key for row in gate for key in row if key not in (*_ABOUT, *REASONS))
    reasons = REASONS | {key: key[:1].upper() + key[1:] for key in other}
    return GateTable(
        titles=tuple(reasons.values()),
        rows=tuple(
            (
                str(row["generator"]).replace("_", " "),
                count(row["drawn"]),
                count(row["kept"]),
                percent(row["kept"] / row["drawn"]) if row["drawn"] else MISSING,
                tuple(count(row.get(reason, 0)) for reason in reasons),
            )
            for row in gate
        ),
    )


def candidates(chosen: Sequence[Mapping[str, Any]]) -> list[Candidate]:
    """The search for the mix, in the order tried; without synthetic defects there is no share."""
    return [
        Candidate(
            n=count(row["n"]),
            share=percent(row.get("share")) if row["n"] else MISSING,
            ap=f"{share(row.get('ap'))} ± {share(row['error'])}" if row.get("error") else share(row.get("ap")),
            chosen=bool(row.get("chosen")),
        )
        for row in chosen
    ]


def feature_space(features: Mapping[str, npt.NDArray[np.floating[Any]]] | None) -> str:
    """A scatter of the groups, real ones filled, generated ones open; empty text where no group has a finite point.

    Of a group with more than 400 points, 400 spread evenly over its order are drawn; the legend gives the whole number.
    """
    groups = []
    for name, (title, style) in _STYLES.items():
        points = np.asarray((features or {}).get(name, np.zeros((0, 2))), dtype=float).reshape(-1, 2)
        points = points[np.isfinite(points).all(axis=1)]
        if len(points):
            some = np.unique(np.linspace(0, len(points) - 1, min(len(points), _SHOWN)).astype(int))
            groups.append((f"{title} ({count(len(points))})", points[some], style))
    if not groups:
        return ""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for label, points, style in groups:
            axes.plot(points[:, 0], points[:, 1], linestyle="none", label=label, **style)
        axes.set_aspect("equal", adjustable="datalim")
        axes.margins(0.06)
        axes.set(xticks=[], yticks=[], xlabel="first feature axis", ylabel="second feature axis")
        axes.spines[["left", "bottom"]].set_visible(True)
        axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=4, labelcolor=MUTED, handletextpad=0.2)

    return render(draw, "Real and synthetic images in feature space", width=8.4, height=4.4)
