"""`inandout-train generate`: draw synthetic defects into a folder, to look at or to use elsewhere."""

from pathlib import Path

import click

_ON_SHEET = 24


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=Path("data"), show_default=True)
@click.option("--output", type=click.Path(path_type=Path), required=True, help="A new or an empty folder.")
@click.option("--augment", type=click.Choice(["memseg"]), default="memseg", show_default=True)
@click.option("--n", type=click.IntRange(min=1), default=120, show_default=True, help="How many images.")
@click.option("--width", type=click.IntRange(16, 8192), default=200, show_default=True)
@click.option("--height", type=click.IntRange(16, 8192), default=600, show_default=True)
@click.option(
    "--textures", type=click.Path(path_type=Path), help="Folder of texture pictures.  [default: drawn by rule]"
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--layout", default="auto", show_default=True, help="The data's layout.")
@click.option("-v", "--verbose", count=True)
def generate(
    data: Path,
    output: Path,
    augment: str,
    n: int,
    width: int,
    height: int,
    textures: Path | None,
    seed: int,
    layout: str,
    verbose: int,
) -> None:
    """Draw defects on the good training images of a data set.

    Writes images/, masks/, provenance.jsonl and a contact sheet, all or nothing. Where the data set has no splits,
    every good image is used.
    """
    import json

    from inspector import log
    from inspector.errors import DataError
    from inspector.preprocess import InputSpec
    from trainer.augment import registry
    from trainer.augment.sheet import contact_sheet
    from trainer.data import readers
    from trainer.data.newfolder import new_folder, write_png

    log.configure(verbose)
    samples = readers.read(data, layout).samples
    normals = [sample.path for sample in samples if sample.label == 0 and sample.split in ("train", "")]
    if not normals:
        raise DataError(f"{data} has no good training image to draw on: add some, or name another --layout")
    spec = InputSpec(width=width, height=height)  # type: ignore[call-arg]
    augmenter = registry.create(augment, normals, spec, textures=textures)
    with new_folder(output) as folder:
        (folder / "images").mkdir()
        (folder / "masks").mkdir()
        shown = []
        with (folder / "provenance.jsonl").open("w", encoding="utf-8") as records:
            for number, image in enumerate(augmenter.generate(n, seed)):
                name = f"{number:05d}.png"
                write_png(folder / "images" / name, image.pixels)
                if image.mask is not None:
                    write_png(folder / "masks" / name, image.mask)
                mask = f"masks/{name}" if image.mask is not None else None
                records.write(json.dumps({"path": f"images/{name}", "mask": mask, **image.provenance}) + "\n")
                if number < _ON_SHEET:
                    shown.append(image)
        write_png(folder / "sheet.png", contact_sheet(shown))
    click.echo(f"{n} images on {len(normals)} good ones: {output}; look at {output / 'sheet.png'}")
