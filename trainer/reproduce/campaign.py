"""A plan of cells and what is known of it: which are finished, how long the others take, and their building."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from accelerate import Accelerator
from rich.console import Console

from inspector.errors import InandoutError
from trainer.build.processes import open_accelerator
from trainer.data.samples import DataSet
from trainer.reproduce import cells, timing
from trainer.reproduce.cells import Result, Workshop
from trainer.reproduce.plan import Cell
from trainer.run_lock import exclusive


@dataclass(slots=True)
class Campaign:
    """Cells to build in one workshop.

    Attributes:
        planned: all that belong together, in the order of building.
        wanted: those of them to build now.
        dataset: the labelled images, for estimates.
        workshop: where cells are built.
        done: results by cell name; what an earlier call finished is there from the start.
        failed: name of each cell that failed in `build` -> its error, in one line.
    """

    planned: Sequence[Cell]
    wanted: Sequence[Cell]
    dataset: DataSet
    workshop: Workshop
    done: dict[str, Result] = field(init=False)
    failed: dict[str, str] = field(init=False, default_factory=dict)
    _drawn: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        """Look up what is finished.

        Raises:
            DataError: the images cannot be divided for a cell's scenario, such as for want of defects.
        """
        self._drawn = timing.draws(self.wanted, self.dataset)
        self.done = {cell.name: result for cell in self.planned if (result := self.workshop.finished(cell))}

    def todo(self) -> list[Cell]:
        """Wanted cells without a result."""
        return [cell for cell in self.wanted if cell.name not in self.done]

    def forecast(self) -> list[str]:
        """A line a wanted cell (its name, what is known of it, how long it will take), and one of the sum.

        Raises:
            InandoutError: nothing is finished yet, and the images to time a few steps on cannot be read.
        """
        todo = self.todo()
        speed = timing.of_finished(self._built())
        if speed is None:
            speed = timing.of_steps(todo[0], self.dataset, self._accelerator())
        expected = timing.forecast(todo, self._built(), self._drawn, speed)
        width = max(len(cell.name) for cell in self.wanted)
        lines = []
        for cell in self.wanted:
            state = "finished"
            if cell.name in expected:
                begun = "begun" if self.workshop.run(cell).exists() else "to build"
                state = f"{begun}, {timing.duration(expected[cell.name])}"
            lines.append(f"{cell.name:<{width}}  {state}")
        lines.append(
            f"{len(todo)} of {len(self.wanted)} cells to build: about {timing.duration(sum(expected.values()))}, "
            f"from {speed.source}{timing.caveat(todo, speed)}"
        )
        return lines

    def build(
        self,
        command: str,
        console: Console,
        figure: Callable[[Cell, Result], str],
        on_result: Callable[[Cell], None] = lambda cell: None,
    ) -> None:
        """Build what is wanted and not finished.

        Args:
            command: the sub-command's name, for messages.
            console: for progress lines.
            figure: what a finished cell measured, in a few words.
            on_result: called after each finished cell, once `done` holds it.

        Raises:
            Interrupted: training was asked to stop; running again goes on there.
            InandoutError: started in several processes.
        """
        if self._accelerator().num_processes > 1:
            raise InandoutError(
                f"{command} builds its cells in one process: start it without 'accelerate launch', "
                "and use several devices by several --output folders and --only"
            )

        def report(cell: Cell, result: Result) -> None:
            self.done[cell.name] = result
            left, speed = todo[todo.index(cell) + 1 :], timing.of_finished(self._built())
            assert speed is not None  # this cell is finished
            to_go = timing.duration(sum(timing.forecast(left, self._built(), self._drawn, speed).values()))
            console.print(
                f"{cell.name}: {figure(cell, result)}; "
                f"{len(left)} to go{f', about {to_go}{timing.caveat(left, speed)}' if left else ''}"
            )
            on_result(cell)

        with exclusive(self.workshop.output):
            todo = self.todo()
            self.failed = cells.build_all(todo, self.planned, self.workshop, self._accelerator, console, report)
            cells.tidy(self.planned, self.workshop)

    def require_all(self) -> None:
        """Raise one InandoutError that names the cells that failed, if any did."""
        if self.failed:
            listed = "; ".join(f"{name}: {error}" for name, error in self.failed.items())
            raise InandoutError(
                f"{len(self.failed)} of {len(self.wanted)} cells failed, run again to retry them: {listed}"
            )

    def _built(self) -> list[tuple[Cell, Result]]:
        return [(cell, self.done[cell.name]) for cell in self.planned if cell.name in self.done]

    def _accelerator(self) -> Accelerator:
        return open_accelerator(self.wanted[0].recipe.train.precision)
