"""`inandout-train data synth`: a labelled surface set from nothing."""

from pathlib import Path

import click


@click.command()
@click.argument("output", type=click.Path(path_type=Path), default=Path("data"))
@click.option("--n-good", type=click.IntRange(min=0), default=200, show_default=True)
@click.option("--n-defect", type=click.IntRange(min=0), default=60, show_default=True)
@click.option("--width", type=int, default=200, show_default=True, help="Pixels.")
@click.option("--height", type=int, default=600, show_default=True, help="Pixels.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--contrast", type=float, default=1.0, show_default=True, help="Times the defects' usual strength.")
def synth(output: Path, n_good: int, n_defect: int, width: int, height: int, seed: int, contrast: float) -> None:
    """Draw a labelled surface set into the new folder OUTPUT (default: data): images, masks and manifest.csv."""
    from trainer.data.synth import synthesise

    synthesise(output, n_good, n_defect, width, height, seed, contrast)
    click.echo(f"{n_good} good and {n_defect} defect images are in {output}; next: inandout-train data check {output}")
