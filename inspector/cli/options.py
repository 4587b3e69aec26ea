"""The options that the inspector's sub-commands share."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from inspector.errors import BundleError

if TYPE_CHECKING:
    from inspector.bundle import Bundle

DEFAULT_BUNDLE = Path("runs/latest")

bundle_option = click.option(
    "--bundle",
    type=click.Path(path_type=Path, readable=False),
    help="Bundle folder or .tar, or a run folder that holds one.  [default: $INANDOUT_BUNDLE, else ./runs/latest]",
)
threads_option = click.option(
    "--threads", type=click.IntRange(0), default=0, help="CPU threads of the model; 0 lets the runtime decide."
)


def open_bundle(path: Path | None) -> "Bundle":
    """Load the bundle named on the command line, by the environment, or the last one built here.

    Raises:
        BundleError: none is there, or it is damaged.
    """
    from inspector import bundle

    named = path or Path(os.environ.get("INANDOUT_BUNDLE") or DEFAULT_BUNDLE)
    if path is None and "INANDOUT_BUNDLE" not in os.environ and not named.exists():
        raise BundleError(
            f"no bundle: neither --bundle nor $INANDOUT_BUNDLE is given and ./{DEFAULT_BUNDLE} does not exist; "
            "make one with 'inandout-train build'"
        )
    return bundle.load(_bundle_of(named, bundle.MANIFEST))


def _bundle_of(path: Path, manifest: str) -> Path:
    """The bundle inside a run folder, or the path itself."""
    inside = path / "bundle"
    try:
        return inside if inside.is_dir() and not (path / manifest).exists() else path
    except OSError:  # no permission: loading it will say so
        return path
