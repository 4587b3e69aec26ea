"""The report on what judges an image: kinds of evidence, how good each is alone, and its part in the sum."""

from collections.abc import Mapping
from dataclasses import dataclass

from trainer.fusion import title
from trainer.report.numbers import MISSING, percent, share

KINDS = {
    "plain": "whole image",
    "dense": "small spots",
    "memory": "unlike good patches",
}
"""What each kind of evidence looks for, in a reader's words."""


@dataclass(frozen=True, slots=True)
class Judges:
    """What the stage `fuse` found.

    Attributes:
        candidates: average precision on validation images by `trainer.fusion.title` of each sum that was compared.
        parts: each used kind's part in the sum, 0..1.
        synthetic: whether the validation defects are synthetic.
    """

    candidates: Mapping[str, float]
    parts: Mapping[str, float]
    synthetic: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One candidate as text."""

    name: str
    looks_for: str
    ap: str
    part: str


def rows(known: Judges) -> tuple[Row, ...]:
    """The table, kinds of evidence first, then their sums."""
    ordered = sorted(known.candidates.items(), key=lambda item: item[0].count("+"))
    return tuple(
        Row(name.replace("+", " + "), KINDS.get(name, ""), share(ap), _part(name, known)) for name, ap in ordered
    )


def _part(name: str, known: Judges) -> str:
    """A kind's part in the verdict; of a sum, all of it or nothing."""
    if "+" not in name:
        return percent(known.parts[name]) if name in known.parts else MISSING
    return percent(1.0) if name == title(known.parts) else MISSING
