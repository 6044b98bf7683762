"""`simdrop predict`: what a trained net says of other data, as a table."""

import argparse
import csv
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

import simdrop as sd

from .. import nn
from .._terminal import fitted
from ..nn.network import CHUNK
from .data import to_predict
from .errors import InputError
from .files import check_writable, reason, write
from .tasks import CLASSIFICATION, REGRESSION

FAR = 4  # times the largest magnitude in training, or a fourth of it: probably scaled otherwise


def run(options: argparse.Namespace) -> None:
    """Predict, write the table and print how right it is, if the data say what is right.

    Parameters
    ----------
    options : argparse.Namespace
        What `options.add_predict_options` defines.

    Raises
    ------
    InputError
        If the file is no checkpoint of a net that can be rebuilt, or the data do not fit it.
    """
    check_writable("--out", options.out)
    try:
        predictor = nn.open(options.checkpoint, options.net)
    except OSError as error:
        raise InputError(f"{str(options.checkpoint)!r} cannot be read: {reason(error)}") from error
    except ValueError as error:
        raise InputError(str(error)) from error
    x, y = to_predict(options.data, predictor.signature)
    try:
        header, rows = _table(predictor, x, options)
    except (TypeError, ValueError) as error:
        raise InputError(f"--data {str(options.data)!r}: {error}") from error
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write("--out", options.out, text.getvalue().encode(errors="surrogateescape"))
    if options.quiet:
        return
    _warn(x, predictor)
    passes = f" with {options.mc} passes each" if options.mc else ""
    print(fitted(f"{predictor!r}"))
    print(f"Predicted {len(rows)} rows{passes}: {str(options.out)!r}")
    if y is not None:
        print(_score(predictor, y, [row[: predictor.net.n_out] for row in rows]))


def _table(
    predictor: nn.Predictor, x: NDArray[Any], options: argparse.Namespace
) -> tuple[list[str], list[list[Any]]]:
    """The names of the columns, and a row for each example, whose first value is the answer."""
    classes = predictor.classes
    numbers = range(predictor.net.n_out)
    probabilities = [f"p({label})" for label in (numbers if classes is None else classes.tolist())]
    numeric = predictor.net.criterion is nn.SquaredError
    several = [f"_{i}" for i in numbers] if len(numbers) > 1 else [""]
    header = [f"prediction{i}" for i in several] if numeric else ["prediction", *probabilities]
    if options.mc:
        header += [f"std{i}" for i in several] if numeric else ["entropy", "mutual_information"]
    rows: list[list[Any]] = []
    stream = sd.Stream(options.seed)
    for part in _parts(x):
        columns: list[NDArray[Any]]
        if options.mc:
            found = predictor.predict_mc(part, options.mc, rng=stream)
            if numeric:
                columns = [found.mean, found.std]
            else:
                columns = [found.label, found.mean, found.entropy, found.mutual_information]
        elif numeric:
            columns = [predictor.predict(part)]
        else:
            columns = [predictor.predict(part), predictor.predict_proba(part)]
        lists = [column.reshape(len(part), -1).tolist() for column in columns]
        rows += [sum(row, []) for row in zip(*lists, strict=True)]
    return header, [[_spelled(value) for value in row] for row in rows]


def _parts(x: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Some rows at a time, which may be those of a file larger than memory."""
    for start in range(0, len(x), CHUNK):
        yield np.asarray(x[start : start + CHUNK])


def _spelled(value: Any) -> Any:
    """Floats with as many digits as float32 has."""
    return f"{value:.7g}" if isinstance(value, float) else value


def _score(predictor: nn.Predictor, y: NDArray[Any], answers: list[list[Any]]) -> str:
    """How far the answers are from what is right."""
    if predictor.classes is not None:
        wrong = sum(str(a[0]) != str(b) for a, b in zip(answers, y.tolist(), strict=True))
        return f"Error: {CLASSIFICATION.spelled(wrong / len(y))}, {wrong} of {len(y)} are wrong."
    apart = np.array(answers, np.float64) - y.reshape(len(y), -1)
    return f"RMSE: {REGRESSION.spelled(float(np.sqrt(np.mean(apart**2))))}."


def _warn(x: NDArray[Any], predictor: nn.Predictor) -> None:
    """Say so if the numbers are unlike those that the net was trained on."""
    least, most = predictor.signature.span
    trained = max(abs(least), abs(most))
    low, high = float(x.min()), float(x.max())
    here = max(abs(low), abs(high))
    if predictor.signature.columns is None and trained and not 1 / FAR <= here / trained <= FAR:
        print(
            fitted(
                f"Note: these inputs reach from {low:g} to {high:g}, those of the training from "
                f"{least:g} to {most:g}; are they in the same unit?"
            )
        )
