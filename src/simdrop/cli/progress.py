"""What `simdrop train` shows while it trains: a row and a bar, or a line an epoch, for each net."""

from collections.abc import Sequence

from rich.progress_bar import ProgressBar
from rich.text import Text

from .._progress import Display as Display
from .loop import Run
from .tables import Table, percent

STYLES = {"without": "dark_orange3", "with": "deep_sky_blue3"}  # the colours of the curves


def training_table(runs: Sequence[Run], epochs: int, steps: int) -> Table:
    """A row and a bar for each net of a training of so many epochs, and steps in all of them."""
    rows, bars = [], []
    for run in runs:
        style = STYLES[run.name]
        last = run.history[-1] if run.history else None
        cells = (
            f"{len(run.history)}/{epochs}",
            f"{last.training_loss:.4f}" if last else "-",
            percent(last.validation_error if last else None),
        )
        rows.append([Text(run.label, style), *map(Text, cells)])
        bars.append(
            ProgressBar(steps, run.batches, style="dim", complete_style=style, finished_style=style)
        )
    return Table(("", "epoch", "training loss", "validation error"), rows, bars, box=None)


def epoch_line(run: Run, epochs: int) -> str:
    """What the last epoch of a net came to."""
    last = run.history[-1]
    line = f"epoch {len(run.history):{len(str(epochs))}}/{epochs}, {run.label}: "
    line += f"loss {last.training_loss:.4f}"
    if last.validation_error is not None:
        line += f", validation error {percent(last.validation_error)}"
    return line
