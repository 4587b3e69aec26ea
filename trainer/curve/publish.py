"""Show what is finished of a curve: the table for a terminal, the page, and the files for programs."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import rich.table

from trainer.curve import files, page, sentences, table
from trainer.curve.plan import LINES, Line, Offer, line_of
from trainer.curve.summary import Built, Curve, built, summarise
from trainer.recipe import Recipe
from trainer.reproduce.campaign import Campaign

PAGE = "curve.html"
_FEW_DEFECTS = 20
_FEW_SEEDS = 3


@dataclass(frozen=True, slots=True)
class Shown:
    """What was written, and what a terminal shows: the table and the sentences below it."""

    table: rich.table.Table
    sentences: list[str]
    paths: list[Path]


def publish(campaign: Campaign, offer: Offer, recipe: str) -> Shown | None:
    """Write `curve.html`, `curve.csv` and `curve.json` into the output folder; None while no build is finished.

    Args:
        campaign: the plan and its results.
        offer: what the images allowed.
        recipe: as named on the command line.

    Raises:
        InandoutError: a stored score table is damaged, or the disk refuses.
    """
    workshop = campaign.workshop
    split = "validation" if workshop.split == "val" else "sealed test"
    finished = built(campaign.planned, campaign.done, workshop)
    if not finished:
        return None
    curve = summarise(finished, f"{split} images")
    told = sentences.all_of(curve)
    labels = _labels(campaign)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    name = workshop.data.absolute().name
    shown = page.PageInputs(
        name=name,
        created=created,
        split=split,
        planned=len(campaign.planned),
        finished=finished,
        curve=curve,
        labels=labels,
        notes=_notes(campaign, offer, finished, curve),
        method=_method(campaign, finished, recipe, split),
    )
    page.write(shown, workshop.output / PAGE)
    settings: dict[str, Any] = {
        "data": name,
        "split": workshop.split,
        "created": created,
        "recipe": recipe,
        "weights": workshop.weights,
        "augmentation": _augmentation(campaign),
        "real_defects_available": offer.available,
        "builds_planned": len(campaign.planned),
    }
    written = files.write(finished, curve, told, settings, workshop.output)
    title = f"{name}: average precision on {split} images by real defects in training"
    screen = table.in_terminal(curve, title, _augmentation(campaign) or "")
    return Shown(screen, told, [workshop.output / PAGE, *written])


def _labels(campaign: Campaign) -> dict[Line, str]:
    return dict(zip(LINES, ("Real defects alone", f"With synthetic ({_augmentation(campaign)})"), strict=True))


def _augmentation(campaign: Campaign) -> str | None:
    """The kind behind the line with synthetic defects."""
    return next((cell.kind for cell in campaign.planned if line_of(cell) == "synthetic"), None)


def _notes(campaign: Campaign, offer: Offer, finished: list[Built], curve: Curve) -> list[str]:
    """What a reader must know before the figures."""
    notes = []
    seeds = {len(point.builds) for points in curve.points.values() for point in points.values()}
    if min(seeds) < _FEW_SEEDS:
        notes.append(
            "Some points rest on one or two builds: their intervals hold the chance of the images, but little of the "
            "luck of which defects were collected. Three seeds or more tell that too."
        )
    defects = int(finished[0].judged.labels.sum())
    if defects < _FEW_DEFECTS:
        notes.append(f"Only {defects} defects are judged: expect wide intervals, and read them before the figures.")
    if campaign.workshop.split == "val":
        notes.append(
            "Validation images also serve choices of each build, such as its threshold, so the level may flatter "
            "a little; read the differences. The test split stays sealed."
        )
    if offer.beyond:
        left = ", ".join(str(count) for count in offer.beyond)
        notes.append(f"Training has {offer.available} real defects, so {left} could not be built.")
    if len(finished) < len(campaign.planned):
        missing = len(campaign.planned) - len(finished)
        notes.append(f"{missing} of {len(campaign.planned)} builds are not finished: run the same command to go on.")
    short = sum(one.result.synthetic < one.cell.n for one in finished if one.cell.recipe.augment.n != "auto")
    if short:
        notes.append(f"In {short} builds fewer synthetic defects than asked passed the gate.")
    return notes


def _method(campaign: Campaign, finished: list[Built], recipe: str, split: str) -> list[str]:
    """How the figures came about."""
    first: Recipe = finished[0].cell.recipe
    sizes = sorted({(int((one.judged.labels == 0).sum()), int(one.judged.labels.sum())) for one in finished})
    images = " or ".join(f"{good} good and {bad} defective" for good, bad in sizes)
    method = [
        f"Average precision on {images} {split} images, the same for every point of a seed.",
        f"Each point is a whole build: recipe {recipe}, start weights {campaign.workshop.weights}, "
        f"{first.train.epochs} epochs, input {first.input.width} x {first.input.height}.",
        "The real defects of a point are drawn anew for every number and seed: a larger set need not hold a smaller.",
        "Intervals: percentile bootstrap over seeds and images, 2000 resamples. Differences are paired: both points "
        "are judged on the same resampled images, so they can be distinguishable where the bars of two points overlap. "
        "With few seeds the intervals are somewhat narrow.",
    ]
    made = next((cell for cell in campaign.planned if line_of(cell) == "synthetic"), None)
    if made is not None:
        by = f" with the generator {made.recipe.augment.generator}" if made.generates else ""
        number = made.recipe.augment.n
        count = "a number picked on validation images" if number == "auto" else f"{number} a build"
        method.insert(2, f"Synthetic defects: {made.kind}{by}, {count}.")
    return method
