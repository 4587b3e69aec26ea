"""`inandout-train export-lora`: the trained adapters as one file for other software."""

from pathlib import Path

import click


@click.command("export-lora")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("destination", type=click.Path(path_type=Path))
@click.option("--base", help="The Stable Diffusion folder or hub id that was fine-tuned.  [default: the run's]")
def export_lora(source: Path, destination: Path, base: str | None) -> None:
    """Write the LoRA-C3Lier adapters of SOURCE to DESTINATION, a safetensors file in the kohya format.

    SOURCE is the run of a build, or the folder of a trained generator ('OUTPUT.model' of generate). Web interfaces
    and kohya's scripts read the file; diffusers reads the folder 'adapters' in SOURCE as it is.
    """
    from inspector.errors import DataError, SinkError
    from inspector.optional import require
    from trainer.stages import read_json

    require("diffusers", "exporting adapters")
    from trainer.augment.stable_diffusion import adapters, pipeline, training

    fitted = source / "fine_tune" if (source / "fine_tune").is_dir() else source
    if not (fitted / training.ADAPTERS).is_dir():
        raise DataError(
            f"no adapters in {source}: name a run built with --generator stable_diffusion, or its trained generator"
        )
    if base is None and (source / "recipe.json").is_file():
        base = read_json(source / "recipe.json")["stable_diffusion"]["base"]
    if base is None:
        raise DataError(f"{source} does not tell which model was fine-tuned: name it with --base")
    if destination.exists():
        raise SinkError(f"{destination} exists: choose another name")
    model = pipeline.load(base)
    adapters.load_into(model, fitted / training.ADAPTERS)
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        adapters.export_kohya(model, destination)
    except OSError as error:
        raise SinkError(f"cannot write {destination}: {error.strerror or error}") from error
    click.echo(f"wrote {destination}, {destination.stat().st_size / 2**20:.1f} MiB")
