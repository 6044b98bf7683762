"""What `simdrop train` shows while it trains: a row and a bar, or a line an epoch, for each net."""

from collections.abc import Sequence

from rich.progress_bar import ProgressBar
from rich.text import Text

from .._progress import Display as Display
from .loop import Run, Trial
from .tables import Table
from .tasks import Task

STYLES = {"without": "dark_orange3", "with": "deep_sky_blue3"}  # the colours of the curves


def training_table(trials: Sequence[Trial], epochs: int, steps: int, task: Task) -> Table:
    """A row and a bar for each net of a training of so many epochs, and steps in all of them.

    With several seeds it shows the one at which a net is.
    """
    several = len(trials) > 1
    rows, bars = [], []
    # Each time the nets that are called alike.
    for runs in zip(*(trial.runs for trial in trials), strict=True):
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
