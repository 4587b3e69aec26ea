"""`inandout-train review`: draw defects to order and judge them, on a local web page."""

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to serve the page.")
@click.option("--port", type=click.IntRange(0, 65535), default=8071, show_default=True, help="0 takes a free one.")
@click.option("--generator", help="What draws.  [default: the build's generator, else memseg]")
@click.option("--target", type=click.IntRange(min=1), help="Accepted images to work towards.  [default: augment.n]")
@click.option("--open", "browse", is_flag=True, help="Open the page in the browser.")
@click.option("--allow-remote", is_flag=True, help="Serve other machines too. The page has no log-in.")
@click.option("-v", "--verbose", count=True)
def review(
    run: Path,
    host: str,
    port: int,
    generator: str | None,
    target: int | None,
    browse: bool,
    allow_remote: bool,
    verbose: int,
) -> None:
    """Draw defects to order, look at them, and accept, reject or flag each.

    RUN is the folder of a build. Its next build trains on the images accepted here, and leaves out those of its own
    that were rejected. Every judgement is kept in RUN/review.
    """
    from inspector import log
    from inspector.optional import require

    log.configure(verbose)
    for module in ("fastapi", "uvicorn"):
        require(module, "the review page")
    from trainer.review.server import serve

    if allow_remote:
        click.echo("warning: anyone who reaches this machine can see and judge these images", err=True)
    serve(
        run,
        host,
        port,
        generator,
        target,
        allow_remote,
        browse,
        lambda address: click.echo(f"review of {run}: {address}  (Ctrl-C ends it)"),
    )
