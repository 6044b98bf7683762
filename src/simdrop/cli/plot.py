"""Draws both nets' curves, and writes pictures."""

import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib.style
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .._files import check, replacing
from .errors import InputError, writing
from .report import Result, percent

COLOURS = {"without": "#D55E00", "with": "#0072B2"}  # Okabe and Ito: distinct to all eyes
LEAST_LOSS = 1e-7  # float32's resolution near 1; a loss of 0 has no place on a logarithmic axis
UNSUITED = {"pgf"}  # needs LaTeX, and finds out only when the training is over


def draw(results: Sequence[Result], title: str) -> Figure:
    """Both nets' losses and errors over the epochs, on training and validation data.

    Parameters
    ----------
    results : sequence of Result
        Without and with dropout.
    title : str
        Names the data and the net.

    Returns
    -------
    matplotlib.figure.Figure
    """
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
        error.set(title="Error", ylabel="wrongly classified examples (%)")
        error.set_ylim(0, _error_limit(results))
        for axes in (loss, error):
            axes.set_xlabel("epochs of training")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
            axes.grid(alpha=0.3)
        error.legend(loc="upper right")  # "best" warns where drawing takes a second
        return figure


def check_path(path: Path) -> None:
    """Find out whether a picture could be written, before the training.

    Parameters
    ----------
    path : Path
        Where it is to be.

    Raises
    ------
    InputError
        If matplotlib does not write this kind of file or the folder does not take one.
    """
    kinds = sorted(Figure().canvas.get_supported_filetypes().keys() - UNSUITED)
    if _kind(path) not in kinds:
        raise InputError(
            f"--out {str(path)!r} has the suffix {path.suffix!r}; "
            f"wanted one of {', '.join(f'.{kind}' for kind in kinds)}"
        )
    with writing("--out", path):
        check(path)


def save(figure: Figure, path: Path) -> None:
    """Write the picture, all of it or nothing.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : Path
        Its suffix gives the format. A file of this name is replaced.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    content = io.BytesIO()
    with matplotlib.style.context("default"):
        figure.savefig(content, format=_kind(path))
    with writing("--out", path), replacing(path) as file:
        file.write(content.getbuffer())


def _error_limit(results: Sequence[Result]) -> float:
    """The top of the error axis, in %: the first epochs may leave it, so that the last fill it."""
    curves = [
        [e.training_error if e.validation_error is None else e.validation_error for e in history]
        for history in (result.run.history for result in results)
    ]
    ends = [curve[-1] for curve in curves] + [result.test_error for result in results]
    return 100 * min(4 * max(ends), 1.05 * max(map(max, [*curves, ends]))) or 1.0


def _kind(path: Path) -> str:
    return path.suffix[1:].lower()
