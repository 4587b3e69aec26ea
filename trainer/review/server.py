"""Serves the page until it is interrupted."""

import errno
import socket
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import uvicorn

from inspector.errors import DataError, InandoutError, SinkError
from trainer.review import accepted
from trainer.review.app import create_app
from trainer.review.guard import Guard, is_loopback
from trainer.review.painter import Painter
from trainer.review.run_folder import RunFolder, open_run
from trainer.review.store import ReviewStore
from trainer.review.studio import Studio
from trainer.run_lock import exclusive

_DEFAULT_TARGET = 100


def serve(
    run: Path,
    host: str,
    port: int,
    generator: str | None,
    target: int | None,
    remote: bool,
    browse: bool,
    announce: Callable[[str], None],
) -> None:
    """Check everything that can be refused, then serve until SIGINT or SIGTERM.

    Args:
        run: a build's run folder.
        host, port: where to listen; port 0 takes a free one.
        generator: a name of `trainer.augment.registry`; None takes the build's.
        target: accepted images to work towards; None takes the recipe's number of synthetic defects.
        remote: allow a host that other machines reach.
        browse: open the page in the person's browser.
        announce: told the page's address once it can be opened.

    Raises:
        InandoutError: the run, the generator, the host or the port cannot be used.
    """
    if not remote and not is_loopback(host):
        raise DataError(f"{host} is not this machine's loopback, and the page has no log-in: --allow-remote insists")
    _require_no_build(run)
    folder = open_run(run)
    painter = Painter(generator or folder.default_generator(), folder)
    with listen(host, port) as listener:
        store = run / accepted.STORE
        ReviewStore(store).close()
        address = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}/"
        with Studio(painter, run, store) as studio:
            app = create_app(painter, studio, store, target or default_target(folder), Guard(host, remote))
            announce(address)
            if browse:
                webbrowser.open(address)
            with suppress(KeyboardInterrupt):  # the usual end; the server has shut down by then
                uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, ws="none")).run([listener])


def _require_no_build(run: Path) -> None:
    """A build in progress would change the run under the page's feet."""
    if not (run / ".lock").exists():
        return
    try:
        with exclusive(run):
            pass
    except SinkError as error:
        if error.__cause__ is None:
            raise DataError(f"a build is working in {run}: wait for it, then review") from None
        raise SinkError(f"cannot write to {run}, where judgements are kept: give yourself the right to") from error


def default_target(folder: RunFolder) -> int:
    """How many synthetic defects the recipe asks for; 100 where it leaves the number open."""
    asked = folder.recipe.augment.n
    return asked if isinstance(asked, int) and asked > 0 else _DEFAULT_TARGET


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        InandoutError: the port is in use, or the host is none of this machine's.
    """
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(place)
            listener.listen()
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise InandoutError(
                f"port {port} on {host} is in use: end what uses it, or choose another --port"
            ) from None
        raise InandoutError(
            f"cannot listen on {host}:{port} ({error.strerror}): choose another --host or --port"
        ) from None
    return listener
