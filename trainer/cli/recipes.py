"""`inandout-train recipes`: list and copy the presets."""

from pathlib import Path

import click


@click.group()
def recipes() -> None:
    """List and copy the preset recipes."""


@recipes.command("ls")
def list_presets() -> None:
    """Name and describe every preset."""
    from inspector.optional import require
    from trainer.recipe import presets

    yaml = require("yaml", "reading a recipe")

    for name, text in presets().items():
        click.echo(f"{name:<10} {yaml.safe_load(text).get('description', '')}")


@recipes.command("cp")
@click.argument("name")
@click.argument("destination", type=click.Path(path_type=Path))
def copy(name: str, destination: Path) -> None:
    """Copy preset NAME to DESTINATION, to edit it and build with --recipe DESTINATION."""
    from inspector.errors import RecipeError
    from trainer.recipe import presets

    known = presets()
    if name not in known:
        raise RecipeError(f"no preset {name!r}: choose one of {', '.join(known)}")
    try:
        with destination.open("x", encoding="utf-8") as handle:
            handle.write(known[name])
    except FileExistsError:
        raise RecipeError(f"{destination} exists: choose another name") from None
    except OSError as error:
        raise RecipeError(f"cannot write {destination}: {error.strerror}") from error
    click.echo(f"wrote {destination}; build with --recipe {destination}")
