"""`inandout-train data fetch`: published image sets."""

from pathlib import Path

import click


@click.group()
def fetch() -> None:
    """Download a published set."""


@fetch.command()
@click.option("--output", type=click.Path(path_type=Path), default=Path("data"), show_default=True, help="New folder.")
@click.option("--url", help="Another address of the archive.  [default: the authors']")
@click.option("--sha256", help="Another checksum of the archive, hexadecimal.  [default: the known one]")
def ksdd2(output: Path, url: str | None, sha256: str | None) -> None:
    """KolektorSDD2 (853 MB; CC BY-NC-SA 4.0: not for commercial use).

    Interrupted, the same command goes on where it was. Without a network here, put KolektorSDD2.zip beside the output
    folder and run the command: it checks and unpacks that.
    """
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    from trainer.data import ksdd2_archive

    columns = (TextColumn("KolektorSDD2"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=None)
        ksdd2_archive.fetch(
            output,
            lambda done, total: progress.update(task, completed=done, total=total),
            url or ksdd2_archive.URL,
            sha256 or ksdd2_archive.SHA256,
        )
    click.echo(f"KolektorSDD2 is in {output}; next: inandout-train build --data {output}")
