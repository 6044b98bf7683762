"""What a training came to: a table of both nets' errors, notes, and the results as JSON."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.text import Text

import simdrop

from .._terminal import fitted
from ..nn.inputs import listed
from .data import Data, Rows
from .files import write
from .loop import Run, evaluate
from .options import Settings, spelled
from .ranks import ALONE, Alone
from .tables import Table, print_table
from .tasks import CLASSIFICATION, Task


@dataclass(frozen=True)
class Result:
    """A trained net and its final errors, as its task measures them."""

    run: Run
    train_error: float
    test_error: float

    @property
    def validation_error(self) -> float | None:
        """That of the last epoch; None without a validation set."""
        return self.run.history[-1].validation_error


Results = Sequence[Sequence[Result]]  # for each kind of net, those of all seeds


def measure(run: Run, data: Data, rows: Rows, team: Alone = ALONE) -> Result:
    """Measure a trained net: the only place where the test set is used."""
    _, train_error = evaluate(run.net, data, "train", rows.train, team)
    _, test_error = evaluate(run.net, data, "test", team=team)
    return Result(run, train_error, test_error)


def title(data: Data, settings: Settings, hidden: Sequence[tuple[int, ...]] = ()) -> str:
    """One line that names the data and the net, or nets with these hidden layers."""
    nets = [
        "-".join(map(str, (data.x_train.shape[1], *units, data.outputs)))
        for units in hidden or (settings.hidden,)
    ]
    net = f"{data.name}, net {' or '.join(nets)} ({settings.activation})"
    if settings.only == "without":
        return net
    kind = "batchwise dropout" if settings.dropout == "batchwise" else "dropout"
    return f"{net}, {kind} p = {spelled(settings.p)}, {spelled(settings.p_input)} on the input"


def print_report(results: Results, data: Data, rows: Rows) -> None:
    """Print a row for each kind of net, and below it what the test errors say.

    The results are of the nets without and those with dropout, or of one of both; with several
    seeds they are means and standard deviations.
    """
    task, seeds = data.task, len(results[0])

    def shown(errors: Sequence[float | None]) -> str:
        found = [error for error in errors if error is not None]
        if len(found) < 2:
            return task.spelled(found[0] if found else None)
        return spread(found, task)

    cells = [
        (
            several[0].run.label,
            *(
                shown([getattr(result, name) for result in several])
                for name in ("train_error", "validation_error", "test_error")
            ),
            f"{np.median([result.run.seconds_an_epoch for result in several]):.3f}",
        )
        for several in results
    ]
    headings = ["", *(f"{part} {task.error}" for part in ("train", "validation", "test"))]
    print_table(Table([*headings, "seconds/epoch"], [list(map(Text, row)) for row in cells]))
    tests = len(data.y_test)
    trained, validated = len(rows.train), len(rows.validation)
    _say(f"Trained on {trained} examples, validated on {validated}, tested on {tests}.")
    if seeds > 1:
        _say(f"Errors are the mean ± the standard deviation of {seeds} seeds.")
        if len(results) == 2:
            _say(verdict(results[0], results[1], task))
    elif task is CLASSIFICATION:
        wrong = [f"{round(result.test_error * tests)}" for (result,) in results]
        labels = [results[0][0].run.label, "with it"]
        counts = ", ".join(f"{n} {label}" for n, label in zip(wrong, labels, strict=False))
        _say(f"Misclassified test examples: {counts}.")
    print_classes(data)


def spread(errors: Sequence[float], task: Task) -> str:
    """The mean of several errors, and their standard deviation (with n - 1)."""
    mean, deviation = float(np.mean(errors)), float(np.std(errors, ddof=1))
    if task is CLASSIFICATION:
        return f"{100 * mean:.2f} ± {100 * deviation:.2f} %"
    return f"{task.spelled(mean)} ± {deviation:.2g}"


def verdict(without: Sequence[Result], dropped: Sequence[Result], task: Task) -> str:
    """What dropout does to the test error, by the differences of nets with the same seed."""
    differences = [
        task.shown(b.test_error) - task.shown(a.test_error)
        for a, b in zip(without, dropped, strict=True)
    ]
    seeds = len(differences)
    mean = float(np.mean(differences))
    error = float(np.std(differences, ddof=1)) / math.sqrt(seeds)
    form, unit = (".2f", " points") if task is CLASSIFICATION else (".2g", "")
    of = f"{unit} (mean ± standard error of {seeds} paired differences)"
    if abs(mean) <= 2 * error:
        return (
            f"Dropout changes the test {task.error} by {mean:+{form}} ± {error:{form}}{of}: noise."
        )
    verb, sign = ("lowers", -1) if mean < 0 else ("raises", 1)
    alike = sum(sign * difference > 0 for difference in differences)
    return (
        f"Dropout {verb} the test {task.error} by {abs(mean):{form}} ± {error:{form}}{of}, with "
        f"{alike} of {seeds} seeds."
    )


def print_notes(data: Data) -> None:
    """Print how the data were converted."""
    for note in data.notes:
        _say(note)


def print_classes(data: Data) -> None:
    """Print what the classes are, if not 0, 1, 2, ..."""
    labels = data.labels
    if labels and listed(labels) != listed(range(len(labels))):
        _say(f"Classes: {listed(labels)}.")


def save(path: Path, results: Results, data: Data, settings: Settings) -> None:
    """Write the results as JSON, for programs that compare many; InputError if that fails."""
    runs, summary = {}, {}
    for several in results:
        for result in several:
            history = result.run.history
            one: dict[str, Any] = {
                "seed": result.run.seed,
                "train_error": result.train_error,
                "validation_error": result.validation_error,
                "test_error": result.test_error,
            }
            if data.task is CLASSIFICATION:
                one["test_examples_wrong"] = round(result.test_error * len(data.y_test))
            one |= {
                "epochs": len(history),
                "seconds": sum(epoch.seconds for epoch in history),
                "history": [asdict(epoch) for epoch in history],
            }
            runs[result.run.name if len(several) == 1 else result.run.key] = one
        errors = [result.test_error for result in several]
        if len(errors) > 1:
            summary[several[0].run.name] = {
                "test_error_mean": float(np.mean(errors)),
                "test_error_std": float(np.std(errors, ddof=1)),
            }
    about = {
        "simdrop": simdrop.__version__,
        "data": data.name,
        "task": data.task.name,
        "scale": data.signature.scaling.kind,
        "settings": asdict(settings),
        "runs": runs,
    }
    if summary:
        about["summary"] = summary
    write("--results", path, (json.dumps(about, indent=1) + "\n").encode())


def _say(text: str) -> None:
    print(fitted(text), flush=True)
