"""Shows how far a training is: in place in a terminal or a notebook, elsewhere line by line."""

from __future__ import annotations

import importlib
import math
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

REFRESH = 0.1  # seconds, at least, between two updates in place


class Display:
    """A picture of the progress that stays in place, with lines where nothing can.

    In a terminal that needs rich; in a notebook nothing but what every kernel has.

    Parameters
    ----------
    title : str
        What is trained on what.
    table : callable
        Makes what rich shows of the current state below the title.
    total, done : int
        How many steps there are, and how many had been done at the start.
    quiet : bool
        Show nothing.
    transient : bool
        Remove the picture from the terminal at the end.
    html : callable, optional
        Makes what a notebook shows of the current state, HTML; without it a notebook gets lines.
    """

    title: str
    table: Callable[[], Any]
    total: int
    done: int
    done_before: int
    began: float
    html: Callable[[], str] | None
    cell: Any  # what IPython gives to update a cell's output
    in_notebook: bool
    in_place: bool
    lines: bool
    transient: bool
    drawn: float
    live: Any  # of rich, in a terminal

    def __init__(
        self,
        title: str,
        table: Callable[[], Any],
        total: int,
        done: int = 0,
        *,
        quiet: bool = False,
        transient: bool = False,
        html: Callable[[], str] | None = None,
    ) -> None:
        self.title, self.table, self.total, self.done = title, table, total, done
        self.done_before, self.began = done, time.monotonic()
        self.html, self.cell = html, None
        self.in_notebook = html is not None and not quiet and is_notebook()
        self.in_place = not self.in_notebook and not quiet and _can_draw_over()
        self.lines = not self.in_notebook and not self.in_place and not quiet
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

        The picture is drawn again, unless that was a moment ago.
        """
        self.done = done
        if self.lines and line:
            print(f"{line}, {self.time_left()} left", flush=True)
        if self.lines or time.monotonic() - self.drawn < REFRESH:
            return
        if self.in_place:
            # Started here, inside the `with` block, so that Ctrl-C always reaches __exit__.
            self.live.start()
            self.live.update(self._picture(), refresh=True)
        if self.in_notebook:
            self._update_cell()
        self.drawn = time.monotonic()

    def warn(self, message: str) -> None:
        """Print a line on standard error; the picture continues below it."""
        self._stop()
        print(f"simdrop: {message}", file=sys.stderr, flush=True)
        self.live, self.drawn = self._new_live(), -math.inf

    def time_left(self) -> str:
        """The time until all steps are done, at the speed so far."""
        done_here = max(self.done - self.done_before, 1)
        elapsed = time.monotonic() - self.began
        return clock(elapsed * (self.total - self.done) / done_here)

    def state(self) -> str:
        """ "done", or the time left."""
        return "done" if self.done == self.total else f"time left {self.time_left()}"

    def _new_live(self) -> Any:
        if not self.in_place:
            return None
        from rich.live import Live

        return Live(
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
            transient=self.transient,
        )

    def _stop(self) -> None:
        if self.in_notebook and self.cell:
            self._update_cell()
        if not self.in_place:
            return
        try:
            self.live.update(self._picture())
        finally:
            self.live.stop()  # draws once more, and shows the cursor again

    def _picture(self) -> Any:
        from rich.console import Group
        from rich.text import Text

        # The time is above the table: rich cuts off the bottom of what is higher than the terminal.
        return Group(Text(self.title, "bold"), Text(self.state(), "dim"), self.table())

    def _update_cell(self) -> None:
        """Draw in the output of the notebook's cell, over what was drawn there before."""
        assert self.html is not None
        bundle = {"text/html": self.html(), "text/plain": f"{self.title}, {self.state()}"}
        if self.cell is None:
            display = importlib.import_module("IPython.display").display
            self.cell = display(bundle, raw=True, display_id=True)
        else:
            self.cell.update(bundle, raw=True)


def is_notebook() -> bool:
    """Whether this is a kernel of Jupyter, whose outputs are HTML."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


def clock(seconds: float) -> str:
    """1:02:03, or without hours 2:03."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _can_draw_over() -> bool:
    """Whether rich is installed, and standard output a terminal that can move its cursor."""
    if sys.stdout is None or not sys.stdout.isatty():
        return False
    try:
        from rich.console import Console
    except ImportError:
        return False
    return not Console().is_dumb_terminal
