"""`inandout-train reproduce`: the paper's tables on any data set, ours beside the published figures."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trainer.cli.options import (
    data_option,
    dry_run_option,
    generator_option,
    only_option,
    recipe_option,
    set_option,
    weights_option,
)

if TYPE_CHECKING:
    from trainer.reproduce.cells import Result, Workshop
    from trainer.reproduce.plan import Cell
    from trainer.reproduce.tables import Table


@click.command()
@click.option(
    "--table",
    "numbers",
    type=click.IntRange(1, 6),
    multiple=True,
    required=True,
    help="Zero-shot 1 and 2, few-shot 3 and 4, full-shot 6 and 5: MemSeg and DDPM first, In&Out second.  Repeatable.",
)
@data_option
@click.option("--output", type=click.Path(path_type=Path), default=Path("runs/reproduce"), show_default=True)
@recipe_option(default="paper")
@weights_option
@click.option("--seeds", type=click.IntRange(min=1), default=4, show_default=True, help="Builds a cell of the table.")
@generator_option
@set_option
@only_option
@dry_run_option
@click.option("--keep", is_flag=True, help="Keep each build's run folder with its bundle.")
@click.option("--layout", help="The data's layout.  [default: the recipe's]")
@click.option("-v", "--verbose", count=True)
def reproduce(
    numbers: tuple[int, ...],
    data: Path,
    output: Path,
    recipe: str,
    weights: str,
    seeds: int,
    generator: str | None,
    assignments: tuple[str, ...],
    only: tuple[str, ...],
    dry_run: bool,
    keep: bool,
    layout: str | None,
    verbose: int,
) -> None:
    """Build the cells of the In&Out paper's tables, and print our figures beside the published ones.

    Finished cells are kept and never built twice, also by another table; interrupted, the same command goes on.
    """
    from inspector import log
    from inspector.optional import require

    log.configure(verbose)
    for module in ("torch", "torchvision", "accelerate", "onnxscript"):
        require(module, "building a model")
    from rich.console import Console

    from trainer.data import readers
    from trainer.reproduce import cells, plan
    from trainer.reproduce.campaign import Campaign
    from trainer.reproduce.tables import TABLES

    tables = [TABLES[number] for number in sorted(set(numbers))]
    planned = plan.cells(tables, recipe, seeds, {"augment.generator": generator, "data.layout": layout}, assignments)
    wanted = plan.chosen(planned, only)
    first = wanted[0].recipe
    dataset = readers.read(data.absolute(), first.data.layout, first.data.resplit)
    cells.require_both_kinds(dataset)
    workshop = cells.Workshop(data, weights, cells.material(dataset, weights), output, keep)
    campaign = Campaign(planned, wanted, dataset, workshop)
    if dry_run:
        click.echo("\n".join(campaign.forecast()))
        return
    console = Console(stderr=True, highlight=False)
    campaign.build("reproduce", console, lambda _, result: f"test AP {result.metrics['ap']:.3f}")
    pages = _show(tables, planned, campaign.done, workshop, seeds, recipe)
    click.echo("written   " + ", ".join(str(page) for page in pages))
    campaign.require_all()


def _show(
    tables: "list[Table]",
    planned: "list[Cell]",
    done: "dict[str, Result]",
    workshop: "Workshop",
    seeds: int,
    recipe: str,
) -> list[Path]:
    """Print and write the tables."""
    from trainer.cli.screen import open_screen
    from trainer.reproduce import present, summary

    screen = open_screen()
    pages = []
    for table in tables:
        builds: dict[Any, list[summary.Build]] = {}
        for cell in planned:
            if cell.scenario == table.scenario and cell.name in done:
                result = done[cell.name]
                found = summary.Build(result.metrics, result.threshold, workshop.scores(cell))
                builds.setdefault((cell.kind, cell.n), []).append(found)
        rows = summary.summarise(table, builds)
        screen.print(present.in_terminal(table, rows, seeds))
        pages.append(present.write(table, rows, seeds, _about(planned, done, workshop, recipe), workshop.output))
    return pages


def _about(planned: "list[Cell]", done: "dict[str, Result]", workshop: "Workshop", recipe: str) -> list[str]:
    """How our figures came about, for the written table."""
    sizes = {
        f"{result.metrics['n_ok']:.0f} good and {result.metrics['n_defect']:.0f} defective" for result in done.values()
    }
    return [
        "Published: Capogrosso et al., VISAPP 2024, on KolektorSDD2. "
        f"Ours: {workshop.data}, tested on {' or '.join(sorted(sizes)) or 'no'} images, which no choice was made on.",
        f"Recipe {recipe}, start weights {workshop.weights}, generator {planned[0].recipe.augment.generator}, "
        f"{planned[0].recipe.train.epochs} epochs, input {planned[0].recipe.input.width} x "
        f"{planned[0].recipe.input.height}.",
        "Mean (standard deviation, n - 1) over seeds; intervals: percentile bootstrap over seeds and test images. "
        f"Precision and recall at the threshold that {planned[0].recipe.calibrate.policy} chose on validation images.",
        "Averages are those of the means and of the deviations over N_aug above 0, as the paper's are.",
        *_short_of_defects(planned, done),
    ]


def _short_of_defects(planned: "list[Cell]", done: "dict[str, Result]") -> list[str]:
    """A sentence on cells that trained on fewer synthetic defects than their row says, if there are any."""
    short = [
        f"{cell.name} {done[cell.name].synthetic}"
        for cell in planned
        if cell.name in done and done[cell.name].synthetic < cell.n
    ]
    return [f"The gate let too few images pass for these: {', '.join(short)}."] if short else []
