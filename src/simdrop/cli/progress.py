"""Shows how far a command is: in place in a terminal, elsewhere line by line, or not at all."""

import math
import sys
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text

from .loop import Run, Trial
from .tables import Table
from .tasks import Task

REFRESH = 0.1  # seconds, at least, between two updates in place
STYLES = {"without": "dark_orange3", "with": "deep_sky_blue3"}  # the colours of the curves


class Display:
    """The progress of a command: a table that stays in place in a terminal, lines elsewhere.

    Parameters
    ----------
    title : str
        What is trained on what.
    table : callable
        Makes the table of the current state.
    total, done : int
        How many steps there are, and how many had been done when the command started.
    quiet : bool
        Show nothing.
    transient : bool
        Remove the table at the end.
    """

    def __init__(
        self,
        title: str,
        table: Callable[[], Table],
        total: int,
        done: int = 0,
        *,
        quiet: bool = False,
        transient: bool = False,
    ) -> None:
        self.title, self.table, self.total, self.done = title, table, total, done
        self.done_before, self.began = done, time.monotonic()
        terminal = sys.stdout is not None and sys.stdout.isatty()
        self.in_place = terminal and not quiet and not Console().is_dumb_terminal
        self.lines = not self.in_place and not quiet
        self.transient = transient
        self.drawn = -math.inf
        self.live = self._new_live()

    def __enter__(self) -> Self:
        if self.lines:
            print(self.title, flush=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    def show(self, done: int, line: str = "") -> None:
        """Show that so many steps are done; `line`, if not empty, describes the last one.

        The table is drawn again, unless that was a moment ago.
        """
        self.done = done
        if self.lines and line:
            print(f"{line}, {self.time_left()} left", flush=True)
        if self.in_place and time.monotonic() - self.drawn >= REFRESH:
            # Started here, inside the `with` block, so that Ctrl-C always reaches __exit__.
            self.live.start()
            self.live.update(self._picture(), refresh=True)
            self.drawn = time.monotonic()

    def warn(self, message: str) -> None:
        """Print a line on standard error; the table continues below it."""
        self._stop()
        print(f"simdrop: {message}", file=sys.stderr, flush=True)
        self.live, self.drawn = self._new_live(), -math.inf

    def time_left(self) -> str:
        """The time until all steps are done, at the speed so far."""
        done_here = max(self.done - self.done_before, 1)
        elapsed = time.monotonic() - self.began
        minutes, seconds = divmod(round(elapsed * (self.total - self.done) / done_here), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"

    def _new_live(self) -> Live:
        return Live(
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
            transient=self.transient,
        )

    def _stop(self) -> None:
        try:
            if self.in_place:
                self.live.update(self._picture())
        finally:
            self.live.stop()  # draws once more, and shows the cursor again

    def _picture(self) -> Group:
        # The time is above the table: rich cuts off the bottom of what is higher than the terminal.
        left = "done" if self.done == self.total else f"time left {self.time_left()}"
        return Group(Text(self.title, "bold"), Text(left, "dim"), self.table())


def training_table(trials: Sequence[Trial], epochs: int, steps: int, task: Task) -> Table:
    """A row and a bar for each net of a training of so many epochs, and steps in all of them.

    With several seeds it shows the one at which a net is.
    """
    several = len(trials) > 1
    rows, bars = [], []
    for runs in zip(
        *(trial.runs for trial in trials), strict=True
    ):  # of nets that are called alike
        number, run = next(
            ((i, run) for i, run in enumerate(runs, start=1) if len(run.history) < epochs),
            (len(runs), runs[-1]),
        )
        style = STYLES[run.name]
        last = run.history[-1] if run.history else None
        cells = [f"{number}/{len(runs)}"] if several else []
        cells += [
            f"{len(run.history)}/{epochs}",
            f"{last.training_loss:.4f}" if last else "-",
            task.spelled(last.validation_error if last else None),
        ]
        rows.append([Text(run.label, style), *map(Text, cells)])
        done = sum(each.batches for each in runs)
        total = steps * len(runs)
        bars.append(
            ProgressBar(total, done, style="dim", complete_style=style, finished_style=style)
        )
    headings = ["", *(["seed"] if several else [])]
    headings += ["epoch", "training loss", f"validation {task.error}"]
    return Table(headings, rows, bars, box=None)


def epoch_line(run: Run, trials: Sequence[Trial], epochs: int, task: Task) -> str:
    """What the last epoch of a net came to; with several seeds, that of a training alone."""
    last, where = run.history[-1], ""
    if len(trials) > 1:
        if len(run.history) < epochs:
            return ""
        number = run.seed - trials[0].settings.seed + 1
        where = f"seed {number:{len(str(len(trials)))}}/{len(trials)}, "
    line = f"{where}epoch {len(run.history):{len(str(epochs))}}/{epochs}, {run.label}: "
    line += f"loss {last.training_loss:.4f}"
    if last.validation_error is not None:
        line += f", validation {task.error} {task.spelled(last.validation_error)}"
    return line
