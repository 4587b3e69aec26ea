"""`inandout-train data`: check, synthesise or fetch image sets."""

import click

from inspector.command import LazyGroup


@click.group(
    cls=LazyGroup,
    lazy={
        "check": ("trainer.cli.data_check:check", "Say what would spoil a build, and what to do."),
        "synth": ("trainer.cli.data_synth:synth", "Draw a labelled surface set, to try things out."),
        "fetch": ("trainer.cli.data_fetch:fetch", "Download a published set."),
    },
)
def data() -> None:
    """Check, synthesise or fetch image sets."""
