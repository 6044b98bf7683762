"""Draws the pictures, learning curves and heat maps, and writes them."""

import io
from collections.abc import Sequence
from pathlib import Path

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
from .report import Result
from .tables import percent

COLOURS = {"without": "#D55E00", "with": "#0072B2"}  # Okabe and Ito: distinct to all eyes
LEAST_LOSS = 1e-7  # float32's resolution near 1; a loss of 0 has no place on a logarithmic axis
UNSUITED = {"pgf"}  # needs LaTeX, and would fail only when the training is over


def curves(results: Sequence[Result], title: str) -> Figure:
    """The losses and errors of all nets over the epochs, on training and validation data."""
    with matplotlib.style.context("default"):
        figure = Figure(figsize=(10, 5), dpi=150, layout="constrained")
        figure.suptitle(title, parse_math=False)
        loss, error = figure.subplots(1, 2)
        for result in results:
            colour = COLOURS[result.run.name]
            history, label = result.run.history, result.run.label
            epochs = np.arange(1, len(history) + 1)
            for part, line in (("validation", "-"), ("training", "--")):
                if getattr(history[0], f"{part}_loss") is None:
                    continue
                style = {"linestyle": line, "color": colour, "label": f"{label}, {part}"}
                losses = [getattr(epoch, f"{part}_loss") for epoch in history]
                errors = [getattr(epoch, f"{part}_error") for epoch in history]
                loss.plot(epochs, np.maximum(losses, LEAST_LOSS), **style)
                error.plot(epochs, 100 * np.array(errors), **style)
            error.plot(
                epochs[-1],
                100 * result.test_error,
                marker="*",
                markersize=13,
                markeredgecolor="white",
                linestyle="none",
                color=colour,
                label=f"{label}, test: {percent(result.test_error)}",
                clip_on=False,
                zorder=3,
            )
        loss.set(yscale="log", title="Loss", ylabel="cross entropy (nats per example)")
        error.set(title="Error", ylabel="misclassified examples (%)")
        error.set_ylim(0, _error_limit(results))
        for axes in (loss, error):
            axes.set_xlabel("epochs of training")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
            axes.grid(alpha=0.3)
        error.legend(loc="upper right")  # "best" warns if drawing takes a second
        return figure


def heat_map(
    means: NDArray[np.float64],
    deviations: NDArray[np.float64],
    best: tuple[int, int] | None,
    ps: Sequence[float],
    p_inputs: Sequence[float],
    title: str,
) -> Figure:
    """The mean errors of a sweep, with the numbers in it and a frame around the best.

    Parameters
    ----------
    means, deviations : numpy.ndarray
        Errors, fractions, and their standard deviations over the folds, a row for each of `ps` and
        a column for each of `p_inputs`; NaN where a net diverged.
    best : tuple of int, optional
        The row and column of the smallest mean.
    ps, p_inputs : sequence of float
        The probabilities.
    title : str
        Names the data and the net.
    """
    means, deviations = 100 * means, 100 * deviations
    with matplotlib.style.context("default"):
        size = max(3.2 + 1.2 * len(p_inputs), 7), 2.4 + 0.7 * len(ps)
        figure = Figure(figsize=size, dpi=150, layout="constrained")
        figure.suptitle(title, parse_math=False, fontsize=10)
        axes = figure.subplots()
        axes.set_facecolor("#dddddd")
        image = axes.imshow(means, cmap="viridis_r", aspect="auto", origin="lower")
        brightness = np.asarray(image.cmap(image.norm(means)))[..., :3] @ (0.3, 0.6, 0.1)
        for (row, column), mean in np.ndenumerate(means):
            text, colour = "diverged", "black"
            if not np.isnan(mean):
                text = f"{mean:.2f}\n± {deviations[row, column]:.2f}"
                if brightness[row, column] < 0.5:
                    colour = "white"
            weight = "bold" if (row, column) == best else "normal"
            axes.text(column, row, text, ha="center", va="center", color=colour, weight=weight)
        if best is not None:
            _frame(axes, *best)
        axes.set_xticks(range(len(p_inputs)), list(map(spelled, p_inputs)))
        axes.set_yticks(range(len(ps)), list(map(spelled, ps)))
        axes.set(xlabel="p of the inputs", ylabel="p of the hidden units")
        bar = figure.colorbar(image)
        bar.set_label("validation error (%), mean over folds ± standard deviation", fontsize=8)
        return figure


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


def _error_limit(results: Sequence[Result]) -> float:
    """The top of the error axis, in %: the first epochs may exceed it, so that the last fill it."""
    histories = [
        [e.training_error if e.validation_error is None else e.validation_error for e in history]
        for history in (result.run.history for result in results)
    ]
    ends = [errors[-1] for errors in histories] + [result.test_error for result in results]
    return 100 * min(4 * max(ends), 1.05 * max(map(max, [*histories, ends]))) or 1.0


def _format(path: Path) -> str:
    return path.suffix[1:].lower()
