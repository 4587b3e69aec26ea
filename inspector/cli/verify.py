"""`inandout-inspect verify`: check a bundle's checksums and show what it holds."""

from pathlib import Path

import click


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path, readable=False))
def verify(bundle: Path) -> None:
    """Check every file of BUNDLE against its checksum and print what the bundle is.

    Exit code 1, naming the file, where one is missing or differs.
    """
    from inspector.cli.options import open_bundle

    opened = open_bundle(bundle)
    manifest = opened.manifest
    point = manifest.calibration
    click.echo(f"bundle       {opened.identity}")
    click.echo(f"created      {manifest.created}")
    click.echo(f"input        {manifest.input.width} x {manifest.input.height}, crop {manifest.input.crop}")
    click.echo(f"policy       {point.policy}")
    click.echo(f"threshold    {point.threshold:g} (temperature {point.temperature:g}, bias {point.bias:g})")
    if point.review_band is not None:
        click.echo(f"review band  {point.review_band[0]:g} to {point.review_band[1]:g}")
    click.echo(f"support      {point.n_defect} {point.defects} defects, {point.n_ok} ok; calibrated {point.created}")
    if point.guarantee is not None:
        bound, sign = point.guarantee, ">=" if point.guarantee.metric == "recall" else "<="
        click.echo(f"guarantee    {bound.metric} {sign} {bound.bound:g} at confidence {bound.confidence:g}")
    click.echo("")
    click.echo(f"{'file':28} {'bytes':>12}  sha256")
    for entry in [*manifest.models, *manifest.files]:
        click.echo(f"{entry.path:28} {entry.bytes:>12}  {entry.sha256}")
    click.echo(f"all {len(manifest.models) + len(manifest.files)} files match their checksums")
