"""The six tables of In&Out (Capogrosso et al., VISAPP 2024) as data: what was run, and what was published.

All figures are test figures on KolektorSDD2, mean and (standard deviation) over four seeds, ResNet-50.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from trainer.recipe import Scenario

Kind = Literal["none", "memseg", "diffusion", "in_and_out"]
Metric = Literal["ap", "precision", "recall"]
METRICS: tuple[Metric, ...] = ("ap", "precision", "recall")


@dataclass(frozen=True, slots=True)
class Figure:
    """A published mean and standard deviation; None where the paper prints a dash."""

    mean: float | None = None
    std: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table.

    Attributes:
        label: the augmentation as the paper names it.
        kind: the recipe's `augment.kind` for it; None for a figure the paper quotes from elsewhere.
        n: synthetic defects added; None for the average over the rows of this kind with `n` above 0, and for quotes.
        figures: published, by metric.
    """

    label: str
    kind: Kind | None
    n: int | None
    figures: Mapping[Metric, Figure]


@dataclass(frozen=True, slots=True)
class Table:
    """One of the paper's tables, its rows in the paper's order (the left half before the right one)."""

    number: int
    scenario: Scenario
    title: str
    rows: tuple[Row, ...]

    def cells(self) -> Iterator[tuple[Kind, int]]:
        """The trainings behind the table, `(kind, n)`, once each."""
        for row in self.rows:
            if row.kind is not None and row.n is not None:
                yield row.kind, row.n

    def averaged(self, row: Row) -> list[Row]:
        """The rows that an average is taken over. The paper leaves its `N_aug = 0` out, as the figures show."""
        return [other for other in self.rows if other.label == row.label and other.n]


NO_DEFECT_AT_ALL = (
    "The paper has no N_aug = 0 without real defects: there is nothing to learn from, so zero_shot starts at 80."
)
"""Said under the zero-shot tables, where a reader looks for the baseline."""

ONLY_BASELINE = "The paper's only N_aug = 0 is the full-shot one (table 5)."
"""Said under the few-shot tables."""


def _rows(label: str, kind: Kind, lines: str) -> tuple[Row, ...]:
    """Rows from lines of `n ap (std) precision (std) recall (std)`; `-` for n is the average."""
    rows = []
    for line in lines.strip().splitlines():
        first, *values = line.replace("(", "").replace(")", "").split()
        numbers = [float(value) for value in values]
        figures = {metric: Figure(*numbers[2 * k : 2 * k + 2]) for k, metric in enumerate(METRICS)}
        rows.append(Row(label, kind, None if first == "-" else int(first), figures))
    return tuple(rows)


TABLES: Mapping[int, Table] = {
    table.number: table
    for table in (
        Table(
            1,
            "zero_shot",
            "MemSeg and DDPM, no real defect",
            _rows(
                "MemSeg",
                "memseg",
                """
                80  .514 (.026) .733 (.113) .436 (.033)
                100 .388 (.066) .633 (.129) .432 (.054)
                120 .511 (.050) .683 (.054) .470 (.091)
                -   .471 (.047) .683 (.099) .446 (.059)
                """,
            )
            + _rows(
                "DDPM",
                "diffusion",
                """
                80  .547 (.086) .427 (.301) .695 (.194)
                100 .532 (.028) .387 (.277) .714 (.286)
                120 .445 (.186) .465 (.329) .591 (.274)
                -   .508 (.100) .426 (.302) .667 (.251)
                """,
            ),
        ),
        Table(
            2,
            "zero_shot",
            "In&Out, no real defect",
            _rows(
                "In&Out",
                "in_and_out",
                """
                80  .556 (.085) .530 (.219) .655 (.065)
                100 .626 (.059) .742 (.109) .568 (.029)
                120 .536 (.023) .699 (.085) .534 (.086)
                -   .573 (.056) .657 (.138) .586 (.060)
                """,
            ),
        ),
        Table(
            3,
            "few_shot",
            "MemSeg and DDPM, five real defects",
            _rows(
                "MemSeg",
                "memseg",
                """
                80  .582 (.018) .836 (.101) .466 (.049)
                100 .511 (.086) .686 (.082) .527 (.069)
                120 .593 (.044) .801 (.065) .507 (.053)
                -   .562 (.049) .774 (.083) .500 (.057)
                """,
            )
            + _rows(
                "DDPM",
                "diffusion",
                """
                80  .580 (.045) .542 (.270) .634 (.212)
                100 .526 (.075) .610 (.063) .477 (.081)
                120 .535 (.063) .659 (.127) .491 (.046)
                -   .547 (.061) .604 (.153) .534 (.113)
                """,
            ),
        ),
        Table(
            4,
            "few_shot",
            "In&Out, five real defects",
            _rows(
                "In&Out",
                "in_and_out",
                """
                80  .531 (.041) .507 (.220) .655 (.126)
                100 .578 (.041) .450 (.343) .761 (.245)
                120 .575 (.025) .635 (.316) .636 (.189)
                -   .561 (.036) .531 (.293) .684 (.187)
                """,
            ),
        ),
        Table(
            5,
            "full_shot",
            "In&Out, all real defects",
            (
                # Quoted by the paper from Bozic et al., Computers in Industry 2021, weakly supervised.
                Row("MixSegdec", None, None, {"ap": Figure(0.733), "precision": Figure(), "recall": Figure()}),
            )
            + _rows("In&Out", "none", "0 .747 (.055) .826 (.081) .723 (.058)")
            + _rows(
                "In&Out",
                "in_and_out",
                """
                80  .747 (.022) .764 (.046) .734 (.032)
                100 .775 (.013) .868 (.050) .720 (.026)
                120 .782 (.030) .906 (.064) .689 (.030)
                -   .768 (.022) .846 (.053) .714 (.029)
                """,
            ),
        ),
        Table(
            6,
            "full_shot",
            "MemSeg and DDPM, all real defects",
            _rows(
                "MemSeg",
                "memseg",
                """
                80  .744 (.007) .851 (.055) .691 (.058)
                100 .774 (.016) .814 (.038) .752 (.028)
                120 .734 (.032) .772 (.107) .707 (.031)
                -   .751 (.018) .812 (.067) .717 (.039)
                """,
            )
            + _rows(
                "DDPM",
                "diffusion",
                """
                80  .758 (.007) .808 (.056) .768 (.043)
                100 .763 (.008) .829 (.059) .725 (.034)
                120 .772 (.034) .858 (.084) .725 (.061)
                -   .764 (.016) .832 (.066) .739 (.046)
                """,
            ),
        ),
    )
}
"""The tables by number."""


def notes(table: Table) -> list[str]:
    """What a reader of the table should know about rows that it lacks."""
    return {"zero_shot": [NO_DEFECT_AT_ALL], "few_shot": [ONLY_BASELINE], "full_shot": []}[table.scenario]
