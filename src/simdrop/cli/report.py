"""What the training came to: a table of both nets' errors, and a sentence on the difference."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from .._terminal import fitted
from .data import Data, Rows, listed
from .loop import Run, evaluate
from .settings import Settings
from .tables import Table, print_table, shortest


@dataclass(frozen=True)
class Result:
    """A trained net's run and its final errors, fractions."""

    run: Run
    train_error: float
    test_error: float


def measure(run: Run, data: Data, rows: Rows) -> Result:
    """Measure a trained net; the only place where the test set is used.

    Parameters
    ----------
    run : Run
    data : Data
    rows : Rows

    Returns
    -------
    Result
    """
    _, train_error = evaluate(run.net, data.x_train, data.y_train, rows.train)
    _, test_error = evaluate(run.net, data.x_test, data.y_test)
    return Result(run, train_error, test_error)


def title(data: Data, settings: Settings) -> str:
    """One line that names the data and the net.

    Parameters
    ----------
    data : Data
    settings : Settings

    Returns
    -------
    str
    """
    sizes = (data.x_train.shape[1], *settings.hidden, data.classes)
    net = f"{data.name}, net {'-'.join(map(str, sizes))} ({settings.activation})"
    if settings.only == "without":
        return net
    kind = "batchwise dropout" if settings.dropout == "batchwise" else "dropout"
    return f"{net}, {kind} p = {shortest(settings.p)}, {shortest(settings.p_input)} on the input"


def print_report(results: Sequence[Result], data: Data, rows: Rows) -> None:
    """Print a row for each net, and below it the test errors in examples and notes on the data.

    Parameters
    ----------
    results : sequence of Result
        Without and with dropout, or one of both.
    data : Data
    rows : Rows
    """
    rows_shown = []
    for result in results:
        run = result.run
        error = run.history[-1].validation_error
        cells = (
            run.label,
            percent(result.train_error),
            "-" if error is None else percent(error),
            percent(result.test_error),
            f"{run.seconds_an_epoch:.3f}",
        )
        rows_shown.append([Text(cell) for cell in cells])
    tests = len(data.y_test)
    wrong = [f"{round(result.test_error * tests)}" for result in results]
    wrong[0] += " test examples are wrong"
    labels = [result.run.label for result in results]
    if len(results) == 2:
        labels[1] = "with it"
    sentence = ", ".join(f"{n} {label}" for n, label in zip(wrong, labels, strict=True))
    headings = ("", "train error", "validation error", "test error", "seconds/epoch")
    print_table(Table(headings, rows_shown))
    trained, validated = len(rows.train), len(rows.validation)
    print(
        fitted(f"Trained on {trained} examples, validated on {validated}, tested on {tests}:"),
        fitted(f"{sentence}."),
        sep="\n",
        flush=True,
    )
    print_notes(data)


def print_notes(data: Data) -> None:
    """Print what the classes are, if not 0, 1, 2, ..., and what has been done to the data.

    Parameters
    ----------
    data : Data
    """
    labels = data.labels
    if listed(labels) != listed(range(len(labels))):
        print(fitted(f"Classes: {listed(labels)}."), flush=True)
    for note in data.notes:
        print(fitted(note), flush=True)


def percent(fraction: float) -> str:
    """A fraction as a percentage with two decimals."""
    return f"{100 * fraction:.2f} %"
