"""The options that the commands which build models share."""

from functools import partial
from pathlib import Path

import click

data_option = click.option("--data", type=click.Path(path_type=Path), default=Path("data"), show_default=True)
recipe_option = partial(click.option, "--recipe", show_default=True, help="A preset's name or a YAML file.")
weights_option = click.option(
    "--weights",
    default="imagenet",
    show_default=True,
    help="Start weights: 'imagenet' (downloaded), a safetensors file, or 'none'.",
)
generator_option = click.option(
    "--generator",
    type=click.Choice(["stable_diffusion", "inpaint", "in_domain", "strokes"]),
    help="Where in-distribution defects come from.  [default: the recipe's]",
)
set_option = click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Override, e.g. train.epochs=5."
)
only_option = click.option(
    "--only", multiple=True, metavar="CELL", help="Build these alone: names of --dry-run, or *-patterns."
)
dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Print the plan and an estimate of its time, and build nothing."
)
