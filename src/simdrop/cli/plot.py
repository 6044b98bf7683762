"""Draws the pictures, learning curves and heat maps, and writes them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from .errors import InputError
from .files import check_writable, write
from .options import spelled
from .records import Cell
from .report import Result, Results, spread
from .tasks import CLASSIFICATION, Task

if TYPE_CHECKING:
    from .sweep import Grid

COLOURS = {"without": "#D55E00", "with": "#0072B2"}  # Okabe and Ito: distinct to all eyes
LEAST_LOSS = 1e-7  # float32's resolution near 1; a loss of 0 has no place on a logarithmic axis
NOISE = 6  # standard errors of a mean that the colours of a heat map span, at least
PANELS = 3  # heat maps side by side, at most
UNSUITED = {"pgf"}  # needs LaTeX, and would fail only when the training is over


def curves(results: Results, title: str, task: Task) -> Figure:
    """The losses and errors of all nets over the epochs, on training and validation data.

    With several seeds: their means, with a band from the smallest to the largest.
    """
    with matplotlib.style.context("default"):
        figure = Figure(figsize=(10, 5), dpi=150, layout="constrained")
        figure.suptitle(title, parse_math=False)
        loss, error = figure.subplots(1, 2)
        for several in results:
            first = several[0].run
            colour, label = COLOURS[first.name], first.label
            epochs = np.arange(1, len(first.history) + 1)
            for part, line in (("validation", "-"), ("training", "--")):
                if getattr(first.history[0], f"{part}_loss") is None:
                    continue
                style = {"linestyle": line, "color": colour, "label": f"{label}, {part}"}
                losses = _measured(several, f"{part}_loss")
                errors = task.shown(_measured(several, f"{part}_error"))
                for axes, values in ((loss, np.maximum(losses, LEAST_LOSS)), (error, errors)):
                    axes.plot(epochs, values.mean(axis=0), **style)
                    if len(several) > 1:
                        low, high = values.min(axis=0), values.max(axis=0)
                        axes.fill_between(epochs, low, high, color=colour, alpha=0.12, linewidth=0)
            tests = [result.test_error for result in several]
            shown = task.spelled(tests[0]) if len(tests) == 1 else spread(tests, task)
            error.plot(
                epochs[-1],
                task.shown(float(np.mean(tests))),
                marker="*",
                markersize=13,
                markeredgecolor="white",
                linestyle="none",
                color=colour,
                label=f"{label}, test: {shown}",
                clip_on=False,
                zorder=3,
            )
        loss.set(yscale="log", title="Loss", ylabel=task.loss_axis)
        error.set(title="Error", ylabel=task.axis)
        error.set_ylim(0, task.shown(_error_limit(results)))
        for axes in (loss, error):
            axes.set_xlabel("epochs of training")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
            axes.grid(alpha=0.3)
        error.legend(loc="upper right")  # "best" warns if drawing takes a second
        return figure


def _measured(several: Sequence[Result], name: str) -> NDArray[np.float64]:
    """What was measured after each epoch, a row for each seed."""
    return np.array([[getattr(epoch, name) for epoch in one.run.history] for one in several])


def heat_maps(grid: Grid, title: str) -> Figure:
    """The mean errors of a sweep over both probabilities, for each of the other settings.

    The numbers and their standard deviations over the folds are in it, and a frame around the
    best. All colours together are at least `NOISE` standard errors of a mean, so that differences
    that mean nothing look alike.

    Parameters
    ----------
    grid : sweep.Grid
        The errors.
    title : str
        Names the data and the net.
    """
    axes_, task, best = grid.axes, grid.task, grid.best()
    panels = [(lr, hidden) for lr in axes_.lr for hidden in axes_.hidden]
    cells = axes_.cells()
    means = {cell: task.shown(grid.statistic(np.mean, cell)) for cell in cells}
    deviations = {cell: task.shown(grid.statistic(_deviation, cell)) for cell in cells}
    low, high = colour_limits(list(means.values()), list(deviations.values()), grid.folds)
    columns = min(len(axes_.hidden) if len(axes_.hidden) > 1 else len(panels), PANELS)
    lines = -(-len(panels) // columns)
    with matplotlib.style.context("default"):
        width = max((2.2 + 1.2 * len(axes_.p_input)) * columns + 1, 7)
        size = width, 1.7 + (0.7 + 0.7 * len(axes_.p)) * lines
        figure = Figure(figsize=size, dpi=150, layout="constrained")
        figure.suptitle(title, parse_math=False, fontsize=10)
        all_axes = figure.subplots(lines, columns, squeeze=False)
        for axes in all_axes.ravel()[len(panels) :]:
            axes.set_axis_off()
        for axes, (lr, hidden) in zip(all_axes.ravel(), panels, strict=False):
            rows = [[Cell(p, q, lr, hidden) for q in axes_.p_input] for p in axes_.p]
            values = np.array([[means[cell] for cell in row] for row in rows])
            axes.set_facecolor("#dddddd")
            image = axes.imshow(
                values, cmap="viridis_r", aspect="auto", origin="lower", vmin=low, vmax=high
            )
            brightness = np.asarray(image.cmap(image.norm(values)))[..., :3] @ (0.3, 0.6, 0.1)
            for (row, column), mean in np.ndenumerate(values):
                cell = rows[row][column]
                text, colour = "diverged", "black"
                if not np.isnan(mean):
                    form = ".2f" if task is CLASSIFICATION else ".4g"
                    text = f"{mean:{form}}\n± {deviations[cell]:{form}}"
                    if brightness[row, column] < 0.5:
                        colour = "white"
                weight = "bold" if cell == best else "normal"
                axes.text(column, row, text, ha="center", va="center", color=colour, weight=weight)
                if cell == best:
                    _frame(axes, row, column)
            axes.set_xticks(range(len(axes_.p_input)), list(map(spelled, axes_.p_input)))
            axes.set_yticks(range(len(axes_.p)), list(map(spelled, axes_.p)))
            axes.set(xlabel="p of the inputs", ylabel="p of the hidden units")
            if len(panels) > 1:
                axes.set_title(f"lr {spelled(lr)}, hidden {spelled(hidden)}", fontsize=9)
        bar = figure.colorbar(image, ax=all_axes.ravel().tolist())
        what = "error (%)" if task is CLASSIFICATION else task.error
        bar.set_label(f"validation {what}, mean over folds ± standard deviation", fontsize=8)
        return figure


def _deviation(errors: list[float]) -> float:
    """Of several errors the standard deviation; of one 0."""
    return float(np.std(errors, ddof=1)) if len(errors) > 1 else 0.0


def colour_limits(
    means: Sequence[float], deviations: Sequence[float], folds: int
) -> tuple[float, float]:
    """The ends of the colours: those of the means, or further apart where these are noise."""
    known = [mean for mean in means if not np.isnan(mean)]
    if not known:
        return 0.0, 1.0
    noise = NOISE * float(np.nanmedian(deviations)) / folds**0.5
    low = min(known)
    return low, max(max(known), low + noise, low + 1e-9)


def check_path(path: Path) -> None:
    """Raise InputError, before the training, if a picture cannot be written to this path.

    Its suffix must be that of a format that Matplotlib writes.
    """
    formats = sorted(Figure().canvas.get_supported_filetypes().keys() - UNSUITED)
    if _format(path) not in formats:
        raise InputError(
            f"--out {str(path)!r} has the suffix {path.suffix!r}; "
            f"wanted one of {', '.join(f'.{name}' for name in formats)}"
        )
    check_writable("--out", path)


def save(figure: Figure, path: Path) -> None:
    """Write a picture in the format of the path's suffix; InputError if that fails."""
    content = io.BytesIO()
    with matplotlib.style.context("default"):
        figure.savefig(content, format=_format(path))
    write("--out", path, content.getvalue())


def _frame(axes: Axes, row: int, column: int) -> None:
    corner = (column - 0.5, row - 0.5)
    axes.add_patch(
        Rectangle(corner, 1, 1, fill=False, edgecolor="#D55E00", linewidth=4, clip_on=False)
    )


def _error_limit(results: Results) -> float:
    """The top of the error axis: the first epochs may exceed it, so that the last fill it."""
    each = [result for several in results for result in several]
    histories = [
        [e.training_error if e.validation_error is None else e.validation_error for e in history]
        for history in (result.run.history for result in each)
    ]
    ends = [errors[-1] for errors in histories] + [result.test_error for result in each]
    return min(4 * max(ends), 1.05 * max(map(max, [*histories, ends]))) or 0.01


def _format(path: Path) -> str:
    return path.suffix[1:].lower()
