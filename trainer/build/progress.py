"""What a person sees while the network trains: a line an epoch, and a bar where stderr is a terminal."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def training_progress(
    console: Console, epochs: int
) -> Iterator[tuple[Callable[[dict[str, float]], None], Callable[[int, int], None]]]:
    """Give the callbacks `on_epoch(row)` and `on_step(step, steps)` of `trainer.classify.TrainingTask`."""
    columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)

        def on_epoch(row: dict[str, float]) -> None:
            figure = "not defined: one class only" if math.isnan(row["val_ap"]) else f"{row['val_ap']:.4f}"
            console.print(
                f"epoch {row['epoch']:>3}/{epochs}  loss {row['loss']:.4f}  "
                f"validation AP {figure}  {row['seconds']:.0f} s"
            )

        yield on_epoch, lambda step, steps: bar.update(task, completed=step, total=steps)
