"""What is to be learned: labels of classes, or numbers."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...nn.inputs import listed
from ...nn.signature import Label
from ..errors import InputError
from ..tasks import CLASSIFICATION, REGRESSION, TASKS, Task
from .checks import check_count, check_finite

WHOLE = 2**53  # above this, not every whole number is a float64
LABEL_KINDS = {"b": "booleans", "i": "whole numbers", "U": "strings"}
# Whole numbers with more distinct values than this, each of fewer examples, are no classes.
MOST_RARE, LEAST_EXAMPLES = 20, 10


def task_of(y: NDArray[Any], examples: int, wanted: str) -> tuple[Task, str]:
    """What to learn from y, and a sentence if that is not what its type says."""
    if wanted != "auto":
        return TASKS[wanted], ""
    if y.dtype.kind not in "iuf" or y.size == 0:
        return CLASSIFICATION, ""
    if y.dtype.kind == "f" and not _is_whole(y).all() and np.isfinite(y).all():
        return REGRESSION, "Task: regression, for y_train holds fractions (--task)."
    if y.size == examples:
        distinct = len(np.unique(y))
        if distinct > max(MOST_RARE, examples / LEAST_EXAMPLES):
            return REGRESSION, (
                f"Task: regression, for y_train holds {distinct} different numbers in {examples} "
                "examples (--task)."
            )
    return CLASSIFICATION, ""


def classes(
    ys: Mapping[str, NDArray[Any]], given: Mapping[str, NDArray[Any]]
) -> tuple[tuple[Label, ...], list[NDArray[Any]], tuple[str, ...]]:
    """The labels, the positions of those of each set in them, and how they were converted."""
    read = {
        name: labels_of(name, y, len(given[name.replace("y", "x", 1)])) for name, y in ys.items()
    }
    kinds = {name: LABEL_KINDS[label.dtype.kind] for name, (label, _) in read.items()}
    widths = {name: width for name, (_, width) in read.items() if width}
    if len(set(widths.values())) > 1:
        raise InputError(
            f"one-hot rows of {widths['y_train']} numbers in y_train and of {widths['y_test']} in "
            "y_test; wanted the same number"
        )
    if len(set(kinds.values())) > 1:
        raise InputError(
            f"y_train holds {kinds['y_train']} and y_test {kinds['y_test']}; wanted the same kind "
            "of labels"
        )
    train, *test = (label for label, _ in read.values())
    labels, y_train = np.unique(train, return_inverse=True)
    if len(labels) < 2:
        raise InputError(f"y_train holds one label, {listed(labels.tolist())}; wanted two or more")
    for y_test in test:
        unknown = np.setdiff1d(y_test, labels).tolist()
        if unknown:
            raise InputError(
                f"y_test holds {'label' if len(unknown) == 1 else 'labels'} "
                f"{listed(unknown)}, which y_train does not"
            )
    notes: tuple[str, ...] = ()
    if widths:
        notes = (
            f"Labels: the positions of the 1s in {' and '.join(widths)}, one-hot rows of "
            f"{next(iter(widths.values()))} numbers.",
        )
    found = [y_train.reshape(-1), *(np.searchsorted(labels, y_test) for y_test in test)]
    return tuple(labels.tolist()), found, notes


def known(
    labels: tuple[Label, ...], ys: list[NDArray[Any]]
) -> tuple[tuple[Label, ...], list[NDArray[Any]]]:
    """Labels and their positions, if the training set lacks some after a random split."""
    kept = np.unique(ys[0])
    lost = np.setdiff1d(ys[1], kept)
    if len(lost):
        names = [labels[i] for i in lost.tolist()]
        raise InputError(
            f"all examples with the label {listed(names)} are among those for the test; wanted "
            "more of them, or a smaller --test"
        )
    return tuple(labels[i] for i in kept.tolist()), [np.searchsorted(kept, y) for y in ys]


def numbers(
    ys: Mapping[str, NDArray[Any]], given: Mapping[str, NDArray[Any]]
) -> tuple[tuple[Label, ...], list[NDArray[Any]], tuple[str, ...]]:
    """The numbers to be learned, (examples, outputs), float64; no labels."""
    found: list[NDArray[Any]] = []
    for name, y in ys.items():
        if y.dtype.kind not in "iuf" or not y.ndim:
            raise InputError(
                f"{name} holds {y.dtype}, shape {y.shape}; wanted numbers, for a regression"
            )
        check_count(name, y, len(given[name.replace("y", "x", 1)]))
        rows = y.reshape(len(y), -1).astype(np.float64)
        check_finite(name, rows)
        if found and rows.shape[1] != found[0].shape[1]:
            raise InputError(
                f"y_train has {found[0].shape[1]} numbers an example, and {name} {rows.shape[1]}; "
                "wanted the same number"
            )
        found.append(rows)
    return (), found, ()


def labels_of(name: str, y: NDArray[Any], examples: int) -> tuple[NDArray[Any], int]:
    """One label for each example, bool, int64 or str; and the length of one-hot rows, else 0."""
    if y.dtype.kind not in "biufSU":
        raise InputError(f"{name} holds {y.dtype}; wanted whole numbers, strings or booleans")
    check_count(name, y, examples)
    given = y.shape
    y = y.squeeze(axis=tuple(axis for axis in range(1, y.ndim) if y.shape[axis] == 1))
    wrong = f"{name} has shape {given}; wanted one label an example: ({examples},)"
    if y.ndim == 2 and y.dtype.kind in "biuf":
        ones = y == 1
        bad = np.flatnonzero((ones.sum(axis=1) != 1) | ((y != 0) & ~ones).any(axis=1))
        if len(bad):
            raise InputError(f"{wrong}, or one-hot rows (row {bad[0]} is not a single 1 among 0s)")
        return ones.argmax(axis=1), y.shape[1]
    if y.ndim != 1:
        raise InputError(wrong)
    if y.dtype.kind == "S":
        # Distinct bytes give distinct strings, even if they are not UTF-8.
        return np.char.decode(y, "utf-8", "surrogateescape"), 0
    if y.dtype.kind in "bU":
        return y, 0
    if y.dtype.kind == "f":
        bad = y[~_is_whole(y)]
    else:
        bad = y[y > np.iinfo(np.int64).max]
    if len(bad):
        raise InputError(
            f"{name} holds the label {bad[0]}; wanted whole numbers that fit into 64 bits"
        )
    return y.astype(np.int64), 0


def _is_whole(y: NDArray[Any]) -> NDArray[np.bool_]:
    """Where floats are whole numbers that are exact."""
    exact = y.astype(np.longdouble)  # float16 has no number as large as WHOLE
    with np.errstate(invalid="ignore"):  # the remainder of inf
        whole: NDArray[np.bool_] = (np.abs(exact) <= WHOLE) & (np.mod(exact, 1) == 0)
    return whole
