"""Where tables are printed."""

from rich.console import Console

_WIDTH = 120


def open_screen() -> Console:
    """Standard output: as wide as the terminal, or 120 columns of a file or a pipe."""
    screen = Console(highlight=False)
    return screen if screen.is_terminal else Console(highlight=False, width=_WIDTH)
