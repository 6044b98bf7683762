"""`simdrop sweep`: settings compared by cross-validation on the training set."""

import argparse
import itertools
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from .._terminal import fitted
from . import checkpoint, loop, plot, records, report
from .data import Data, fold, load
from .errors import DivergedError, InputError, Interrupted
from .options import settings_from, source, spelled
from .progress import Display
from .records import Cell
from .tables import Table, print_table
from .tasks import CLASSIFICATION, Task


def run(options: argparse.Namespace) -> None:
    """Train what the results file does not have yet, print the table and draw the heat map.

    Parameters
    ----------
    options : argparse.Namespace
        What `options.add_sweep_options` defines.

    Raises
    ------
    InputError
        Before training, if anything the user gave cannot be used.
    UnsavedError
        If a result cannot be written; those before are in the file.
    Interrupted
        At Ctrl-C; those before are in the file.
    """
    settings = settings_from(options, only="without", validation=0.0)
    plot.check_path(options.out)
    data = load(**source(options))
    examples = len(data.y_train)
    if options.folds > examples:
        raise InputError(f"--folds {options.folds} of {examples} training examples; wanted fewer")
    about = checkpoint.describe(data, settings)
    del about["signature"]
    for name in (*Cell._fields, "only", "validation"):
        del about["settings"][name]
    about["settings"]["folds"] = options.folds
    values = {
        "p": options.ps,
        "p_input": options.p_inputs,
        "lr": options.lrs or (settings.lr,),
        "hidden": options.hiddens or (settings.hidden,),
    }
    axes = Axes(**values)
    grid = Grid(axes, options.folds, records.load(options.results, about), data.task)

    title = f"{report.title(data, settings, axes.hidden)}, {options.folds} folds"
    missing = grid.missing()
    display = Display(title, grid.table, len(missing), quiet=options.quiet, transient=True)
    done = 0
    try:
        with display:
            if not options.quiet:
                report.print_notes(data)
            for done, (cell, held_out) in enumerate(missing):
                record = train_one(data, options, cell, held_out)
                records.append(options.results, record)
                error = record["error"]
                grid.errors.setdefault(cell, {})[held_out] = error
                outcome = (
                    "diverged" if error is None else f"{data.task.error} {data.task.spelled(error)}"
                )
                where = f"fold {held_out + 1}/{options.folds}, {axes.described(cell)}"
                display.show(done + 1, f"{where}: {outcome}")
    except KeyboardInterrupt:
        raise Interrupted(
            f"{done} of {len(missing)} nets were trained, and the same command trains the others: "
            f"their results are in {str(options.results)!r}",
            signal.SIGINT,
        ) from None

    print_table(grid.table())
    best = grid.best()
    if best is None:
        print(fitted(f"All diverged: {loop.advice(data)}"))
    else:
        error = report.spread(grid.folds_of(best), data.task)
        print(fitted(f"Best: {axes.words(best)}, validation {data.task.error} {error}"))
        ties = grid.ties(best)
        if ties:
            print(
                fitted(
                    "As good within the noise (their paired difference over the folds is no "
                    f"larger than its standard error): {'; '.join(map(axes.described, ties))}"
                )
            )
    report.print_classes(data)
    plot.save(plot.heat_maps(grid, title), options.out)
    print(f"Results: {str(options.results)!r}, heat map: {str(options.out)!r}", flush=True)


NAMES = {"p": "p", "p_input": "input", "lr": "lr", "hidden": "hidden"}


@dataclass(frozen=True)
class Axes:
    """The values that are compared, each ascending: of a `Cell`'s fields."""

    p: Sequence[float]
    p_input: Sequence[float]
    lr: Sequence[float]
    hidden: Sequence[tuple[int, ...]]

    def cells(self) -> list[Cell]:
        """All combinations, the first field the slowest."""
        return [
            Cell(*values)
            for values in itertools.product(self.p, self.p_input, self.lr, self.hidden)
        ]

    @property
    def varied(self) -> list[str]:
        """The fields that tell cells apart: both probabilities, and others of several values."""
        return [
            name
            for name in Cell._fields
            if name in ("p", "p_input") or len(getattr(self, name)) > 1
        ]

    def described(self, cell: Cell) -> str:
        """The values of a cell, in a line."""
        return ", ".join(f"{NAMES[name]} {spelled(getattr(cell, name))}" for name in self.varied)

    def words(self, cell: Cell) -> str:
        """The options that train with them."""
        return " ".join(
            f"--{name.replace('_', '-')} {spelled(getattr(cell, name))}" for name in self.varied
        )


