"""`inandout-train curve`: average precision against the number of real defects, with and without synthetic ones."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

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
    from trainer.curve.plan import Count, Offer
    from trainer.reproduce.campaign import Campaign
    from trainer.reproduce.cells import Result
    from trainer.reproduce.plan import Cell


class Counts(click.ParamType["tuple[Count, ...]"]):
    """Numbers of real defects, and the word `all`: `0,1,5,all`."""

    name = "N,N,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> "tuple[Count, ...]":
        """Read the option's value; anything else is a usage error."""
        counts: list[Count] = []
        for word in (part.strip() for part in str(value).split(",")):
            if word != "all" and not (word.isascii() and word.isdigit()):
                self.fail(f"{word!r} is neither a number of real defects nor 'all': give e.g. 0,1,5,all", param, ctx)
            counts.append("all" if word == "all" else int(word))
        return tuple(counts)


@click.command()
@data_option
@click.option("--output", type=click.Path(path_type=Path), default=Path("runs/curve"), show_default=True)
@click.option(
    "--counts",
    type=Counts(),
    default="0,1,2,5,10,20,60,all",
    show_default=True,
    help="Real defects in training; those that the data lacks are left out.",
)
@click.option("--seeds", type=click.IntRange(min=1), default=3, show_default=True, help="Builds a point.")
@click.option(
    "--augment",
    type=click.Choice(["none", "memseg", "diffusion", "in_and_out"]),
    help="Synthetic defects of the second line; 'none' leaves it out.  [default: the recipe's, else in_and_out]",
)
@generator_option
@recipe_option(default="default")
@weights_option
@click.option(
    "--split",
    type=click.Choice(["val", "test"]),
    default="val",
    show_default=True,
    help="Measure on validation images, or open the sealed test split.",
)
@set_option
@only_option
@dry_run_option
@click.option("-v", "--verbose", count=True)
def curve(
    data: Path,
    output: Path,
    counts: "tuple[Count, ...]",
    seeds: int,
    augment: str | None,
    generator: str | None,
    recipe: str,
    weights: str,
    split: Literal["val", "test"],
    assignments: tuple[str, ...],
    only: tuple[str, ...],
    dry_run: bool,
    verbose: int,
) -> None:
    """Show what collecting more real defects would buy, with and without synthetic ones.

    Builds a model for each number of real defects and seed, and draws average precision over them into curve.html.
    Finished cells are kept and never built twice; interrupted, the same command goes on.
    """
    from inspector import log
    from inspector.optional import require

    log.configure(verbose)
    for module in ("torch", "torchvision", "accelerate", "onnxscript"):
        require(module, "building a model")
    from rich.console import Console

    from trainer.curve import plan
    from trainer.curve.publish import publish
    from trainer.curve.summary import built
    from trainer.data import readers
    from trainer.reproduce import cells
    from trainer.reproduce.campaign import Campaign
    from trainer.reproduce.plan import chosen

    overrides = {"augment.generator": generator}
    first = plan.base(recipe, overrides, assignments)
    dataset = readers.read(data.absolute(), first.data.layout, first.data.resplit)
    offer = plan.offer(counts, dataset, first, seeds, split)
    kind = plan.kind_of(augment, first)
    planned = plan.cells(offer.counts, recipe, seeds, kind, overrides, assignments)
    wanted = chosen(planned, only)
    if any(cell.generates for cell in wanted):
        require("diffusers", "generating defects")
    workshop = cells.Workshop(data, weights, cells.material(dataset, weights), output, split=split)
    campaign = Campaign(planned, wanted, dataset, workshop)
    console = Console(stderr=True, highlight=False)
    _tell_what_is_left_out(console, offer, data)
    if dry_run:
        click.echo("\n".join(campaign.forecast()))
        return

    def figure(cell: "Cell", result: "Result") -> str:
        [one] = built([cell], {cell.name: result}, workshop)
        return f"{'validation' if split == 'val' else 'test'} AP {one.ap:.3f}"

    def seed_ended(cell: "Cell") -> None:
        left = campaign.todo()
        if left and not any(other.seed == cell.seed for other in left):
            publish(campaign, offer, recipe)

    campaign.build("curve", console, figure, seed_ended)
    _show(campaign, offer, recipe)
    campaign.require_all()


def _tell_what_is_left_out(console: Any, offer: "Offer", data: Path) -> None:
    if offer.beyond:
        left = ", ".join(str(count) for count in offer.beyond)
        console.print(
            f"{data} has {offer.available} real defects to train on: {left} left out", markup=False, soft_wrap=True
        )


def _show(campaign: "Campaign", offer: "Offer", recipe: str) -> None:
    """Print the table and what it says, and where the files are."""
    from trainer.cli.screen import open_screen
    from trainer.curve.publish import publish

    shown = publish(campaign, offer, recipe)
    if shown is None:
        return
    open_screen().print(shown.table)
    for sentence in shown.sentences:
        click.echo(sentence)
    click.echo("written   " + ", ".join(str(path) for path in shown.paths))
