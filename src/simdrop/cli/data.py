"""A training and a test set: the checks they pass, the one rule of scaling, the validation set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InputError

ARRAYS = ("x_train", "y_train", "x_test", "y_test")
WHOLE = 2**53  # above this, not every whole number is a float64
LABEL_KINDS = {"b": "booleans", "i": "whole numbers", "U": "strings"}
LISTED = 20  # labels that a message lists, at most

Label = bool | int | str


@dataclass(frozen=True)
class Data:
    """A training and a test set.

    Attributes
    ----------
    name : str
        What a title calls it.
    x_train, x_test : numpy.ndarray
        float32, shape (examples, features), scaled by `pixel_scale`.
    y_train, y_test : numpy.ndarray
        int64, shape (examples,): 0 to `classes` - 1, positions in `labels`.
    labels : tuple of int, of bool or of str
        The classes as they were given: the different labels of the training set, sorted.
    notes : tuple of str
        Sentences for the user: what the numbers above are made of.
    """

    name: str
    x_train: NDArray[np.float32]
    y_train: NDArray[np.int64]
    x_test: NDArray[np.float32]
    y_test: NDArray[np.int64]
    labels: tuple[Label, ...]
    notes: tuple[str, ...] = ()

    @property
    def classes(self) -> int:
        """The number of different labels in the training set."""
        return len(self.labels)


@dataclass(frozen=True)
class Rows:
    """The rows of a training set to train on, and those held out for validation, intp."""

    train: NDArray[np.intp]
    validation: NDArray[np.intp]


def pixel_scale(x_train: NDArray[Any]) -> float:
    """The number that every pixel, of the training and the test set, is divided by.

    This is the one rule of scaling: uint8 is divided by its range, 255; any other integers by the
    largest magnitude in the training set (16 for the digits), because an int64 array of pixels does
    not use int64's range; floats and booleans are taken as they are.

    Parameters
    ----------
    x_train : numpy.ndarray
        The training set as it was stored.

    Returns
    -------
    float
        Never zero.
    """
    if x_train.dtype == np.uint8:
        return 255.0
    if x_train.dtype.kind in "iu":
        # Python integers: abs(int64's minimum) is no int64.
        return float(max(int(x_train.max()), -int(x_train.min()))) or 1.0
    return 1.0


def checked(
    name: str,
    arrays: Mapping[str, NDArray[Any]],
    *,
    source: str,
    notes: tuple[str, ...] = (),
) -> Data:
    """Check that four arrays make a training and a test set, and bring them to `Data`'s form.

    Parameters
    ----------
    name : str
        What a title will call the data.
    arrays : mapping of str to numpy.ndarray
        `x_train`, `y_train`, `x_test`, `y_test`. An example's pixels may have any shape; labels are
        one whole number, string or boolean for each example, with any number of axes of length 1
        behind, or one-hot rows.
    source : str
        Where the arrays are from, for messages.
    notes : tuple of str
        What has been done to them, sentences for the user.

    Returns
    -------
    Data

    Raises
    ------
    InputError
        Naming the source, the array, what it holds and what is wanted.
    """
    for x_name in ("x_train", "x_test"):
        _check_pixels(source, x_name, arrays[x_name])
    x_train, x_test = arrays["x_train"], arrays["x_test"]
    train, train_width = _labels(source, "y_train", arrays["y_train"], len(x_train))
    test, test_width = _labels(source, "y_test", arrays["y_test"], len(x_test))
    if x_train.dtype.newbyteorder("=") != x_test.dtype.newbyteorder("="):
        raise InputError(
            f"{source!r}: x_train holds {x_train.dtype} and x_test {x_test.dtype}; "
            "wanted the same type"
        )
    features = x_train[0].size
    if x_test[0].size != features:
        raise InputError(
            f"{source!r}: an example has {features} numbers in x_train and {x_test[0].size} in "
            "x_test; wanted the same number"
        )
    if train_width and test_width and train_width != test_width:
        raise InputError(
            f"{source!r}: one-hot rows of {train_width} numbers in y_train and of {test_width} in "
            "y_test; wanted the same number"
        )
    if train.dtype.kind != test.dtype.kind:
        raise InputError(
            f"{source!r}: y_train holds {LABEL_KINDS[train.dtype.kind]} and y_test "
            f"{LABEL_KINDS[test.dtype.kind]}; wanted the same kind of labels"
        )
    labels, y_train = np.unique(train, return_inverse=True)
    if len(labels) < 2:
        raise InputError(
            f"{source!r}: y_train holds one label, {listed(labels.tolist())}; wanted two or more"
        )
    unknown = np.setdiff1d(test, labels).tolist()
    if unknown:
        raise InputError(
            f"{source!r}: y_test holds {'label' if len(unknown) == 1 else 'labels'} "
            f"{listed(unknown)}, which y_train does not"
        )
    one_hot = [y for y, width in (("y_train", train_width), ("y_test", test_width)) if width]
    if one_hot:
        notes += (
            f"Labels: the positions of the 1s in {' and '.join(one_hot)}, one-hot rows of "
            f"{train_width or test_width} numbers.",
        )
    scale = pixel_scale(x_train)
    return Data(
        name,
        _as_features(source, "x_train", x_train, scale),
        y_train.reshape(-1),
        _as_features(source, "x_test", x_test, scale),
        np.searchsorted(labels, test),
        tuple(labels.tolist()),
        notes,
    )


def listed(labels: Sequence[Label]) -> str:
    """Labels as a sentence lists them; not all of hundreds."""
    shown = ", ".join(map(repr, labels[:LISTED]))
    return shown if len(labels) <= LISTED else f"{shown} and {len(labels) - LISTED} more"


def hold_out(data: Data, fraction: float, seed: int) -> Rows:
    """Draw the validation set from the training set.

    Parameters
    ----------
    data : Data
        The data.
    fraction : float
        The part of the training set to hold out, from 0 (nothing) to below 1.
    seed : int
        Decides which examples.

    Returns
    -------
    Rows

    Raises
    ------
    InputError
        If one of the two sets would be empty, though `fraction` is not 0.
    """
    count = len(data.y_train)
    held_out = round(fraction * count)
    if fraction and not 0 < held_out < count:
        raise InputError(
            f"--validation {fraction:g} of {count} training examples leaves {count - held_out} to "
            f"train on and {held_out} to validate on; wanted at least one for each"
        )
    order = np.random.default_rng([seed, 0]).permutation(count)
    return Rows(train=order[held_out:], validation=order[:held_out])


def _check_pixels(source: str, name: str, x: NDArray[Any]) -> None:
    if x.dtype.kind not in "biuf":
        raise InputError(f"{source!r}: {name} holds {x.dtype}; wanted integers or floats")
    if x.ndim < 2:
        raise InputError(
            f"{source!r}: {name} has shape {x.shape}; wanted (examples, features) or "
            "(examples, rows, columns)"
        )
    if x.size == 0:
        raise InputError(f"{source!r}: {name} is empty: its shape is {x.shape}")


def _labels(source: str, name: str, y: NDArray[Any], examples: int) -> tuple[NDArray[Any], int]:
    """One label for each example: bool, int64 or str; and the length of one-hot rows, or 0."""
    if y.dtype.kind not in "biufSU":
        raise InputError(
            f"{source!r}: {name} holds {y.dtype}; wanted whole numbers, strings or booleans"
        )
    if y.ndim and len(y) != examples:
        raise InputError(
            f"{source!r}: {name} has {len(y)} labels for the {examples} examples of "
            f"{name.replace('y', 'x')}; wanted one each"
        )
    given = y.shape
    y = y.squeeze(axis=tuple(axis for axis in range(1, y.ndim) if y.shape[axis] == 1))
    wrong = f"{source!r}: {name} has shape {given}; wanted one label an example: ({examples},)"
    if y.ndim == 2 and y.dtype.kind in "biuf":
        ones = y == 1
        bad = np.flatnonzero((ones.sum(axis=1) != 1) | ((y != 0) & ~ones).any(axis=1))
        if len(bad):
            raise InputError(f"{wrong}, or one-hot rows (row {bad[0]} is not a single 1 among 0s)")
        return ones.argmax(axis=1), y.shape[1]
    if y.ndim != 1:
        raise InputError(wrong)
    if y.dtype.kind == "S":
        # One to one even for bytes that are not UTF-8.
        return np.char.decode(y, "utf-8", "surrogateescape"), 0
    if y.dtype.kind in "bU":
        return y, 0
    if y.dtype.kind == "f":
        exact = y.astype(np.longdouble)  # float16 has no number as large as WHOLE
        with np.errstate(invalid="ignore"):  # the remainder of inf
            bad = y[~((np.abs(exact) <= WHOLE) & (np.mod(exact, 1) == 0))]
    else:
        bad = y[y > np.iinfo(np.int64).max]
    if len(bad):
        raise InputError(
            f"{source!r}: {name} holds the label {bad[0]}; wanted whole numbers that fit into 64 "
            "bits"
        )
    return y.astype(np.int64), 0


def _as_features(source: str, name: str, x: NDArray[Any], scale: float) -> NDArray[np.float32]:
    """float32, one row an example, divided by `scale`."""
    with np.errstate(over="ignore"):  # a number beyond float32 becomes inf, and is reported
        features = x.reshape(len(x), -1).astype(np.float32)
    features /= np.float32(scale)
    bad = np.argwhere(~np.isfinite(features))
    if len(bad):
        example, feature = bad[0]
        value = x.reshape(len(x), -1)[example, feature]
        raise InputError(
            f"{source!r}: {name} holds {value} in example {example}; wanted finite numbers that "
            "fit into float32"
        )
    return features
