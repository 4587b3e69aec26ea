"""What a person sees while a generator trains or draws."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_LINES = 10


@contextmanager
def steps_progress(console: Console, name: str) -> Iterator[Callable[[int, int, float], None]]:
    """Give a callback `on_step(step, steps, loss)`: a bar on a terminal, ten lines in all elsewhere and in logs."""
    columns = (TextColumn(name), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    losses: list[float] = []
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)

        def on_step(step: int, steps: int, loss: float) -> None:
            bar.update(task, completed=step, total=steps)
            losses.append(loss)
            if step == steps or step % max(1, steps // _LINES) == 0:
                console.print(f"{name} {step:>6}/{steps}  loss {sum(losses) / len(losses):.4f}")
                losses.clear()

        yield on_step
