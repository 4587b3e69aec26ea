"""The report on what judges an image: kinds of evidence, how good each is alone, and its part in the sum."""

from collections.abc import Mapping
from dataclasses import dataclass

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
        candidates: average precision on validation images by the names of the evidence, joined with `+`; of a sum, on
            images that its weights were not fitted on. Empty where a single kind was asked for.
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
    """The table, kinds of evidence first, then their sum."""
    alone = [
        Row(name, KINDS.get(name, ""), share(ap), percent(known.parts[name]) if name in known.parts else MISSING)
        for name, ap in known.candidates.items()
        if "+" not in name
    ]
    together = [
        Row("together", "", share(ap), percent(1.0) if len(known.parts) > 1 else MISSING)
        for name, ap in known.candidates.items()
        if "+" in name
    ]
    return tuple(alone + together)
