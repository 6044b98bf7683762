"""What a training came to: a table of both nets' errors, notes, and the results as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.text import Text

import simdrop

from .._terminal import fitted
from .data import Data, Rows, listed
from .files import write
from .loop import Run, evaluate
from .options import Settings, spelled
from .ranks import ALONE, Alone
from .tables import Table, percent, print_table


@dataclass(frozen=True)
class Result:
    """A trained net and its final errors, fractions."""

    run: Run
    train_error: float
    test_error: float


def measure(run: Run, data: Data, rows: Rows, team: Alone = ALONE) -> Result:
    """Measure a trained net: the only place where the test set is used."""
    _, train_error = evaluate(run.net, data.x_train, data.y_train, rows.train, team)
    _, test_error = evaluate(run.net, data.x_test, data.y_test, team=team)
    return Result(run, train_error, test_error)


def title(data: Data, settings: Settings) -> str:
    """One line that names the data and the net."""
    sizes = (data.x_train.shape[1], *settings.hidden, data.classes)
    net = f"{data.name}, net {'-'.join(map(str, sizes))} ({settings.activation})"
    if settings.only == "without":
        return net
    kind = "batchwise dropout" if settings.dropout == "batchwise" else "dropout"
    return f"{net}, {kind} p = {spelled(settings.p)}, {spelled(settings.p_input)} on the input"


def print_report(results: Sequence[Result], data: Data, rows: Rows) -> None:
    """Print a row for each net, and below it the test errors in examples and notes on the data.

    The results are of the net without and the net with dropout, or of one of both.
    """
    cells = [
        (
            result.run.label,
            percent(result.train_error),
            percent(result.run.history[-1].validation_error),
            percent(result.test_error),
            f"{result.run.seconds_an_epoch:.3f}",
        )
        for result in results
    ]
    headings = ("", "train error", "validation error", "test error", "seconds/epoch")
    print_table(Table(headings, [list(map(Text, row)) for row in cells]))
    tests = len(data.y_test)
    wrong = [f"{round(result.test_error * tests)}" for result in results]
    labels = [results[0].run.label, "with it"]
    counts = ", ".join(f"{n} {label}" for n, label in zip(wrong, labels, strict=False))
    trained, validated = len(rows.train), len(rows.validation)
    _say(f"Trained on {trained} examples, validated on {validated}, tested on {tests}.")
    _say(f"Misclassified test examples: {counts}.")
    print_notes(data)


def print_notes(data: Data) -> None:
    """Print what the classes are, if not 0, 1, 2, ..., and how the labels were converted."""
    labels = data.labels
    if listed(labels) != listed(range(len(labels))):
        _say(f"Classes: {listed(labels)}.")
    for note in data.notes:
        _say(note)


def save(path: Path, results: Sequence[Result], data: Data, settings: Settings) -> None:
    """Write the results as JSON, for programs that compare many; InputError if that fails."""
    runs = {}
    for result in results:
        history = result.run.history
        runs[result.run.name] = {
            "train_error": result.train_error,
            "validation_error": history[-1].validation_error,
            "test_error": result.test_error,
            "test_examples_wrong": round(result.test_error * len(data.y_test)),
            "epochs": len(history),
            "seconds": sum(epoch.seconds for epoch in history),
            "history": [asdict(epoch) for epoch in history],
        }
    about = {
        "simdrop": simdrop.__version__,
        "data": data.name,
        "settings": asdict(settings),
        "runs": runs,
    }
    write("--results", path, (json.dumps(about, indent=1) + "\n").encode())


def _say(text: str) -> None:
    print(fitted(text), flush=True)
