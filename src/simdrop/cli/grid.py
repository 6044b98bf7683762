"""What a sweep looks like: a table in the terminal, and a heat map."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

import matplotlib.style
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from rich.console import Group
from rich.live import Live
from rich.text import Text

from .tables import Table, shortest

Cell = tuple[float, float]  # p, p_input
Errors = Mapping[Cell, Sequence[float | None]]  # of each fold so far; None diverged


def mean(errors: Sequence[float | None]) -> float | None:
    """The mean over the folds so far; None if there is none or one diverged."""
    known = [error for error in errors if error is not None]
    return float(np.mean(known)) if known and len(known) == len(errors) else None


def best(errors: Errors) -> Cell | None:
    """The cell with the smallest mean; of equal ones that with the smallest p."""
    means = {cell: value for cell, all in errors.items() if (value := mean(all)) is not None}
    return min(sorted(means), key=means.__getitem__) if means else None


def table(errors: Errors, ps: Sequence[float], p_inputs: Sequence[float], folds: int) -> Table:
    """Mean errors, the best one bold; with the number of folds where not all are done.

    Parameters
    ----------
    errors : mapping of (p, p_input) to sequence of float or None
    ps, p_inputs : sequence of float
        The rows and the columns.
    folds : int
        How many there will be in each cell.

    Returns
    -------
    Table
    """
    chosen = best(errors)
    rows = []
    for p in ps:
        row = [Text(shortest(p))]
        for p_input in p_inputs:
            done = errors[p, p_input]
            value = mean(done)
            text = "-" if not done else "diverged" if value is None else f"{100 * value:.2f} %"
            if done and len(done) < folds:
                text += f" ({len(done)}/{folds})"
            row.append(Text(text, "bold green" if (p, p_input) == chosen else ""))
        rows.append(row)
    return Table(["p", *(f"input {shortest(p_input)}" for p_input in p_inputs)], rows)


class Display:
    """Shows the table: in place in a terminal, else a line for each net trained, or nothing."""

    def __init__(self, title: str, kind: str, ps: Sequence[float], p_inputs: Sequence[float]):
        self.title, self.kind, self.ps, self.p_inputs = title, kind, ps, p_inputs
        # Transient: the table of the end takes its place.
        self.live = Live(
            auto_refresh=False, redirect_stdout=False, redirect_stderr=False, transient=True
        )

    def __enter__(self) -> Self:
        if self.kind == "lines":
            print(self.title, flush=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.live.stop()

    def show(self, errors: Errors, folds: int, line: str, left: str) -> None:
        """Take note of a net that has been trained.

        Parameters
        ----------
        errors, folds
            As for `table`.
        line : str
            Which net, and its error.
        left : str
            The time until all are done.
        """
        if self.kind == "lines":
            print(f"{line}, {left} left", flush=True)
        elif self.kind == "in place":
            self.live.start()
            rows = table(errors, self.ps, self.p_inputs, folds)
            # Above the table, of which a low terminal shows the start.
            above = Text(self.title, "bold"), Text(f"time left {left}", "dim")
            self.live.update(Group(*above, rows), refresh=True)


def draw(errors: Errors, ps: Sequence[float], p_inputs: Sequence[float], title: str) -> Figure:
    """A heat map of the mean errors, with the numbers in it and a frame around the best.

    Parameters
    ----------
    errors, ps, p_inputs
        As for `table`.
    title : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    means = [[mean(errors[p, p_input]) for p_input in p_inputs] for p in ps]
    values = 100 * np.array(means, float)  # None becomes nan, which is drawn as nothing
    with matplotlib.style.context("default"):
        size = (3.2 + 1.2 * len(p_inputs), 2.4 + 0.7 * len(ps))
        figure = Figure(figsize=(max(size[0], 7), size[1]), dpi=150, layout="constrained")
        figure.suptitle(title, parse_math=False, fontsize=10)
        axes = figure.subplots()
        axes.set_facecolor("#dddddd")
        image = axes.imshow(values, cmap="viridis_r", aspect="auto", origin="lower")
        chosen = best(errors)
        for row, p in enumerate(ps):
            for column, p_input in enumerate(p_inputs):
                value, spread = (
                    values[row, column],
                    [e for e in errors[p, p_input] if e is not None],
                )
                if np.isnan(value):
                    axes.text(column, row, "diverged", ha="center", va="center")
                    continue
                red, green, blue, _ = image.cmap(image.norm(value))
                dark = 0.3 * red + 0.6 * green + 0.1 * blue < 0.5
                axes.text(
                    column,
                    row,
                    f"{value:.2f}\n± {100 * np.std(spread):.2f}",
                    ha="center",
                    va="center",
                    color="white" if dark else "black",
                    weight="bold" if (p, p_input) == chosen else "normal",
                )
                if (p, p_input) == chosen:
                    corner = (column - 0.5, row - 0.5)
                    axes.add_patch(
                        Rectangle(
                            corner,
                            1,
                            1,
                            fill=False,
                            edgecolor="#D55E00",
                            linewidth=4,
                            clip_on=False,
                        )
                    )
        axes.set_xticks(range(len(p_inputs)), list(map(shortest, p_inputs)))
        axes.set_yticks(range(len(ps)), list(map(shortest, ps)))
        axes.set(xlabel="p of the inputs", ylabel="p of the hidden units")
        bar = figure.colorbar(image)
        bar.set_label("validation error (%), mean over folds ± standard deviation", fontsize=8)
        return figure