@dataclass(frozen=True)
class Grid:
    """The errors of a sweep.

    Attributes
    ----------
    axes : Axes
        What is compared.
    folds : int
        How many nets there will be in each cell.
    errors : dict
        The errors of the folds trained so far, or None if the net diverged; also of cells that are
        not in this sweep.
    task : Task
        What the nets learn.
    """

    axes: Axes
    folds: int
    errors: records.Errors
    task: Task = CLASSIFICATION

    def missing(self) -> list[tuple[Cell, int]]:
        """What is still to be trained: fold by fold, so that all cells can be compared early."""
        return [
            (cell, number)
            for number in range(self.folds)
            for cell in self.axes.cells()
            if number not in self.errors.get(cell, {})
        ]

    def folds_of(self, cell: Cell) -> list[float]:
        """The errors of a cell's folds so far; none if one diverged."""
        found = [error for _, error in sorted(self.errors.get(cell, {}).items())]
        return [] if None in found else [error for error in found if error is not None]

    def statistic(self, function: Callable[[list[float]], float], cell: Cell) -> float:
        """A function such as `np.mean` of the errors in a cell; NaN if none, or one diverged."""
        found = self.folds_of(cell)
        return float(function(found)) if found else np.nan

    def best(self) -> Cell | None:
        """The cell with the smallest mean; of equal ones the first."""
        cells = [cell for cell in self.axes.cells() if self.folds_of(cell)]
        return min(cells, key=lambda cell: self.statistic(np.mean, cell), default=None)

    def ties(self, best: Cell) -> list[Cell]:
        """The other cells whose nets err as little, as far as these folds can tell.

        On the same folds they differ by no more than the standard error of the mean difference
        (Breiman et al. 1984, "Classification and regression trees", section 3.4.3: the 1 SE rule,
        here for pairs).
        """
        ties = []
        for cell in self.axes.cells():
            apart = self._differences(cell, best)
            if cell != best and len(apart):
                error = np.std(apart, ddof=1) / np.sqrt(len(apart)) if len(apart) > 1 else 0.0
                if np.mean(apart) <= error + 1e-12:
                    ties.append(cell)
        return ties

    def _differences(self, cell: Cell, other: Cell) -> NDArray[np.float64]:
        """The errors in one cell minus those in another, on the folds that both have."""
        if not (self.folds_of(cell) and self.folds_of(other)):
            return np.empty(0)
        here, there = self.errors[cell], self.errors[other]
        both = [(here[n], there[n]) for n in here.keys() & there.keys()]
        return np.array([a - b for a, b in both if a is not None and b is not None])

    def table(self) -> Table:
        """Mean errors and deviations, the best ones coloured, and the folds where not all are done.

        A row for each p and a column for each p of the inputs; where other settings vary too, a row
        for each cell.
        """
        best = self.best()
        ties = set(self.ties(best)) if best else set()

        def shown(cell: Cell) -> Text:
            done, found = len(self.errors.get(cell, {})), self.folds_of(cell)
            text = "-" if not done else "diverged" if not found else self.spelled(found)
            if 0 < done < self.folds:
                text += f" ({done}/{self.folds})"
            return Text(text, "bold green" if cell == best else "green" if cell in ties else "")

        axes = self.axes
        if axes.varied == ["p", "p_input"]:
            rows = [
                [
                    Text(spelled(p)),
                    *(shown(Cell(p, q, axes.lr[0], axes.hidden[0])) for q in axes.p_input),
                ]
                for p in axes.p
            ]
            return Table(["p", *(f"input {spelled(q)}" for q in axes.p_input)], rows)
        rows = [
            [*(Text(spelled(getattr(cell, name))) for name in axes.varied), shown(cell)]
            for cell in axes.cells()
        ]
        return Table([*(NAMES[name] for name in axes.varied), self.task.error], rows)

    def spelled(self, errors: list[float]) -> str:
        """Their mean and deviation; one alone as it is."""
        return report.spread(errors, self.task) if len(errors) > 1 else self.task.spelled(errors[0])


def train_one(data: Data, options: argparse.Namespace, cell: Cell, held_out: int) -> dict[str, Any]:
    """Train one net on all folds but one, and give the record of its results.

    Its error and loss, on the fold held out, are None if the net diverged.
    """
    settings = settings_from(options, **cell._asdict(), only="with", validation=0.0)
    rows = fold(data, settings.seed, options.folds, held_out)
    runs = loop.make_runs(data, settings)
    error = loss = None
    try:
        with np.errstate(all="ignore"):
            for _ in loop.train(runs, data, rows, settings):
                pass
        last = runs[0].history[-1]
        error, loss = last.validation_error, last.validation_loss
    except DivergedError:
        pass
    seconds = sum(epoch.seconds for epoch in runs[0].history)
    return cell._asdict() | {"fold": held_out, "error": error, "loss": loss, "seconds": seconds}
