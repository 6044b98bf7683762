"""Shows how the training goes: live in a terminal, else a line an epoch and net, or not at all."""

import math
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text

from .loop import Run
from .tables import Table

REFRESH = 0.1  # seconds between two pictures of the live display
STYLES = {"without": "dark_orange3", "with": "deep_sky_blue3"}  # the colours of the curves


class Silent:
    """The display of --quiet, which shows nothing, and what the others share.

    Parameters
    ----------
    runs : sequence of Run
        The nets in training.
    title : str
        What is trained on what.
    epochs : int
        How many epochs each net trains.
    steps : int
        How many batches each net trains on, in all epochs.
    """

    def __init__(self, runs: Sequence[Run], title: str, epochs: int, steps: int) -> None:
        self.runs, self.title, self.epochs, self.steps = runs, title, epochs, steps
        self.began = time.monotonic()
        self.done_before = sum(run.batches for run in runs)  # not 0 after a checkpoint

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    def show(self, run: Run, epoch_ended: bool) -> None:
        """Take note of a batch or of the end of an epoch of one net."""

    def warn(self, message: str) -> None:
        """Print a line on standard error."""
        print(f"simdrop: {message}", file=sys.stderr, flush=True)

    def time_left(self) -> str:
        """The time until both nets are done, if the rest goes as fast as what is done."""
        done = sum(run.batches for run in self.runs)
        left = len(self.runs) * self.steps - done
        done_here = max(done - self.done_before, 1)
        seconds = round((time.monotonic() - self.began) * left / done_here)
        minutes, seconds = divmod(seconds, 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


class Lines(Silent):
    """Plain lines, for a file, a pipe or a terminal that cannot move its cursor."""

    def __enter__(self) -> Self:
        print(self.title, flush=True)
        return self

    def show(self, run: Run, epoch_ended: bool) -> None:
        """Print a line if an epoch has ended."""
        if epoch_ended:
            last = run.history[-1]
            epoch = f"{len(run.history):{len(str(self.epochs))}}/{self.epochs}"
            error = last.validation_error
            validation = "" if error is None else f"validation error {100 * error:.2f} %, "
            print(
                f"epoch {epoch}, {run.label}: loss {last.training_loss:.4f}, "
                f"{validation}{self.time_left()} left",
                flush=True,
            )


class InPlace(Silent):
    """A table that stays where it is: a row and a bar for each net, and the time left below."""

    def __enter__(self) -> Self:
        # Started by the first batch, inside the `with` block: Ctrl-C then always finds __exit__.
        self._new_table()
        return self

    def _new_table(self) -> None:
        self.live = Live(auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
        self.drawn = -math.inf

    def warn(self, message: str) -> None:
        """Print a line on standard error below the table, which goes on below it."""
        self.live.update(self._table())
        self.live.stop()
        super().warn(message)
        self._new_table()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.live.update(self._table())
        finally:
            self.live.stop()  # draws once more, and gives the cursor back

    def show(self, run: Run, epoch_ended: bool) -> None:
        """Draw the table again, unless it was drawn a moment ago."""
        if time.monotonic() - self.drawn >= REFRESH:
            self.live.start()
            self.live.update(self._table(), refresh=True)
            self.drawn = time.monotonic()

    def _table(self) -> Group:
        rows, bars = [], []
        for run in self.runs:
            style = STYLES[run.name]
            last = run.history[-1] if run.history else None
            error = last.validation_error if last else None
            cells = (
                f"{len(run.history)}/{self.epochs}",
                f"{last.training_loss:.4f}" if last else "-",
                "-" if error is None else f"{100 * error:.2f} %",
            )
            rows.append([Text(run.label, style), *map(Text, cells)])
            bars.append(
                ProgressBar(
                    self.steps, run.batches, style="dim", complete_style=style, finished_style=style
                )
            )
        headings = ("", "epoch", "training loss", "validation error")
        table = Table(headings, rows, bars, box=None)
        done = all(run.batches == self.steps for run in self.runs)
        below = "done" if done else f"time left {self.time_left()}"
        return Group(Text(self.title, "bold"), table, Text(below, "dim"))


def choose(
    runs: Sequence[Run], title: str, epochs: int, steps: int, *, quiet: bool = False
) -> Silent:
    """The display that suits standard output.

    Parameters
    ----------
    runs, title, epochs, steps
        As for `Silent`.
    quiet : bool
        Show nothing.

    Returns
    -------
    Silent, Lines or InPlace
    """
    if quiet:
        return Silent(runs, title, epochs, steps)
    terminal = sys.stdout is not None and sys.stdout.isatty()
    kind = InPlace if terminal and not Console().is_dumb_terminal else Lines
    return kind(runs, title, epochs, steps)
