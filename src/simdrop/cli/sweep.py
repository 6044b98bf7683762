"""`simdrop sweep`: dropout probabilities, compared by cross-validation on the training set."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from .._terminal import fitted
from . import checkpoint, loop, plot, records, report
from .data import Data, fold, load
from .errors import DivergedError, InputError
from .options import settings_from, spelled
from .progress import Display
from .tables import Table, percent, print_table

Cell = tuple[float, float]  # p, p_input


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
    """
    settings = settings_from(options, only="without", validation=0.0)
    plot.check_path(options.out)
    data = load(options.data)
    examples = len(data.y_train)
    if options.folds > examples:
        raise InputError(f"--folds {options.folds} of {examples} training examples; wanted fewer")
    about = checkpoint.describe(data, settings)
    for name in ("p", "p_input", "only", "validation"):
        del about["settings"][name]
    about["settings"]["folds"] = options.folds
    grid = Grid(options.ps, options.p_inputs, options.folds, records.load(options.results, about))

    title = f"{report.title(data, settings)}, {options.folds} folds"
    missing = grid.missing()
    with Display(title, grid.table, len(missing), quiet=options.quiet, transient=True) as display:
        for number, (cell, held_out) in enumerate(missing, start=1):
            record = train_one(data, options, cell, held_out)
            records.append(options.results, record)
            error = record["error"]
            grid.errors.setdefault(cell, {})[held_out] = error
            outcome = "diverged" if error is None else f"error {percent(error)}"
            p, p_input = map(spelled, cell)
            line = f"fold {held_out + 1}/{options.folds}, p {p}, input {p_input}: {outcome}"
            display.show(number, line)

    print_table(grid.table())
    means, best = grid.statistic(np.mean), grid.best()
    if best is None:
        print(fitted(f"All diverged: {loop.ADVICE}"))
    else:
        p, p_input = spelled(grid.ps[best[0]]), spelled(grid.p_inputs[best[1]])
        error = percent(means[best])
        print(fitted(f"Best: --p {p} --p-input {p_input}, validation error {error}"))
    report.print_notes(data)
    picture = plot.heat_map(
        means, grid.statistic(np.std), best, grid.ps, grid.p_inputs, title=title
    )
    plot.save(picture, options.out)
    print(f"Results: {str(options.results)!r}, heat map: {str(options.out)!r}", flush=True)


@dataclass(frozen=True)
class Grid:
    """The errors of a sweep, for each p and p_input.

    Attributes
    ----------
    ps, p_inputs : sequence of float
        The probabilities, in ascending order: the rows and the columns.
    folds : int
        How many nets there will be in each cell.
    errors : dict
        The errors of the folds trained so far, fractions, or None if the net diverged; also of
        probabilities that are not in this sweep.
    """

    ps: Sequence[float]
    p_inputs: Sequence[float]
    folds: int
    errors: records.Errors

    def missing(self) -> list[tuple[Cell, int]]:
        """What is still to be trained: fold by fold, so that all cells can be compared early."""
        return [
            ((p, p_input), number)
            for number in range(self.folds)
            for p in self.ps
            for p_input in self.p_inputs
            if number not in self.errors.get((p, p_input), {})
        ]

    def statistic(self, function: Any) -> NDArray[np.float64]:
        """A function such as `np.mean` of the errors in each cell; NaN if none, or one diverged."""
        result = np.full((len(self.ps), len(self.p_inputs)), np.nan)
        for row, p in enumerate(self.ps):
            for column, p_input in enumerate(self.p_inputs):
                errors = [error for _, error in sorted(self.errors.get((p, p_input), {}).items())]
                if errors and None not in errors:
                    result[row, column] = function(errors)
        return result

    def best(self) -> tuple[int, int] | None:
        """The row and column of the smallest mean; of equal ones, that with the smallest p."""
        means = self.statistic(np.mean)
        if np.isnan(means).all():
            return None
        row, column = np.unravel_index(np.nanargmin(means), means.shape)
        return int(row), int(column)

    def table(self) -> Table:
        """Mean errors, the best one bold, and the number of folds where not all are done."""
        means, best = self.statistic(np.mean), self.best()
        rows = [[Text(spelled(p))] for p in self.ps]
        for (row, column), mean in np.ndenumerate(means):
            done = len(self.errors.get((self.ps[row], self.p_inputs[column]), {}))
            text = "-" if not done else "diverged" if np.isnan(mean) else percent(mean)
            if 0 < done < self.folds:
                text += f" ({done}/{self.folds})"
            rows[row].append(Text(text, "bold green" if (row, column) == best else ""))
        return Table(["p", *(f"input {spelled(p_input)}" for p_input in self.p_inputs)], rows)


def train_one(data: Data, options: argparse.Namespace, cell: Cell, held_out: int) -> dict[str, Any]:
    """Train one net on all folds but one, and give the record of its results.

    Its error and loss, on the fold held out, are None if the net diverged.
    """
    p, p_input = cell
    settings = settings_from(options, p=p, p_input=p_input, only="with", validation=0.0)
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
    return {
        "p": p,
        "p_input": p_input,
        "fold": held_out,
        "error": error,
        "loss": loss,
        "seconds": seconds,
    }
