"""Write the curve's page: one HTML file that needs nothing else, neither a network nor a script."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from inspector.atomic import replacing
from inspector.errors import SinkError
from trainer.curve import chart, sentences, table
from trainer.curve.plan import Line
from trainer.curve.summary import Built, Curve
from trainer.report import html, numbers


@dataclass(frozen=True, slots=True)
class Key:
    """One of the figures at the top."""

    label: str
    value: str
    basis: str


@dataclass(frozen=True, slots=True)
class PageInputs:
    """What the page shows.

    Attributes:
        name: of the data.
        created: UTC, ISO 8601.
        split: `validation` or `sealed test`.
        planned: builds in the plan.
        finished: those that are done, in the order of the plan; at least one.
        curve: of them.
        labels: of the lines.
        notes: what to read first.
        method: how it was measured, a sentence each.
    """

    name: str
    created: str
    split: str
    planned: int
    finished: Sequence[Built]
    curve: Curve
    labels: Mapping[Line, str]
    notes: Sequence[str]
    method: Sequence[str]


def write(inputs: PageInputs, destination: Path) -> None:
    """Render `inputs` to `destination` (`.html`), atomically.

    Raises:
        SinkError: the disk refuses.
        InandoutError: jinja2 is not installed.
    """
    text = page(inputs)
    try:
        with replacing(destination) as handle:
            handle.write(text)
    except OSError as error:
        raise SinkError(f"cannot write {destination}: {error.strerror}; free some space and run again") from error


def page(inputs: PageInputs) -> str:
    """The page as HTML; every text of `inputs` is escaped."""
    environment = html.environment(Path(__file__).parent, "writing the curve's page")
    environment.filters["date"] = numbers.date
    curve = inputs.curve
    first, *others = sentences.all_of(curve)
    labels = inputs.finished[0].judged.labels
    shown: str = environment.get_template("curve.html.j2").render(
        inputs=inputs,
        style=resources.files("trainer.report").joinpath("report.css").read_text(encoding="utf-8"),
        keys=keys(inputs),
        first=first,
        others=others,
        chart=chart.draw(curve, inputs.labels, float(labels.mean())),
        rows=table.rows(curve),
        steps=[(inputs.labels[line], table.steps(line, curve)) for line in curve.steps if curve.steps[line]],
        builds=_builds(inputs),
    )
    return shown


def keys(inputs: PageInputs) -> list[Key]:
    """The figures at the top, of the line that is ahead at its most defects."""
    curve = inputs.curve
    line = sentences.leading(curve)
    assert line is not None  # there is a finished build
    last, change = list(curve.points[line].values())[-1], curve.last.get(line)
    beside = sentences.BESIDE[line]
    found = [
        Key(
            f"Average precision with {sentences.defects(last)} real defects",
            numbers.share(last.mean),
            f"{sentences.span(last.interval)}, {beside}",
        )
    ]
    if change is not None:
        pace = sentences.pace(change)
        step = f"{sentences.defects(change.before)} to {sentences.defects(change.after)}"
        found.append(
            Key(
                "A doubling of real defects bought",
                *_told(change.distinguishable, pace.mean, pace.low, pace.high, step),
            )
        )
        at = (pace.more_mean, pace.more_low, pace.more_high)
        found.append(Key("Ten more would buy about", *_told(change.distinguishable, *at, "at that pace")))
    few = next((gain for gain in curve.gains.values()), None)
    if few is not None:
        where = f"with {sentences.defects(few.before)} real"
        ends = (few.mean, few.interval.low, few.interval.high)
        found.append(Key("Synthetic defects bought", *_told(few.distinguishable, *ends, where)))
    return found


def _told(distinguishable: bool, mean: float, low: float, high: float, where: str) -> tuple[str, str]:
    """A difference and what it stands on; a word instead of a figure that may as well be nothing."""
    value = sentences.signed(mean) if distinguishable else "unclear"
    return value, f"{sentences.signed_span(low, high)}; {where}"


def _builds(inputs: PageInputs) -> list[list[str]]:
    """A row a build."""
    shown = []
    for one in inputs.finished:
        result = one.result
        minutes = (result.train_seconds + result.fine_tune_seconds + result.other_seconds) / 60
        figures = [numbers.count(result.real), numbers.count(result.synthetic), str(one.cell.seed)]
        shown.append([one.cell.name, *figures, numbers.share(one.ap), f"{minutes:.1f}"])
    return shown
