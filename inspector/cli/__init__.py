"""`inandout-inspect`: frames in, verdicts out; `run` is what it does when no sub-command is named."""

import click

from inspector import command


@click.group(
    cls=command.LazyGroup,
    default="run",
    lazy={
        "run": ("inspector.cli.run:run", "Judge the frames of a camera, a stream or a video file (the default)."),
        "score": ("inspector.cli.score:score", "Score every image of a folder into a CSV and a SQLite file."),
        "verify": ("inspector.cli.verify:verify", "Check a bundle's checksums and show what it holds."),
    },
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="inandout", prog_name="inandout-inspect")
def cli() -> None:
    """Inspect parts with a model bundle made by inandout-train."""
    from inspector import log

    log.configure()


def main() -> None:
    """Entry point of `inandout-inspect`."""
    command.run(cli)
