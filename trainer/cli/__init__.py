"""`inandout-train`: images in, bundle and report out."""

import click

from inspector import command


@click.group(
    cls=command.LazyGroup,
    lazy={
        "build": ("trainer.cli.build:build", "The whole job: images in, bundle and report out."),
        "data": ("trainer.cli.data:data", "Check, synthesise or fetch image sets."),
        "generate": ("trainer.cli.generate:generate", "Draw synthetic defects into a folder."),
        "review": ("trainer.cli.review:review", "Draw defects to order and judge them, on a local web page."),
        "curve": ("trainer.cli.curve:curve", "What more real defects would buy: a learning curve."),
        "export-lora": ("trainer.cli.export_lora:export_lora", "The trained adapters as one file, in kohya's format."),
        "recipes": ("trainer.cli.recipes:recipes", "List and copy the preset recipes."),
        "reproduce": ("trainer.cli.reproduce:reproduce", "The paper's tables on your data, beside the published ones."),
    },
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="inandout", prog_name="inandout-train")
def cli() -> None:
    """Build defect-inspection models from folders of images."""


def main() -> None:
    """Entry point of `inandout-train`."""
    command.run(cli)
