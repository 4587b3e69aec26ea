"""`inandout-train build`: the whole job."""

import json
import logging
from pathlib import Path
from typing import Any

import click

from trainer.cli.options import data_option, generator_option, recipe_option, set_option, weights_option


class CountOrAuto(click.ParamType[int | str]):
    """A number of images, or the word `auto`."""

    name = "N|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """Read the option's value; anything else is a usage error."""
        if value == "auto":
            return "auto"
        return click.IntRange(min=0).convert(value, param, ctx)


@click.command()
@click.option(
    "--scenario",
    type=click.Choice(["zero_shot", "few_shot", "full_shot"]),
    help="How many real defects training may see: none, a few (data.few_shot), all.  [default: the recipe's]",
)
@data_option
@click.option("--output", type=click.Path(path_type=Path), help="Run folder.  [default: runs/<scenario>]")
@recipe_option(default="default")
@weights_option
@click.option("--resplit", is_flag=True, help="Forget the splits the data set brings and make new ones.")
@click.option(
    "--augment",
    type=click.Choice(["none", "memseg", "diffusion", "in_and_out"]),
    help="Synthetic defects: out of distribution, in distribution, or both.  [default: the recipe's]",
)
@generator_option
@click.option(
    "--n-aug",
    type=CountOrAuto(),
    help="How many synthetic defects; 'auto' searches number and mix on validation images.  [default: the recipe's]",
)
@click.option(
    "--head",
    type=click.Choice(["plain", "dense", "memory", "fused", "auto"]),
    help="What judges an image: a map pooled over all of it, a fine map that drawn masks teach, the distance to "
    "patches of good images, all three, or what validation favours.  [default: the recipe's]",
)
@click.option("--seed", type=click.IntRange(min=0), help="[default: the recipe's]")
@click.option("--name", help="The bundle's name.  [default: the recipe's]")
@set_option
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON line.")
@click.option("-v", "--verbose", count=True)
def build(
    scenario: str | None,
    data: Path,
    output: Path | None,
    recipe: str,
    weights: str,
    resplit: bool,
    augment: str | None,
    generator: str | None,
    n_aug: int | str | None,
    head: str | None,
    seed: int | None,
    name: str | None,
    assignments: tuple[str, ...],
    as_json: bool,
    verbose: int,
) -> None:
    """Turn a folder of labelled images into a calibrated, verified bundle with a report.

    Killed at any point, the same command goes on where it was.
    """
    from inspector import log
    from inspector.optional import require
    from trainer.recipe import resolve

    log.configure(verbose)
    resolved = resolve(
        recipe,
        {
            "scenario": scenario,
            "data.resplit": resplit or None,
            "augment.kind": augment,
            "augment.generator": generator,
            "augment.n": n_aug,
            "model.head": head,
            "seed": seed,
            "name": name,
        },
        assignments,
    )
    diffusion = resolved.augment.kind in ("diffusion", "in_and_out")
    for module in ("torch", "torchvision", "accelerate", "onnxscript", *(["diffusers"] if diffusion else [])):
        require(module, "building a model")
    from rich.console import Console

    from trainer.build.pipeline import build as run_build
    from trainer.build.processes import open_accelerator

    run = output or Path("runs") / resolved.scenario
    accelerator = open_accelerator(resolved.train.precision)
    if not accelerator.is_main_process:
        logging.getLogger("trainer").setLevel(logging.ERROR)
    made = run_build(resolved, data, weights, run, accelerator, Console(stderr=True, highlight=False))
    accelerator.end_training()
    if made is None:
        return
    metrics = made.manifest.metrics
    report = made.folder / "report.html"
    if as_json:
        click.echo(json.dumps({"bundle": str(made.path), "report": str(report), "metrics": metrics}))
        return
    if "ap" in metrics:
        click.echo(f"test AP {metrics['ap']:.4f}  (95 % interval {metrics['ap_low']:.4f} to {metrics['ap_high']:.4f})")
    else:
        click.echo("test AP not measured: the data has no test split with both classes")
    calibration = made.manifest.calibration
    click.echo(
        f"threshold {calibration.threshold:.4f} by {calibration.policy}, "
        f"from {calibration.n_defect} {calibration.defects} defects and {calibration.n_ok} good images"
    )
    click.echo(f"bundle    {made.path}")
    click.echo(f"report    {report}")
