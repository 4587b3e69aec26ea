"""`inandout-train generate`: draw synthetic defects into a folder, to look at or to use elsewhere."""

from pathlib import Path

import click

_ON_SHEET = 24


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=Path("data"), show_default=True)
@click.option("--output", type=click.Path(path_type=Path), required=True, help="A new or an empty folder.")
@click.option(
    "--generator",
    type=click.Choice(["memseg", "in_domain", "strokes", "inpaint", "stable_diffusion"]),
    default="memseg",
    show_default=True,
)
@click.option("--n", type=click.IntRange(min=1), default=120, show_default=True, help="How many images.")
@click.option("--scenario", type=click.Choice(["zero_shot", "few_shot", "full_shot"]), help="[default: the recipe's]")
@click.option("--recipe", default="default", show_default=True, help="A preset's name or a YAML file.")
@click.option("--width", type=click.IntRange(16, 8192), help="[default: the recipe's]")
@click.option("--height", type=click.IntRange(16, 8192), help="[default: the recipe's]")
@click.option(
    "--textures", type=click.Path(path_type=Path), help="Folder of texture pictures.  [default: drawn by rule]"
)
@click.option(
    "--weights",
    default="imagenet",
    show_default=True,
    help="Features that tell where real defects lie: 'imagenet', a safetensors file, or 'none'.",
)
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    help="Folder of the trained generator, made or gone on with; 'RUN/fine_tune' of a build.  [default: OUTPUT.model]",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--layout", default="auto", show_default=True, help="The data's layout.")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Override, e.g. in_domain.steps=500.")
@click.option("-v", "--verbose", count=True)
def generate(
    data: Path,
    output: Path,
    generator: str,
    n: int,
    scenario: str | None,
    recipe: str,
    width: int | None,
    height: int | None,
    textures: Path | None,
    weights: str,
    model: Path | None,
    seed: int,
    layout: str,
    assignments: tuple[str, ...],
    verbose: int,
) -> None:
    """Draw defects on the good training images of a data set.

    Writes images/, masks/, provenance.jsonl and a contact sheet, all or nothing. A generator that learns is trained
    first. Where the data set has no splits, every good image is used.
    """
    import json
    from dataclasses import replace

    from inspector import log
    from inspector.errors import DataError
    from inspector.optional import require
    from trainer.recipe import resolve

    log.configure(verbose)
    resolved = resolve(
        recipe,
        {
            "scenario": scenario,
            "augment.kind": "memseg" if generator == "memseg" else "diffusion",
            "augment.generator": None if generator == "memseg" else generator,
            "augment.textures": None if textures is None else str(textures),
            "input.width": width,
            "input.height": height,
            "seed": seed,
        },
        assignments,
    )
    if generator != "memseg":
        require("diffusers", "drawing by diffusion")
    from rich.console import Console

    from trainer.augment import Learner, registry
    from trainer.augment.sheet import contact_sheet
    from trainer.build import fine_tune, splits
    from trainer.data import readers
    from trainer.data.newfolder import new_folder, write_png

    found = readers.read(data, layout).samples
    samples = splits.restrict([replace(sample, split=sample.split or "train") for sample in found], resolved)
    material = fine_tune.material(samples, resolved, weights)
    if not material.normals:
        raise DataError(f"{data} has no good training image to draw on: add some, or name another --layout")
    augmenter = registry.create(generator, material, resolved)
    with new_folder(output) as folder:
        if isinstance(augmenter, Learner):
            from trainer.build.processes import open_accelerator

            trained = model or output.with_name(f"{output.name}.model")
            trained.mkdir(parents=True, exist_ok=True)
            accelerator = open_accelerator("auto")
            augmenter.fit(trained, accelerator, Console(stderr=True, highlight=False))
            augmenter.load(trained, str(accelerator.device))
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
    click.echo(f"{n} images on {len(material.normals)} good ones: {output}; look at {output / 'sheet.png'}")
