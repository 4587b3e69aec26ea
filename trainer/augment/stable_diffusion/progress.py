"""A bar for the slow parts, where stderr is a terminal; a line every tenth elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def bar(console: Console, name: str, shown: bool = True) -> Iterator[Callable[[int, int], None]]:
    """Give a callback `on_step(done, total)`; `shown` is False on processes that have nobody to tell."""
    columns = (TextColumn(name), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not (shown and console.is_terminal)) as progress:
        task = progress.add_task("", total=None)

        def on_step(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)
            if shown and not console.is_terminal and (done == total or done % max(1, total // 10) == 0):
                console.print(f"{name} {done:>6}/{total}")

        yield on_step
